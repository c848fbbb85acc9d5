//! Messages made to hurt: stored byte for byte, listed and retrieved as others are, in bounded pieces.

mod common;

use common::World;
use postroad_protocol::{Protocol, Step};
use postroad_testkit::{TestStore, hostile};

/// No answer is held whole in memory: a session hands on so much at once.
const PIECE_MAX: usize = 300_000;

/// A client's reading of a multi-line response: dots unstuffed.
fn text(response: &str) -> String {
    let (first, rest) = response.split_once("\r\n").expect("a first line");
    assert!(first.starts_with("+OK"), "{first}");
    let body = rest.strip_suffix(".\r\n").expect("a last line");
    body.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect()
}

/// What is said to a command.
fn said(world: &mut World, mut session: postroad_pop3d::Session, command: &str) -> (postroad_pop3d::Session, String) {
    session.input(format!("{command}\r\n").as_bytes());
    let mut all = Vec::new();
    loop {
        let step = session.step();
        let piece = session.take_output();
        assert!(piece.len() < PIECE_MAX, "{command}: {} octets at once", piece.len());
        all.extend(piece);
        match step {
            Step::Do(job) => session = world.perform(session, job),
            _ => return (session, String::from_utf8(all).expect("text")),
        }
    }
}

#[test]
fn hostile_messages_are_listed_and_retrieved_like_others() {
    // Lines that end the answer, if nobody looks.
    let dots = format!("Subject: dots\r\n\r\n{}.\r\n..\r\n.QUIT\r\n", ".\r\n".repeat(50_000));
    let messages: Vec<String> = hostile::messages().into_iter().chain([dots]).collect();
    for test in [TestStore::memory(&[postroad_mail::MIGRATIONS]), TestStore::sqlite(&[postroad_mail::MIGRATIONS])] {
        let mut world = World::new(&test);
        for message in &messages {
            world.deliver("alice", message.as_bytes());
        }
        let mut session = world.logged_in("alice").expect("a login");
        let mut answer;
        (session, answer) = said(&mut world, session, "LIST");
        let sizes: String = (1..).zip(&messages).map(|(number, one)| format!("{number} {}\r\n", one.len())).collect();
        assert_eq!(text(&answer), sizes);
        (session, answer) = said(&mut world, session, "UIDL");
        assert_eq!(text(&answer).lines().count(), messages.len());
        for (number, message) in (1..).zip(&messages) {
            (session, answer) = said(&mut world, session, &format!("TOP {number} 0"));
            let (header, _) = message.split_once("\r\n\r\n").expect("a header");
            assert!(text(&answer) == format!("{header}\r\n\r\n"), "TOP {number} 0");
            (session, answer) = said(&mut world, session, &format!("TOP {number} 2"));
            assert!(message.starts_with(&text(&answer)) && text(&answer).len() > header.len(), "TOP {number} 2");
            (session, answer) = said(&mut world, session, &format!("RETR {number}"));
            assert!(text(&answer) == *message, "RETR {number}: not the same octets");
        }
        (_, answer) = said(&mut world, session, "NOOP");
        assert!(answer.starts_with("+OK"), "{answer}");
    }
}
