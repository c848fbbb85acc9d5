//! Tables of what was said, what was asked for and who asked -> rows of the queue, and notices as a reader finds them.

mod held;
mod strangers;
mod verdicts;
mod wishes;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use postroad_mail::accounts::{self, NewAccount};
use postroad_mail::{Address, Intake, MailboxName, Query, UidSet, Want, domains, mailboxes, view};
use postroad_message::{Content, Part};
use postroad_message::{Limits, Parser};
use postroad_queue::{Ask, Body, DELAY, Filter, LIFETIME, Node, Notify, Outgoing, Purpose, Recipient, Ret};
use postroad_store::{AccountId, Migration, TraceId};
use postroad_testkit::{TestStore, each_store};

use super::*;

const MIGRATIONS: &[&[Migration]] = &[postroad_mail::MIGRATIONS, queue::MIGRATIONS];
const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
const TRACE: TraceId = TraceId(77);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LETTER: &[u8] = b"Return-Path: <alice@example.test>\r\nReceived: from x\r\n\tby y\r\nFrom: alice@example.test\r\n\
    To: bob@far.test\r\nSubject: Lunch?\r\nDate: Sun, 22 Nov 2026 12:00:00 +0100\r\nMessage-ID: <1@example.test>\r\n\r\n\
    Are you there?\r\n";

/// A queue, somebody who sends, and a clock.
struct Office {
    store: Store,
    alice: AccountId,
    clock: Arc<AtomicI64>,
    node: Node,
    runtime: tokio::runtime::Runtime,
}

impl Office {
    fn new(test: &TestStore) -> Office {
        let store = test.store.clone();
        let by = By::new(NOW, Actor::Admin);
        let made = store.write_blocking(Locks::none(), move |tx| {
            let address = Address::parse("alice@example.test").expect("an address");
            domains::create(tx, &by, address.domain())?;
            let (display_name, password) = (String::new(), None);
            accounts::create(
                tx,
                &by,
                &NewAccount { address, display_name, password, quota_bytes: 0, quota_messages: 0 },
            )
        });
        let node = Node::new("n");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let office = Office {
            alice: made.expect("an account").value,
            store,
            clock: Arc::new(AtomicI64::new(NOW.0)),
            node,
            runtime,
        };
        office.recover();
        office
    }

