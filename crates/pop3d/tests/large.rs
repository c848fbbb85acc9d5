//! Large messages and large maildrops: in bounded pieces, and whole.

mod common;

use std::time::Duration;

use common::{World, open_settings};
use postroad_protocol::{Interrupt, Protocol, Step};
use postroad_testkit::TestStore;

/// Lines of many lengths, some with first dots: the octets in the end are those that were stored.
fn message(octets: usize) -> String {
    let mut text = String::from("Subject: large\r\n\r\n");
    let mut number = 0;
    while text.len() < octets {
        text.push_str(&".".repeat(number % 4));
        text.push_str(&format!("{number} {}\r\n", "x".repeat(number % 90)));
        number += 1;
    }
    text
}

/// A client's reading of a multi-line response: first line and text, dots unstuffed.
fn read(response: &str) -> (String, String) {
    let (first, rest) = response.split_once("\r\n").expect("a first line");
    let body = rest.strip_suffix(".\r\n").expect("a last line");
    let text: String = body.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
    (first.to_owned(), text)
}

/// RFC 6858: the headers of parts are known from what is stored beside the message; of one that another session took away meanwhile
/// the message's own is.
#[test]
fn headers_deep_in_a_large_message_come_in_ascii() {
    let test = TestStore::sqlite(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let part = |name: &str| {
        let lines = "0123456789".repeat(7) + "\r\n";
        let head = format!("--x\r\nContent-Type: a/b; name=\"{name}\"\r\nContent-Description: {name}\r\n\r\n");
        head + &lines.repeat(3_000)
    };
    let parts: String = ["Grüße", "plain", "über"].map(part).concat();
    let text = format!("Subject: Grüße\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n{parts}--x--\r\n");
    let expected = text
        .replace("Subject: Grüße", "Subject: =?utf-8?b?R3LDvMOfZQ==?=")
        .replace("Description: Grüße", "Description: =?utf-8?b?R3LDvMOfZQ==?=")
        .replace("Description: über", "Description: =?utf-8?q?=C3=BCber?=")
        .replace("name=\"Grüße\"", "name*=utf-8''Gr%C3%BC%C3%9Fe")
        .replace("name=\"über\"", "name*=utf-8''%C3%BCber");
    world.deliver("alice", text.as_bytes());
    let session = world.logged_in("alice").expect("a login");
    let (session, said, _) = world.say(session, b"RETR 1\r\n");
    let (_, got) = read(&said);
    assert!(got == expected, "{}", &got[..300]);
    world.remove("alice", 1);
    let (session, said, _) = world.say(session, b"RETR 1\r\n");
    let (_, got) = read(&said);
    assert!(got == text.replacen("Subject: Grüße", "Subject: =?utf-8?b?R3LDvMOfZQ==?=", 1));
    let (_, said, _) = world.say(session, b"QUIT\r\n");
    assert!(said.starts_with("+OK"));
}

#[test]
fn a_large_message_comes_in_pieces_and_whole() {
    let test = TestStore::sqlite(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let text = message(1_500_000);
    world.deliver("alice", text.as_bytes());
    let mut session = world.logged_in("alice").expect("a login");
    session.input(b"RETR 1\r\n");
    let (mut all, mut pieces, mut largest) = (Vec::new(), 0, 0);
    loop {
        let step = session.step();
        let piece = session.take_output();
        pieces += usize::from(!piece.is_empty());
        largest = largest.max(piece.len());
        all.extend(piece);
        match step {
            Step::Do(job) => session = world.perform(session, job),
            _ => break,
        }
    }
    assert!(pieces > 8 && largest < 300_000, "{pieces} pieces, the largest of {largest}");
    let (first, got) = read(&String::from_utf8(all).expect("text"));
    assert_eq!(first, format!("+OK {} octets", text.len()));
    assert!(got == text, "what comes is what was stored");
    let (_, said, _) = world.say(session, b"TOP 1 0\r\nNOOP\r\n");
    let (top, noop) = said.split_once(".\r\n").expect("a last line");
    assert!(top.ends_with("Subject: large\r\n\r\n") && noop.starts_with("+OK"), "{said}");
}

#[test]
fn a_store_that_goes_away_in_the_middle_ends_the_connection() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    world.deliver("alice", message(600_000).as_bytes());
    let session = world.logged_in("alice").expect("a login");
    world.away_after = Some(2);
    let (_, said, closed) = world.say(session, b"DELE 1\r\nRSET\r\nRETR 1\r\nQUIT\r\n");
    assert!(closed && said.contains("octets\r\nSubject") && !said.ends_with(".\r\n") && !said.contains("-ERR"));
    world.away_after = None;
    assert_eq!(world.inbox("alice"), "1/0");
}

#[test]
fn many_listings_in_one_piece_are_all_answered() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for number in 0..50 {
        world.deliver("alice", format!("Subject: {number}\r\n\r\n").as_bytes());
    }
    let session = world.logged_in("alice").expect("a login");
    let (session, said, _) = world.say(session, b"LIST\r\n");
    assert_eq!(said.lines().count(), 52);
    assert!(world.pauses.is_empty(), "a short listing needs no pause");
    let (_, said, _) = world.say(session, "UIDL\r\n".repeat(300).as_bytes());
    assert_eq!(said.matches("+OK 50 messages").count(), 300);
}

