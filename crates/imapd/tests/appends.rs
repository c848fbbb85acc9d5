//! APPENDs that come together, that are broken off, and that are meant to hurt.

mod common;

use std::path::Path;

use common::World;
use postroad_imapd::Session;
use postroad_mail::{MailboxId, mailboxes};
use postroad_protocol::{Interrupt, Protocol, Step};
use postroad_testkit::TestStore;

fn world() -> (TestStore, World) {
    let test = TestStore::sqlite(&[postroad_mail::MIGRATIONS]);
    let world = World::new(&test);
    (test, world)
}

fn messages(world: &World) -> u32 {
    let alice = world.accounts["alice"];
    let inbox = world.store.read_blocking(move |tx| mailboxes::by_id(tx, alice, MailboxId::INBOX));
    inbox.expect("the database answers").expect("INBOX is there").messages
}

fn blobs(world: &World) -> i64 {
    let count = world.store.read_blocking(|tx| tx.one("SELECT count(*) FROM blob", &[], |row| row.int(0)));
    count.expect("the database answers")
}

/// What is no small message.
const LARGE: u64 = 10_000;

/// Files of more than so many octets, also of messages that are still coming.
fn files(folder: &Path, above: u64) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.path() {
            path if path.is_dir() => files(&path, above),
            path => usize::from(path.metadata().is_ok_and(|data| data.len() > above)),
        })
        .sum()
}

/// Octets that do not compress: a message above the inline limit goes to a file.
fn large(size: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    while message.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        message.extend(format!("{state:016x}\r\n").bytes());
    }
    message.truncate(size);
    message
}

#[test]
fn appends_that_come_together_share_a_transaction() {
    let (_test, mut world) = world();
    let session = world.logged_in("alice");
    let mut all = String::new();
    for number in 0..200 {
        all.push_str(&format!("a{number} APPEND INBOX {{22+}}\r\nSubject: {number:05}\r\n\r\nhi\r\n\r\n"));
    }
    world.jobs.clear();
    let (_session, said) = world.say(session, all.as_bytes());
    assert_eq!(said.matches(" OK [APPENDUID ").count(), 200, "{said}");
    let order: Vec<&str> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(order.first(), Some(&"a0"));
    assert_eq!(order.last(), Some(&"a199"));
    assert_eq!(messages(&world), 200);
    // One for the disk and one transaction: each would have had three jobs.
    assert_eq!(world.jobs.get("append").copied(), Some(2));
    assert_eq!(world.jobs.get("quick disk").copied(), Some(1), "they are small");
}

/// What may wait for the disk is nothing for the thread that all sessions share.
#[test]
fn large_messages_and_those_beyond_what_memory_holds_are_no_quick_work() {
    let (_test, mut world) = world();
    let session = world.logged_in("alice");
    let mut append = |session, count: usize, size: usize| {
        let message = large(size);
        let message = String::from_utf8_lossy(&message);
        let all: String = (0..count).map(|_| format!(" {{{}+}}\r\n{message}", message.len())).collect();
        world.jobs.clear();
        let (session, said) = world.say(session, format!("a APPEND INBOX{all}\r\n").as_bytes());
        assert!(said.contains("a OK [APPENDUID "), "{said}");
        let quick = world.jobs.get("quick disk").copied().unwrap_or_default();
        // One of them is the write.
        (session, quick, world.jobs["append"] - quick - 1)
    };
    let (session, quick, slow) = append(session, 1, 32 * 1024);
    assert_eq!((quick, slow), (1, 0));
    let (session, quick, slow) = append(session, 1, 32 * 1024 + 1);
    assert_eq!((quick, slow), (0, 1));
    // 32 MiB and some.
    let (_session, quick, slow) = append(session, 1_100, 32 * 1024);
    assert!(quick > 300 && slow > 10, "{quick} quick, {slow} not");
}

