//! Messages made to hurt: stored byte for byte, and every question about them is answered.

mod common;

use common::World;
use postroad_testkit::{TestStore, hostile};

/// A job stops before its question is answered only when it has said or read so much: the least that the session's budgets let
/// a job do.
const SAID_PER_JOB: usize = 256 * 1024;
const READ_PER_JOB: usize = 1024 * 1024;
/// The text of a message is read to be measured and to be told, or as it is and as what it unpacks to.
const READINGS: usize = 2;
/// A structure is cut off at its limits; besides it no question asks for more than the message once.
const STRUCTURE_MAX: usize = 1024 * 1024;

const QUESTIONS: [&str; 9] = [
    "FETCH 1 (ENVELOPE BODYSTRUCTURE RFC822.SIZE)",
    "FETCH 1 (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[HEADER.FIELDS (Subject)])",
    "FETCH 1 (BODY.PEEK[99999] BODY.PEEK[HEADER]<0.100>)",
    "FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])",
    "FETCH 1 (PREVIEW)",
    "SEARCH OR SUBJECT hurt SENTSINCE 1-Jan-1990",
    "SEARCH TEXT \"the end\"",
    "SORT (SUBJECT DATE FROM) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
];

#[test]
fn hostile_messages_are_shown_like_others() {
    for message in &hostile::messages() {
        let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
        let mut world = World::new(&test);
        world.deliver("alice", "INBOX", &[], message);
        let session = world.logged_in("alice");
        let (mut session, _) = world.say(session, b"s SELECT INBOX\r\n");
        for question in QUESTIONS {
            let said;
            world.jobs.clear();
            (session, said) = world.say(session, format!("q {question}\r\n").as_bytes());
            // Work, not time: how often the database was asked, and how much was made of it.
            let jobs: u32 = world.jobs.values().sum();
            let most = 1 + said.len() / SAID_PER_JOB + (READINGS * message.len()).div_ceil(READ_PER_JOB);
            assert!(jobs as usize <= most, "{question}: {jobs} jobs for {} octets", said.len());
            assert!(said.len() <= STRUCTURE_MAX + message.len(), "{question}: {} octets", said.len());
            assert!(said.contains("\r\nq OK ") || said.starts_with("q OK "), "{question}: {} octets", said.len());
        }
        let (_, said) = world.say(session, b"w FETCH 1 BODY[]\r\n");
        assert!(said.contains(&format!("{{{}}}\r\n{message}", message.len())), "not the same octets");
    }
}
