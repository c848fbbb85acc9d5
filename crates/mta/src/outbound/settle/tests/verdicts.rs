//! The table: what was said, what was asked for, who asked, how old the message was -> rows and notices.

use super::*;

/// What is tested, the recipients, what is changed of alice's letter, its age, what the remote said; what is in the
/// queue then, and what the sender was told.
type Case = (&'static str, Vec<Recipient>, fn(&mut Outgoing), Duration, Vec<Verdict>, Vec<&'static str>, Vec<String>);

const ALL: Notify = Notify { success: true, failure: true, delay: true };
const HEADER: &str = "text/rfc822-headers";
const HOUR: Duration = Duration::from_secs(60 * 60);

fn ours(_: &mut Outgoing) {}

fn null(message: &mut Outgoing) {
    message.sender = String::new();
}

fn full(message: &mut Outgoing) {
    message.ret = Some(Ret::Full);
}

fn stranger(message: &mut Outgoing) {
    (message.account, message.sender) = (None, "x@away.test".to_owned());
}

fn wanting(notify: Notify) -> Vec<Recipient> {
    vec![Recipient { notify, ..to("bob@far.test") }]
}

fn usual() -> Vec<Recipient> {
    vec![to("bob@far.test")]
}

fn failed(to: &str, part: &str) -> String {
    format!("{to}: bob@far.test failed 5.1.1 [{part}]")
}

/// Settles one message of that age and tells what is in the queue, and what the sender was told.
fn became(
    test: &TestStore,
    recipients: &[Recipient],
    change: fn(&mut Outgoing),
    age: Duration,
    verdicts: &[Verdict],
) -> (Vec<String>, Vec<String>) {
    let office = Office::new(test);
    office.put(recipients.to_vec(), LETTER, change);
    // What is old has been tried before: claimed at once, so that the age is that of the attempt.
    let jobs = office.claim();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].purpose, Purpose::Send);
    office.advance(age);
    office.settle(&jobs[0], verdicts, Destination::AsBefore);
    (office.queued(), office.notices().iter().map(|notice| digest(notice)).collect())
}

#[test]
fn verdicts_become_rows_and_notices() {
    check(TestStore::memory, &[ended(), waiting(), of_several()].concat());
    // A database for each case takes its time.
    check(TestStore::postgres, &of_several());
}

fn check(make: fn(&[&[Migration]]) -> TestStore, cases: &[Case]) {
    for (name, recipients, change, age, verdicts, queued, told) in cases {
        let test = make(MIGRATIONS);
        let became = became(&test, recipients, *change, *age, verdicts);
        let queued: Vec<String> = queued.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(became, (queued, told.clone()), "{name} on {}", test.name);
    }
}

fn ended() -> Vec<Case> {
    vec![
        ("taken, nobody asked", usual(), ours, Duration::ZERO, vec![taken(false)], vec![], vec![]),
        ("taken, the next host tells", wanting(ALL), ours, Duration::ZERO, vec![taken(true)], vec![], vec![]),
        (
            "taken, the next host does not tell",
            wanting(ALL),
            ours,
            Duration::ZERO,
            vec![taken(false)],
            vec![],
            vec![format!("alice: Sent on: Lunch?: bob@far.test relayed 2.1.9 [{HEADER}]")],
        ),
        (
            "refused",
            usual(),
            ours,
            Duration::ZERO,
            vec![unknown()],
            vec![],
            vec![failed("alice: Not delivered: Lunch?", HEADER)],
        ),
        (
            "refused, all of it wanted back",
            usual(),
            full,
            Duration::ZERO,
            vec![unknown()],
            vec![],
            vec![failed("alice: Not delivered: Lunch?", "message/rfc822")],
        ),
        ("refused, never to be told", wanting(Notify::NEVER), ours, Duration::ZERO, vec![unknown()], vec![], vec![]),
        ("refused, and it was a notice itself", usual(), null, Duration::ZERO, vec![unknown()], vec![], vec![]),
        (
            "refused, of a stranger who wants all of it",
            usual(),
            |message| {
                (message.account, message.sender, message.ret) = (None, "x@away.test".to_owned(), Some(Ret::Full));
            },
            Duration::ZERO,
            vec![unknown()],
            vec![],
            vec![failed("x@away.test: Your message was not delivered", HEADER)],
        ),
        ("taken, of a stranger who asked", wanting(ALL), stranger, Duration::ZERO, vec![taken(false)], vec![], vec![]),
    ]
}