/// A message of 20 KB may have thousands of parts, whose summary takes a megabyte of memory: what waits to be filed has a limit
/// by that too.
#[test]
fn messages_of_many_parts_do_not_fill_the_memory() {
    let (_test, mut world) = world();
    let parts = "--b\r\n\r\n\r\n".repeat(2_000);
    let message = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    let literal = format!("{{{}+}}\r\n{message}", message.len());
    let session = world.logged_in("alice");
    let (session, said) =
        world.say(session, format!("a APPEND INBOX{}\r\n", format!(" {literal}").repeat(800)).as_bytes());
    assert_eq!(said, "a NO [LIMIT] so many messages of so many parts are too much at once\r\n");
    // One after the other they all come in.
    let all: String = (0..800).map(|number| format!("b{number} APPEND INBOX {literal}\r\n")).collect();
    let (_session, said) = world.say(session, all.as_bytes());
    assert_eq!(said.matches(" OK [APPENDUID ").count(), 800, "{said}");
    assert_eq!(messages(&world), 800);
}

#[test]
fn several_messages_are_one_operation() {
    let (_test, mut world) = world();
    let session = world.logged_in("alice");
    let all: String = (0..1_000).map(|number| format!(" {{22+}}\r\nSubject: {number:05}\r\n\r\nhi\r\n")).collect();
    let alice = world.accounts["alice"];
    let modseq = |world: &World| {
        let account = world.store.read_blocking(move |tx| postroad_mail::accounts::by_id(tx, alice));
        account.expect("the database answers").expect("alice is there").modseq.0
    };
    let before = modseq(&world);
    let (_session, said) = world.say(session, format!("a APPEND INBOX{all}\r\n").as_bytes());
    assert!(said.contains("a OK [APPENDUID ") && said.contains(" 1:1000] APPEND done"), "{said}");
    assert_eq!(modseq(&world), before + 1);
}

/// What waits for the end of its command: 32 MiB of messages in memory, and the rest in files.
#[test]
fn thousands_of_messages_at_once_take_only_so_much_memory() {
    const MESSAGES: usize = 3_000;
    let (test, mut world) = world();
    let blobs = test.folder().join("blobs");
    let before = files(&blobs, 0);
    // 12 KB each: 36 MB, of which the last 4 do not stay in memory.
    let body = "0123456789abcdef\r\n".repeat(670);
    let one = |number: usize| {
        let message = format!("Subject: {number:05}\r\n\r\n{body}");
        format!(" {{{}+}}\r\n{message}", message.len())
    };
    let session = world.logged_in("alice");
    let mut all = String::from("a APPEND INBOX");
    (0..MESSAGES).for_each(|number| all.push_str(&one(number)));
    let (session, said) = world.say(session, all.as_bytes());
    assert_eq!(said, "", "it is not over");
    let held = 32 * 1024 * 1024 / (body.len() + 18);
    let outside = files(&blobs, 0) - before;
    assert!((MESSAGES - held - 10..=MESSAGES - held).contains(&outside), "{outside} are in files, {held} in memory");
    let (_session, said) = world.say(session, b"\r\n");
    assert!(said.contains("a OK [APPENDUID ") && said.contains(&format!(" 1:{MESSAGES}] APPEND done")), "{said}");
    assert_eq!(messages(&world), MESSAGES as u32);
}

/// A message may have a thousand keywords, and a command ten thousand messages.
#[test]
fn keywords_of_thousands_of_messages_do_not_fill_the_memory() {
    let (_test, mut world) = world();
    let keywords = |count: usize| (0..count).map(|number| format!("keyword{number:04}")).collect::<Vec<_>>().join(" ");
    let message = |count| format!(" ({}) {{6+}}\r\nA: 1\r\n", keywords(count));
    let session = world.logged_in("alice");
    let many = message(1_000).repeat(2_000);
    let (session, said) = world.say(session, format!("a APPEND INBOX{many}\r\nb NOOP\r\n").as_bytes());
    assert_eq!(said, "a NO [LIMIT] so many keywords are too much at once\r\nb OK NOOP done\r\n");
    let some = message(20).repeat(3_000);
    let (session, said) = world.say(session, format!("c APPEND INBOX{some}\r\n").as_bytes());
    assert!(said.contains("c OK [APPENDUID ") && said.contains(" 1:3000] APPEND done"), "{said}");
    let (_, said) = world.say(session, b"d EXAMINE INBOX\r\ne FETCH 3000 FLAGS\r\n");
    assert!(said.contains(&format!("* 3000 FETCH (FLAGS ({}", keywords(20))), "{said}");
}

