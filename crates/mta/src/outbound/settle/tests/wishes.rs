//! Mail with a time: what is told when, with which status (RFC 2852 §4.1.4), and what refusals mean in the story.

use super::*;

fn timed(seconds: i64, returns: bool, trace: bool) -> queue::DeliverBy {
    queue::DeliverBy { at: Timestamp(NOW.0 + seconds * 1_000_000), returns, trace }
}

fn passed_on(dsn: bool, in_time: bool) -> Verdict {
    Verdict::Relayed { words: said(250, "2.0.0 Ok"), dsn, in_time }
}

#[test]
fn who_sets_a_time_hears_in_time() {
    let hour = Duration::from_secs(3_600);
    let never = Notify::NEVER;
    let usual = Notify::default();
    type Case<'a> = (queue::DeliverBy, Notify, Duration, Verdict, Option<&'a str>, &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        // Not yet late: nobody is told, and the next try is when it gets late.
        (timed(60, false, false), usual, Duration::ZERO, later(), None, &["bob@far.test waiting soon x1"]),
        (timed(60, false, false), usual, hour, later(), Some("delayed 4.4.7"), &["bob@far.test waiting later x1"]),
        (timed(60, false, false), never, hour, later(), None, &["bob@far.test waiting later x1"]),
        (timed(60, true, false), usual, Duration::from_secs(61), later(), Some("failed 5.4.7"), &[]),
        (timed(60, true, false), never, Duration::from_secs(61), later(), None, &[]),
        // A host that keeps the time tells; one that does not is told of.
        (timed(60, false, false), usual, Duration::ZERO, passed_on(true, true), None, &[]),
        (timed(60, false, true), usual, Duration::ZERO, passed_on(true, true), Some("relayed 2.1.9"), &[]),
        (timed(60, false, false), usual, Duration::ZERO, passed_on(true, false), Some("relayed 2.1.9"), &[]),
        (timed(60, false, false), never, Duration::ZERO, passed_on(true, false), None, &[]),
        (timed(60, true, false), usual, Duration::ZERO, passed_on(true, true), None, &[]),
    ];
    for (number, (by, notify, age, verdict, told, queued)) in cases.iter().enumerate() {
        let test = TestStore::memory(MIGRATIONS);
        let office = Office::new(&test);
        let bob = Recipient { notify: *notify, ..to("bob@far.test") };
        office.put(vec![bob], LETTER, |message| message.deliver_by = Some(*by));
        let job = office.claim().pop().expect("a job");
        office.advance(*age);
        office.settle(&job, std::slice::from_ref(verdict), Destination::AsBefore);
        let notices = office.notices();
        assert_eq!(notices.len(), usize::from(told.is_some()), "case {number}");
        if let Some(told) = told {
            assert!(digest(&notices[0]).contains(told), "case {number}: {}", digest(&notices[0]));
            assert!(notices[0].contains("\r\nDeliver-By-Date: "), "case {number}: {}", notices[0]);
        }
        let found: Vec<String> = office
            .queued()
            .iter()
            .map(|line| line.rsplit_once(" 451").map_or(line.as_str(), |(a, _)| a).to_owned())
            .collect();
        assert_eq!(found, *queued, "case {number}");
    }
}

#[test]
fn the_story_says_what_refusals_mean_and_what_can_be_done() {
    let test = TestStore::memory(MIGRATIONS);
    let office = Office::new(&test);
    office.put(vec![to("bob@far.test"), to("carl@far.test"), to("eve@far.test")], LETTER, |_| {});
    let job = office.claim().pop().expect("a job");
    let listed = || Verdict::Failed(said(554, "5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org"));
    office.settle(&job, &[unknown(), listed(), listed()], Destination::AsBefore);
    let story = office.story();
    let meanings: Vec<&String> = story.iter().filter(|line| line.starts_with("meaning: ")).collect();
    assert_eq!(meanings.len(), 2, "one for each meaning: {story:?}");
    assert!(meanings[0].starts_with("meaning: unknown-user: There is no such address."), "{meanings:?}");
    assert!(meanings[1].contains("reputation: ") && meanings[1].contains("Look on which list"), "{meanings:?}");
    let notice = office.notices().pop().expect("a notice");
    assert!(notice.contains("does not trust the server"), "{notice}");
}