    fn recover(&self) {
        let (node, now) = (self.node.clone(), self.now());
        let done = self.store.write_blocking(Locks::none(), move |tx| queue::recover(tx, &node, now));
        done.expect("the node lives");
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    fn advance(&self, by: Duration) {
        self.clock.fetch_add(i64::try_from(by.as_micros()).expect("a test's time"), Ordering::SeqCst);
    }

    fn settler(&self) -> Settler {
        let clock = Arc::clone(&self.clock);
        Settler {
            store: self.store.clone(),
            hostname: "mx.example.test".to_owned(),
            clock: Arc::new(move || Timestamp(clock.load(Ordering::SeqCst))),
            schedule: Schedule::default(),
            stop: Stop::new(),
            signing: crate::sign::Signing::default(),
        }
    }

    /// From alice, logged in, to these; with changes.
    fn put(&self, recipients: Vec<Recipient>, letter: &[u8], change: impl FnOnce(&mut Outgoing)) {
        let mut intake = Intake::new(self.store.upload(), Limits::default());
        intake.feed(letter).expect("it is taken");
        let arrival = intake.finish(Vec::new()).expect("it is stored");
        let mut outgoing = Outgoing {
            blob: postroad_store::BlobId(0),
            size: arrival.size,
            sender: "alice@example.test".to_owned(),
            account: Some(self.alice),
            standing: postroad_queue::Standing::Unknown,
            envid: None,
            ret: None,
            body: Body::SevenBit,
            smtputf8: false,
            requiretls: false,
            trace: Some(TRACE),
            hold_until: None,
            hold_asked: None,
            deliver_by: None,
            priority: 0,
            solicitation: None,
            terms: queue::Terms::default(),
            recipients,
        };
        change(&mut outgoing);
        let now = self.now();
        let done = self.store.write_blocking(Locks::none(), move |tx| {
            let blob = tx.blob_put(&arrival.blob)?;
            queue::enqueue(tx, &Outgoing { blob, ..outgoing }, now)?;
            tx.blob_release(blob, 1)?;
            Ok::<_, queue::Error>(())
        });
        done.expect("it is queued");
    }

    fn claim(&self) -> Vec<queue::Job> {
        self.recover();
        let (node, now) = (self.node.clone(), self.now());
        let claimed = self.store.write_blocking(Locks::none(), move |tx| {
            let ask = Ask {
                node: &node,
                now,
                jobs: 9,
                jobs_per_destination: 9,
                recipients_per_job: 9,
                crowded: &[],
                turn: 0,
            };
            queue::claim(tx, &ask)
        });
        claimed.expect("a claim").value
    }

    fn settle(&self, job: &queue::Job, verdicts: &[Verdict], destination: Destination) -> Settled {
        let numbers = job.recipients.iter().map(|due| due.number);
        let settling = Settling {
            elsewhere: Vec::new(),
            job: job.clone(),
            attempt: Attempt {
                host: Some("mx.far.test".to_owned()),
                address: Some("192.0.2.1:25".parse().expect("an address")),
                tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384".to_owned()),
                policy: None,
            },
            notes: Vec::new(),
            here: None,
            verdicts: numbers.zip(verdicts.iter().cloned()).collect(),
            destination,
            random: 0,
            lease_ends: self.now().plus(Duration::from_secs(60)),
        };
        self.runtime.block_on(self.settler().settle(settling)).expect("it is settled")
    }

    /// `bob@far.test waiting later x1 450 ..`: when it is due, how often it was tried, the last reply.
    fn queued(&self) -> Vec<String> {
        let now = self.now();
        let all = self.store.read_blocking(|tx| queue::list(tx, &Filter::default(), None, 100)).expect("a list");
        let lines = all.iter().filter(|message| !message.message.sender.is_empty()).flat_map(|message| {
            message.recipients.iter().map(|one| {
                let when = match (one.due.0 - now.0) / 1_000_000 {
                    ..=0 => "now",
                    _ if one.due == message.message.expires => "last",
                    1..=150 => "soon",
                    151.. => "later",
                };
                let reply = one.last_reply.as_deref().unwrap_or("-");
                format!("{} {} {when} x{} {reply}", one.address, one.state.name(), one.attempts)
            })
        });
        lines.collect()
    }

    /// Notices in alice's INBOX and those in the queue: the text as stored.
    fn notices(&self) -> Vec<String> {
        let alice = self.alice;
        let read = self.store.read_blocking(move |tx| -> Result<Vec<String>, Error> {
            let mut found = Vec::new();
            let inbox = MailboxName::parse("INBOX").expect("a name");
            let inbox = mailboxes::find(tx, alice, &inbox)?.expect("an INBOX");
            let all = UidSet::from_ranges([(1, u32::MAX)]);
            let query = Query { uids: &all, want: Want::Facts, changed_since: None, limit: 100 };
            for entry in view::entries(tx, alice, inbox.id, &query)? {
                let blob = entry.facts.expect("facts were asked for").blob;
                found.push(String::from_utf8(tx.blob_read(blob, 0..u64::MAX)?).expect("UTF-8"));
            }
            let queued = queue::list(tx, &Filter::default(), None, 100).expect("a list");
            for message in queued.iter().filter(|message| message.message.sender.is_empty()) {
                let to: Vec<&str> = message.recipients.iter().map(|one| one.address.as_str()).collect();
                let text = String::from_utf8(tx.blob_read(message.message.blob, 0..u64::MAX)?).expect("UTF-8");
                assert_eq!(
                    message.message.smtputf8,
                    text.lines().take_while(|line| !line.is_empty()).any(|line| !line.is_ascii())
                );
                found.push(format!("queued for {}\n{text}", to.join(" ")));
            }
            Ok(found)
        });
        read.expect("notices")
    }

    fn story(&self) -> Vec<String> {
        let events = self.store.read_blocking(|tx| trace::story(tx, TRACE)).expect("a story");
        events.into_iter().map(|event| format!("{}: {}", event.kind, event.detail)).collect()
    }
}

fn to(address: &str) -> Recipient {
    let domain = address.rsplit_once('@').expect("an address").1.to_owned();
    Recipient {
        address: address.to_owned(),
        domain,
        notify: Notify::default(),
        orcpt: None,
        via: None,
        valid_since: None,
    }
}

fn said(code: u16, text: &str) -> Words {
    let (enhanced, text) = text.split_once(' ').expect("code and text");
    let mut parts = enhanced.split('.').map(|part| part.parse::<u16>().expect("a number"));
    let mut next = || parts.next().expect("three parts");
    let enhanced = postroad_smtp::Enhanced(next() as u8, next(), next());
    Words::said(code, Some(enhanced), text, "RCPT TO")
}

fn unknown() -> Verdict {
    Verdict::Failed(said(550, "5.1.1 <bob@far.test>: Recipient address rejected: User unknown"))
}

fn later() -> Verdict {
    Verdict::Deferred(said(451, "4.3.0 Try later"))
}

fn taken(dsn: bool) -> Verdict {
    Verdict::Relayed { words: said(250, "2.0.0 Ok: queued as 1"), dsn, in_time: false }
}

/// What a program reads out of a notice: the types of its parts, and the recipients' fields in short.
fn digest(notice: &str) -> String {
    let (to, text) = match notice.strip_prefix("queued for ") {
        Some(rest) => rest.split_once('\n').expect("a line"),
        None => ("alice", notice),
    };
    let summary = Parser::parse(text.as_bytes());
    assert_eq!(summary.structure.param("report-type").as_deref(), Some("delivery-status"));
    let Content::Multipart(parts) = &summary.structure.content else { panic!("a notice has parts") };
    let kinds: Vec<String> = parts.iter().map(|part| format!("{}/{}", part.content_type, part.subtype)).collect();
    let status = body(text, &parts[1]);
    let recipients = status.split("\r\n\r\n").skip(1).map(|block| {
        let field = |name: &str| {
            let field = postroad_message::header::find(block.as_bytes(), name)?;
            Some(postroad_message::header::text(field.value))
        };
        let short = |name: &str| field(name).unwrap_or_default();
        let address = short("Final-Recipient").replace("rfc822; ", "");
        let original = field("Original-Recipient").map(|one| format!(" ({one})")).unwrap_or_default();
        format!("{address}{original} {} {}", short("Action"), short("Status"))
    });
    let recipients: Vec<String> = recipients.collect();
    assert!(text.lines().all(|line| line.len() < 998) && !text.replace("\r\n", "").contains(['\r', '\n']));
    let kinds = kinds[2..].join(" ");
    format!("{to}: {}: {} [{kinds}]", summary.envelope.subject_text(), recipients.join(", "))
}

fn body<'a>(text: &'a str, part: &Part) -> &'a str {
    &text[part.body_start as usize..part.body_end as usize]
}