#[test]
fn failed_logins_wait_longer_and_end() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let mut session = world.connect(open_settings(), [203, 0, 113, 9], Some(common::tls()));
    for attempt in 1..=5 {
        let (back, said, closed) = world.say(session, b"USER alice@example.test\r\nPASS wrong\r\n");
        assert!(said.contains("-ERR [AUTH]"), "{said}");
        assert_eq!(closed, attempt == 5);
        session = back;
    }
    assert_eq!(world.pauses, [2, 4, 8, 16, 16].map(Duration::from_secs));
}

#[test]
fn a_session_that_breaks_off_deletes_nothing() {
    for why in [Interrupt::TimedOut, Interrupt::ShuttingDown, Interrupt::Closed] {
        let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
        let mut world = World::new(&test);
        world.deliver("alice", b"Subject: x\r\n\r\n");
        let session = world.logged_in("alice").expect("a login");
        let (mut session, said, _) = world.say(session, b"DELE 1\r\n");
        assert!(said.starts_with("+OK"));
        session.interrupt(why);
        assert_eq!(session.step(), Step::Close);
        let words = String::from_utf8(session.take_output()).expect("text");
        // RFC 1939 §3: autologout sends no response.
        assert_eq!(words.is_empty(), why != Interrupt::ShuttingDown, "{words}");
        assert_eq!(world.inbox("alice"), "1/0");
    }
}

#[test]
fn a_server_that_stops_says_nothing_inside_a_message_and_finishes_quit() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    world.deliver("alice", message(600_000).as_bytes());
    let mut session = world.logged_in("alice").expect("a login");
    session.input(b"RETR 1\r\n");
    let Step::Do(job) = session.step() else { panic!("a message needs a job") };
    session = world.perform(session, job);
    assert!(!session.take_output().is_empty());
    session.interrupt(Interrupt::ShuttingDown);
    assert_eq!((session.step(), session.take_output()), (Step::Close, Vec::new()));

    let mut session = world.logged_in("alice").expect("a login");
    session.input(b"DELE 1\r\nQUIT\r\n");
    let Step::Do(job) = session.step() else { panic!("QUIT needs a job") };
    session.interrupt(Interrupt::ShuttingDown);
    session = world.perform(session, job);
    assert_eq!(session.step(), Step::Close);
    assert!(session.take_output().ends_with(b"goodbye\r\n"));
    assert_eq!(world.inbox("alice"), "");
}