#[test]
fn a_client_that_goes_leaves_nothing() {
    let (test, mut world) = world();
    let folder = test.folder().to_path_buf();
    let (before, rows) = (files(&folder.join("blobs"), LARGE), blobs(&world));
    let message = large(400_000);
    for cut in [1_000, 300_000, 400_020, 700_000, 801_000, 1_100_000] {
        let session = world.logged_in("alice");
        let mut all = format!("a APPEND INBOX {{{}+}}\r\n", message.len()).into_bytes();
        for _ in 0..3 {
            all.extend_from_slice(&message);
            all.extend_from_slice(format!(" {{{}+}}\r\n", message.len()).as_bytes());
        }
        let (mut session, said) = world.say(session, &all[..cut]);
        assert_eq!(said, "", "cut at {cut}");
        session.interrupt(Interrupt::Closed);
        drop(session);
        assert_eq!(files(&folder.join("blobs"), LARGE), before, "cut at {cut}");
    }
    assert_eq!((messages(&world), blobs(&world)), (0, rows));
}

#[test]
fn a_message_that_does_not_come_on_is_waited_for_as_long_as_any_command() {
    let (_test, mut world) = world();
    let session = world.logged_in("alice");
    let (mut session, said) =
        world.say(session, b"a APPEND INBOX {22+}\r\nSubject: 1\r\n\r\nhello!\r\n\r\nb APPEND INBOX {99+}\r\nSub");
    // What was whole is answered, whatever becomes of the next.
    assert!(said.starts_with("a OK [APPENDUID "), "{said}");
    assert_eq!(session.patience(), world.settings.patience);
    assert!(matches!(session.step(), Step::Read));
    session.interrupt(Interrupt::TimedOut);
    assert!(String::from_utf8_lossy(&session.take_output()).starts_with("* BYE autologout"));
    assert_eq!(messages(&world), 1);
}

#[test]
fn a_message_of_itself_grows_to_the_limit_and_no_further() {
    let (_test, mut world) = world();
    world.settings.message_size_max = 1_000_000;
    let mut session = world.logged_in("alice");
    let mut said;
    (session, said) = world.say(session, b"s APPEND INBOX {22+}\r\nSubject: 1\r\n\r\nhello!\r\n\r\n");
    assert!(said.starts_with("s OK"), "{said}");
    // Each has the one before a hundred times.
    let mut uid = 1;
    loop {
        let parts = format!("URL /INBOX/;UID={uid} ").repeat(100);
        (session, said) = world.say(session, format!("a APPEND INBOX CATENATE ({parts})\r\n").as_bytes());
        if !said.contains("a OK") {
            break;
        }
        uid += 1;
        assert!(uid < 10, "it grows without end");
    }
    assert!(said.contains("a NO [TOOBIG] the message is too big") || said.contains("a NO [BADURL"), "{said}");
    assert_eq!(messages(&world), uid);
    // Ten thousand parts are none, whatever they are.
    let parts = "URL /a ".repeat(2_000);
    (session, said) = world.say(session, format!("b APPEND INBOX CATENATE ({parts})\r\nc NOOP\r\n").as_bytes());
    assert!(said.contains("b NO [LIMIT] the message has too many parts\r\n"), "{said}");
    let texts = "TEXT {1+}\r\nx ".repeat(10_000);
    (_, said) = world.say(session, format!("d APPEND INBOX CATENATE ({texts})\r\ne NOOP\r\n").as_bytes());
    assert!(said.contains("d NO [LIMIT] the message has too many parts\r\n") && said.contains("e OK"), "{said}");
}

#[test]
fn a_store_that_is_away_refuses_each_of_several_appends() {
    let (_test, mut world) = world();
    let session = world.logged_in("alice");
    let (session, _) = world.say(session, b"a NOOP\r\n");
    let mut session: Session = session;
    session.input(b"b APPEND INBOX {6+}\r\nA: 1\r\n\r\nc APPEND INBOX {6+}\r\nA: 2\r\n\r\nd NOOP\r\n");
    let mut said = Vec::new();
    loop {
        let step = session.step();
        said.extend(session.take_output());
        match step {
            Step::Do(job @ postroad_imapd::Job::Write(..)) => {
                world.away = true;
                session = world.perform(session, job);
                world.away = false;
            }
            Step::Do(job) => session = world.perform(session, job),
            _ => break,
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.starts_with("b NO [UNAVAILABLE]") && said.contains("\r\nc NO [UNAVAILABLE]"), "{said}");
    assert!(said.ends_with("d OK NOOP done\r\n"), "{said}");
    assert_eq!(messages(&world), 0);
}