/// Compares with a file in `tests/notices`; `UPDATE_EXPECT=1` writes it.
fn expect_file(name: &str, office: &Office, notice: &str) {
    let path = format!("{}/tests/notices/{name}.eml", env!("CARGO_MANIFEST_DIR"));
    let notice = notice.replace("\r\n", "\n");
    let boundary = notice.split("boundary=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a boundary");
    let serial = format!("{:x}", office.now().0);
    let notice = notice.replace(boundary, "=_boundary").replace(&serial, "serial").replace(&TRACE.to_string(), "trace");
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        std::fs::write(&path, &notice).expect("the file can be written");
    }
    let expect = std::fs::read_to_string(&path).expect("the file is there; UPDATE_EXPECT=1 writes it");
    assert_eq!(notice, expect, "{path}; found:\n{notice}");
}

/// Every kind of notice, to be read as a person does: `mutt -f crates/mta/tests/notices/failed.eml`.
#[test]
fn a_notice_is_clear_to_people_and_programs() {
    let all = Notify { success: true, failure: true, delay: true };
    let two = || {
        let bob = Recipient { orcpt: Some("rfc822;Bob@far.test".to_owned()), notify: all, ..to("bob@far.test") };
        vec![bob, Recipient { notify: all, ..to("carl@far.test") }]
    };
    let policy = || Verdict::Failed(said(550, "5.7.1 We do\nnot like you"));
    let silent = || {
        let words = Words::ours((4, 4, 2), "The connection timed out while the greeting was waited for", "greeting");
        Verdict::Deferred(words)
    };
    let ours: fn(&mut Outgoing) = |message| message.envid = Some("QQ314159".to_owned());
    let stranger: fn(&mut Outgoing) = |message| (message.account, message.sender) = (None, "x@away.test".to_owned());
    let full: fn(&mut Outgoing) = |message| message.ret = Some(Ret::Full);
    let minute = Duration::from_secs(60);
    type Case = (&'static str, Vec<Recipient>, fn(&mut Outgoing), Duration, Vec<Verdict>);
    let cases: Vec<Case> = vec![
        ("failed", two(), ours, minute, vec![unknown(), policy()]),
        ("failed-full", vec![to("bob@far.test")], full, minute, vec![unknown()]),
        ("failed-stranger", vec![to("bob@far.test")], stranger, minute, vec![unknown()]),
        ("expired", two(), ours, LIFETIME, vec![later(), silent()]),
        ("delayed", two(), ours, DELAY, vec![later(), silent()]),
        ("relayed", two(), ours, minute, vec![taken(false), taken(false)]),
        ("mixed", two(), ours, DELAY, vec![unknown(), later()]),
    ];
    for (name, recipients, change, age, verdicts) in cases {
        let test = TestStore::memory(MIGRATIONS);
        let office = Office::new(&test);
        office.put(recipients, LETTER, change);
        let job = office.claim().pop().expect("a job");
        office.advance(age);
        office.settle(&job, &verdicts, Destination::AsBefore);
        let notices = office.notices();
        assert_eq!(notices.len(), 1, "{name}");
        expect_file(name, &office, &notices[0]);
    }
}

#[test]
fn the_story_names_the_host_its_words_and_the_next_try() {
    let test = TestStore::memory(MIGRATIONS);
    let office = Office::new(&test);
    office.put(vec![to("Bob@far.test"), to("carl@far.test"), to("eve@far.test")], LETTER, |_| {});
    let job = office.claim().pop().expect("a job");
    office.settle(&job, &[unknown(), taken(true), later()], Destination::AsBefore);
    let id = job.message.id;
    let story = office.story();
    assert_eq!(
        story[..3],
        [
            format!("attempt: {id} for far.test: mx.far.test at 192.0.2.1:25, TLSv1.3 TLS_AES_256_GCM_SHA384"),
            "failed: Bob@far.test: 550 5.1.1 <bob@far.test>: Recipient address rejected: User unknown (RCPT TO)"
                .to_owned(),
            "sent: carl@far.test: 250 2.0.0 Ok: queued as 1 (RCPT TO)".to_owned(),
        ]
    );
    let deferred = "deferred: eve@far.test: 451 4.3.0 Try later (RCPT TO); next try 2026-09-21 14:1";
    assert!(story[3].starts_with(deferred), "{story:?}");
    assert!(story[4].starts_with("meaning: unknown-user: There is no such address."), "{story:?}");
    assert_eq!(story[5..], ["notice: the sender is told: alice@example.test: INBOX as uid 1"]);
    for key in ["bob@far.test", "carl@far.test", "alice@example.test"] {
        let found = office.store.read_blocking(move |tx| trace::find(tx, key, Timestamp(0), 9)).expect("a look");
        assert_eq!(found, [TRACE], "{key}");
    }
}

#[test]
fn a_destination_that_is_away_delays_and_expires_what_waits() {
    each_store(MIGRATIONS, |test| {
        let office = Office::new(test);
        office.put(vec![to("bob@far.test")], LETTER, |_| {});
        let job = office.claim().pop().expect("a job");
        let until = office.now().plus(DAY);
        let away = Words::ours((4, 4, 1), "No connection to mx.far.test [192.0.2.1]: refused", "connect");
        let down = Destination::Down { until, failures: 1, why: "refused".to_owned() };
        office.settle(&job, &[Verdict::Deferred(away)], down);
        // The queue asks to tell the delay although nothing can be tried.
        office.advance(DELAY + Duration::from_secs(600));
        // The first look only finds that it has to wait.
        let mut jobs = office.claim();
        office.advance(Duration::from_secs(3_600));
        jobs.extend(office.claim());
        for job in &jobs {
            assert_eq!(job.purpose, Purpose::TellDelay, "{job:?}");
            office.settle(job, &[], Destination::AsBefore);
        }
        let notices = office.notices();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert_eq!(
            digest(&notices[0]),
            "alice: Not delivered yet: Lunch?: bob@far.test delayed 4.4.0 [text/rfc822-headers]"
        );
        assert!(notices[0].contains("No connection to mx.far.test"), "{}", notices[0]);
        assert!(office.claim().is_empty(), "told once");
        office.advance(LIFETIME);
        let job = office.claim().pop().expect("the destination has rested for long");
        assert_eq!((job.purpose, job.probe), (Purpose::Send, true), "tried once more");
        let down = Destination::Down { until: office.now().plus(DAY), failures: 2, why: "refused".to_owned() };
        office.settle(&job, &[Verdict::NotTried], down);
        assert!(office.claim().is_empty(), "it rests again");
        office.advance(Duration::from_secs(901));
        let job = office.claim().pop().expect("it has expired");
        assert_eq!(job.purpose, Purpose::Expire);
        office.settle(&job, &[], Destination::AsBefore);
        let notices = office.notices();
        assert_eq!(
            digest(&notices[1]),
            "alice: Not delivered: Lunch?: bob@far.test failed 4.4.7 [text/rfc822-headers]"
        );
        assert!(notices[1].contains("x-postroad; No connection to mx.far.test"), "{}", notices[1]);
        assert_eq!(office.queued(), Vec::<String>::new());
    });
}

#[test]
fn what_is_lost_is_not_recorded_and_what_was_recorded_is_not_told_twice() {
    each_store(MIGRATIONS, |test| {
        let office = Office::new(test);
        office.put(vec![to("bob@far.test")], LETTER, |_| {});
        let job = office.claim().pop().expect("a job");
        assert_eq!(office.settle(&job, &[unknown()], Destination::Up), Settled::Recorded { message_ended: true });
        assert_eq!(office.settle(&job, &[unknown()], Destination::Up), Settled::Lost);
        assert_eq!(office.notices().len(), 1);
        assert_eq!(office.story().len(), 4);
    });
}

#[test]
fn senders_that_nobody_can_be_told() {
    each_store(MIGRATIONS, |test| {
        for sender in ["nobody@example.test", "x@[192.0.2.1]"] {
            let office = Office::new_or_again(test);
            office.put(vec![to("bob@far.test")], LETTER, |message| {
                (message.sender, message.account) = (sender.to_owned(), None);
            });
            let job = office.claim().pop().expect("a job");
            office.settle(&job, &[unknown()], Destination::AsBefore);
            assert!(office.notices().is_empty(), "{sender}");
            assert_eq!(
                office.story().last().map(String::as_str),
                Some(&*format!("notice: the sender <{sender}> cannot be told"))
            );
        }
    });
}

#[test]
fn names_in_other_scripts_are_told_in_their_own() {
    let test = TestStore::memory(MIGRATIONS);
    let letter = "Subject: Grüße\r\n\r\nhällo\r\n".as_bytes();
    let name = "jürgen@bücher.test";
    // (sender, SMTPUTF8, RET=FULL) -> what the notice has
    for (sender, utf8, full, expect) in [
        ("x@away.test", true, false, "global-delivery-status|utf-8; jürgen@bücher.test|message/global-headers"),
        ("x@away.test", true, true, "global-delivery-status|utf-8; jürgen@bücher.test|message/global"),
        ("x@away.test", false, false, "delivery-status|utf-8; j\\x{FC}rgen@b\\x{FC}cher.test|message/global-headers"),
        ("ø@away.test", false, false, "global-delivery-status|utf-8; jürgen@bücher.test|message/global-headers"),
    ] {
        let office = Office::new_or_again(&test);
        let alice = office.alice;
        let recipient = Recipient { domain: "xn--bcher-kva.test".to_owned(), ..to(name) };
        office.put(vec![recipient], letter, |message| {
            (message.sender, message.smtputf8, message.account) = (sender.to_owned(), utf8, Some(alice));
            message.ret = full.then_some(Ret::Full);
            message.body = Body::EightBitMime;
        });
        let job = office.claim().into_iter().find(|job| !job.message.sender.is_empty()).expect("a job");
        let before = office.notices().len();
        office.settle(&job, &[Verdict::Failed(said(550, "5.1.1 Größe?"))], Destination::AsBefore);
        let notice = office.notices().split_off(before).pop().expect("a notice");
        let (_, text) = notice.split_once('\n').expect("a line");
        let summary = Parser::parse(text.as_bytes());
        let Content::Multipart(parts) = &summary.structure.content else { panic!("a notice has parts") };
        let status = body(text, &parts[1]);
        let recipient = postroad_message::header::find(
            status.split_once("\r\n\r\n").expect("a block").1.as_bytes(),
            "Final-Recipient",
        );
        let recipient = postroad_message::header::text(recipient.expect("a field").value);
        let found = format!("{}|{recipient}|{}/{}", parts[1].subtype, parts[2].content_type, parts[2].subtype);
        assert_eq!(found, expect, "{text}");
        assert!(summary.structure.encoding == postroad_message::decode::Encoding::EightBit);
        assert_eq!(summary.envelope.subject_text(), "Not delivered: Grüße");
        assert_eq!(summary.facts.eight_bit_header, !sender.is_ascii());
        assert_eq!(status.is_ascii(), parts[1].subtype == "delivery-status", "{status}");
    }
}

impl Office {
    /// On a store that has its people already.
    fn new_or_again(test: &TestStore) -> Office {
        let known = Address::parse("alice@example.test").expect("an address");
        let found = test.store.read_blocking(move |tx| accounts::find(tx, &known)).expect("a look");
        let Some(alice) = found else { return Office::new(test) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let clock = Arc::new(AtomicI64::new(NOW.0));
        let office = Office { alice: alice.id, store: test.store.clone(), clock, node: Node::new("n"), runtime };
        office.recover();
        office
    }
}

/// (what the tries come to) -> (how they were made, how long was waited, what came of it).
#[test]
fn verdicts_are_kept_while_the_database_is_away() {
    use postroad_store::Error as Trouble;
    let away = || Err(Stopped::from(Trouble::Unavailable("away".into())));
    let unanswered = || Err(Stopped::from(Trouble::OutcomeUnknown("at COMMIT".into())));
    let closed = || Err(Stopped::from(Trouble::Closed));
    let bug = || Err(Stopped::from(Trouble::Bug("wrong".into())));
    let lost = || Err(Stopped::Lost);
    let good = || Ok(Settled::Recorded { message_ended: true });
    type Script = Vec<Result<Settled, Stopped>>;
    let never = i64::MAX;
    let cases: Vec<(Script, bool, i64, &str)> = vec![
        (vec![good()], true, never, "-- 0 Recorded { message_ended: true }"),
        (vec![away(), away(), away(), good()], true, never, "-- -- -- -- 700 Recorded { message_ended: true }"),
        (vec![lost()], true, never, "-- 0 Lost"),
        (vec![unanswered(), lost()], true, never, "-- u- 100 Recorded { message_ended: false }"),
        (vec![unanswered(), away(), good()], true, never, "-- u- u- 300 Recorded { message_ended: true }"),
        (vec![bug(), good()], true, never, "-- -b 0 Recorded { message_ended: true }"),
        (vec![bug(), away(), bug()], true, never, "-- -b -b 100 failed"),
        (vec![bug()], false, never, "-- 0 failed"),
        (vec![closed()], false, never, "-- 0 failed"),
        ((0..9).map(|_| away()).collect(), true, 250, "-- -- -- -- -- 1500 failed"),
    ];
    for (script, tells, stops, expect) in cases {
        let millis = Arc::new(AtomicI64::new(0));
        let time = Arc::clone(&millis);
        let clock: Clock = Arc::new(move || Timestamp(time.load(Ordering::SeqCst) * 1_000));
        let kept = Kept { id: queue::QueueId(1), tells, lease_ends: Timestamp(0) };
        let (mut tries, mut script) = (String::new(), script.into_iter());
        let rest = |wait: Duration| {
            millis.fetch_add(i64::try_from(wait.as_millis()).expect("short"), Ordering::SeqCst);
            std::future::ready(())
        };
        let attempt = |how: How| {
            tries.push_str(if how.uncertain { "u" } else { "-" });
            tries.push_str(if how.bare { "b " } else { "- " });
            std::future::ready(script.next().expect("no more tries than that"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let result =
            runtime.block_on(kept.until_recorded(&clock, || millis.load(Ordering::SeqCst) > stops, rest, attempt));
        let result = result.map_or_else(|_| "failed".to_owned(), |settled| format!("{settled:?}"));
        assert_eq!(format!("{tries}{} {result}", millis.load(Ordering::SeqCst)), expect);
    }
}

#[test]
fn verdicts_are_not_kept_for_ever() {
    let time = Arc::new(AtomicI64::new(0));
    let now = Arc::clone(&time);
    let clock: Clock = Arc::new(move || Timestamp(now.load(Ordering::SeqCst)));
    let kept = Kept { id: queue::QueueId(1), tells: true, lease_ends: Timestamp(0) };
    let rest = |wait: Duration| {
        time.fetch_add(i64::try_from(wait.as_micros()).expect("short"), Ordering::SeqCst);
        std::future::ready(())
    };
    let away = |_| std::future::ready(Err(Stopped::from(postroad_store::Error::Full("no room".into()))));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let result = runtime.block_on(kept.until_recorded(&clock, || false, rest, away));
    assert!(result.is_err());
    let hours = time.load(Ordering::SeqCst) / 3_600_000_000;
    assert_eq!(hours, 24);
}

#[test]
fn a_commit_without_an_answer_is_looked_up() {
    each_store(MIGRATIONS, |test| {
        let office = Office::new(test);
        office.put(vec![to("bob@far.test")], LETTER, |_| {});
        let job = office.claim().pop().expect("a job");
        let settling = Settling {
            elsewhere: Vec::new(),
            job,
            attempt: Attempt::default(),
            notes: Vec::new(),
            here: None,
            verdicts: vec![(0, later())],
            destination: Destination::AsBefore,
            random: 0,
            lease_ends: office.now().plus(DAY),
        };
        let (settler, now) = (office.settler(), office.now());
        let plan = Plan::of(&settling, &settler.schedule, now);
        let uncertain = How { uncertain: true, bare: false };
        let again = || office.runtime.block_on(settler.try_once(&settling, &plan, uncertain, now));
        assert!(matches!(again(), Ok(Settled::Recorded { message_ended: false })), "it had not happened");
        // The administrator wants it at once, and this node has it again: the old verdict is not for this claim.
        office.advance(Duration::from_secs(600));
        assert_eq!(office.claim().len(), 1);
        assert!(matches!(again(), Err(Stopped::Lost)), "it had happened");
        assert_eq!(office.queued(), ["bob@far.test claimed now x1 451 4.3.0 Try later"]);
        assert_eq!(office.story().len(), 2);
    });
}