fn waiting() -> Vec<Case> {
    vec![
        (
            "deferred",
            usual(),
            ours,
            Duration::ZERO,
            vec![later()],
            vec!["bob@far.test waiting later x1 451 4.3.0 Try later (mx.far.test)"],
            vec![],
        ),
        (
            "deferred by a greylist",
            usual(),
            ours,
            Duration::ZERO,
            vec![Verdict::Deferred(said(450, "4.2.0 Greylisted"))],
            vec!["bob@far.test waiting soon x1 450 4.2.0 Greylisted (mx.far.test)"],
            vec![],
        ),
        (
            "deferred for long",
            usual(),
            ours,
            5 * HOUR,
            vec![later()],
            vec!["bob@far.test waiting later x1 451 4.3.0 Try later (mx.far.test)"],
            vec![format!("alice: Not delivered yet: Lunch?: bob@far.test delayed 4.3.0 [{HEADER}]")],
        ),
        (
            "deferred for long, delays not to be told",
            wanting(Notify { delay: false, ..ALL }),
            ours,
            5 * HOUR,
            vec![later()],
            vec!["bob@far.test waiting later x1 451 4.3.0 Try later (mx.far.test)"],
            vec![],
        ),
        (
            "deferred for long, of a stranger",
            usual(),
            stranger,
            5 * HOUR,
            vec![later()],
            vec!["bob@far.test waiting later x1 451 4.3.0 Try later (mx.far.test)"],
            vec![],
        ),
        (
            "deferred for the last time",
            usual(),
            ours,
            LIFETIME,
            vec![later()],
            vec![],
            vec![format!("alice: Not delivered: Lunch?: bob@far.test failed 4.4.7 [{HEADER}]")],
        ),
        (
            "the next try would be too late",
            usual(),
            ours,
            LIFETIME - Duration::from_secs(61),
            vec![later()],
            vec!["bob@far.test waiting last x1 451 4.3.0 Try later (mx.far.test)"],
            vec![format!("alice: Not delivered yet: Lunch?: bob@far.test delayed 4.3.0 [{HEADER}]")],
        ),
    ]
}

fn of_several() -> Vec<Case> {
    vec![
        (
            "the last words of one beside whom others wait",
            vec![to("bob@far.test"), to("eve@far.test")],
            ours,
            Duration::ZERO,
            vec![unknown(), Verdict::NotTried],
            vec![
                "bob@far.test failed now x1 550 5.1.1 <bob@far.test>: Recipient address rejected: User unknown \
                 (mx.far.test)",
                "eve@far.test waiting now x0 -",
            ],
            vec![failed("alice: Not delivered: Lunch?", HEADER)],
        ),
        ("not come to", usual(), ours, Duration::ZERO, vec![], vec!["bob@far.test waiting now x0 -"], vec![]),
        (
            "each differently, one notice",
            vec![
                Recipient { notify: ALL, ..to("carol@far.test") },
                to("bob@far.test"),
                Recipient { orcpt: Some("rfc822;D@x.test".to_owned()), ..to("dora@far.test") },
                to("eve@far.test"),
            ],
            ours,
            Duration::ZERO,
            vec![taken(false), unknown(), Verdict::Failed(said(552, "5.2.2 full")), later()],
            vec![
                "carol@far.test relayed now x1 250 2.0.0 Ok: queued as 1 (mx.far.test)",
                "bob@far.test failed now x1 550 5.1.1 <bob@far.test>: Recipient address rejected: User unknown \
                 (mx.far.test)",
                "dora@far.test failed now x1 552 5.2.2 full (mx.far.test)",
                "eve@far.test waiting later x1 451 4.3.0 Try later (mx.far.test)",
            ],
            vec![format!(
                "alice: Not delivered: Lunch?: carol@far.test relayed 2.1.9, bob@far.test failed 5.1.1, dora@far.test \
                 (rfc822; D@x.test) failed 5.2.2 [{HEADER}]"
            )],
        ),
        (
            "behind an alias, which is all that the sender knows",
            vec![Recipient {
                via: Some("info@example.test".to_owned()),
                orcpt: Some("rfc822;Info@Example.test".to_owned()),
                ..to("bob@far.test")
            }],
            ours,
            Duration::ZERO,
            vec![unknown()],
            vec![],
            vec![format!(
                "alice: Not delivered: Lunch?: Info@Example.test (rfc822; Info@Example.test) failed 5.1.1 [{HEADER}]"
            )],
        ),
    ]
}
