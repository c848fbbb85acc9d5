//! FETCH and SEARCH of what does not fit into one job.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use common::World;
use postroad_protocol::{Protocol, Step};
use postroad_store::{Locks, params};
use postroad_testkit::TestStore;

/// No job's output is above this: its budget, and a piece that was begun before.
const OUTPUT_MAX: usize = 640 * 1024;

/// Carries out commands, demanding that each job says little. All that was said.
fn frugally(world: &mut World, commands: &str) -> Vec<u8> {
    let mut session = world.logged_in("alice");
    session.input(commands.as_bytes());
    let mut said = Vec::new();
    loop {
        let step = session.step();
        let out = session.take_output();
        assert!(out.len() <= OUTPUT_MAX, "{} octets at once", out.len());
        said.extend(out);
        match step {
            Step::Do(job) => session = world.perform(session, job),
            Step::Read | Step::Wait(_) | Step::Close => return said,
            Step::StartTls | Step::StartCompression | Step::EndCompression => panic!("nobody asked for it"),
        }
    }
}

fn world() -> (TestStore, World) {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let world = World::new(&test);
    (test, world)
}

/// What follows `head` in `said`, `length` octets of it.
fn after<'a>(said: &'a [u8], head: &str, length: usize) -> &'a [u8] {
    let at = said.windows(head.len()).position(|window| window == head.as_bytes());
    let at = at.unwrap_or_else(|| panic!("{head:?} was not said")) + head.len();
    &said[at..at + length]
}

fn ends_with(said: &[u8], end: &str) {
    let tail = String::from_utf8_lossy(&said[said.len() - end.len()..]).into_owned();
    assert_eq!(tail, end);
}

#[test]
fn a_large_message_flows() {
    let (_test, mut world) = world();
    let line = "All work and no play makes Jack a dull boy. 0123456789 0123456789\r\n";
    let message = format!("Subject: large\r\n\r\n{}", line.repeat(50_000));
    world.deliver("alice", "INBOX", &[], &message);
    let size = message.len();
    let said = frugally(
        &mut world,
        "a EXAMINE INBOX\r\nb FETCH 1 (BODY[] UID BODY[TEXT]<1000000.1000000> FLAGS)\r\nc NOOP\r\n",
    );
    assert!(after(&said, &format!("BODY[] {{{size}}}\r\n"), size) == message.as_bytes());
    let rest = after(&said, " UID 1 BODY[TEXT]<1000000> {1000000}\r\n", 1_000_000);
    assert!(rest == &message.as_bytes()[1_000_018..2_000_018]);
    ends_with(&said, " FLAGS (\\Recent))\r\nb OK FETCH done\r\nc OK NOOP done\r\n");
    assert!(world.jobs["fetch"] > 10, "{:?}", world.jobs);
}

#[test]
fn a_large_part_is_decoded_in_pieces() {
    let (_test, mut world) = world();
    let content: Vec<u8> = (0..3_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let encoded = STANDARD.encode(&content);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let head = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    world.deliver("alice", "INBOX", &[], &format!("{head}{}\r\n", lines.join("\r\n")));
    let said =
        frugally(&mut world, "a EXAMINE INBOX\r\nb FETCH 1 (BINARY.SIZE[1] BINARY[1] BINARY[1]<2000000.500> UID)\r\n");
    assert!(after(&said, "BINARY.SIZE[1] 3000000 BINARY[1] ~{3000000}\r\n", content.len()) == content);
    assert!(after(&said, " BINARY[1]<2000000> ~{500}\r\n", 500) == &content[2_000_000..2_000_500]);
    ends_with(&said, " UID 1)\r\nb OK FETCH done\r\n");
}

#[test]
fn reading_many_messages_makes_them_seen() {
    let (_test, mut world) = world();
    const COUNT: usize = 620;
    for number in 1..=COUNT {
        let flags: &[&str] = if number % 10 == 0 { &["\\Seen"] } else { &[] };
        world.deliver("alice", "INBOX", flags, &format!("Subject: {number}\r\n\r\nBody {number}\r\n"));
    }
    let said = frugally(
        &mut world,
        "a SELECT INBOX\r\nb FETCH 1:* BODY[TEXT]\r\nc NOOP\r\nd STATUS INBOX (UNSEEN)\r\ne UID FETCH 1:* (UID)\r\n",
    );
    let said = String::from_utf8(said).expect("text");
    assert_eq!(said.matches(" FETCH (BODY[TEXT] ").count(), COUNT);
    // Only what changed tells its flags, and tells them once.
    assert_eq!(said.matches("FLAGS (\\Seen \\Recent)").count(), COUNT - COUNT / 10);
    assert!(said.contains("b OK FETCH done\r\nc OK NOOP done\r\n* STATUS INBOX (UNSEEN 0)\r\n"), "{said}");
    assert_eq!(said.matches(" FETCH (UID ").count(), COUNT);
    // Two stretches: each is looked at, written, told.
    assert!(world.jobs["fetch"] <= 7 + 1, "{:?}", world.jobs);
}

#[test]
fn text_is_found_across_pieces() {
    let (_test, mut world) = world();
    // Piece borders lie at multiples of 256 KiB of the encoded body: a needle on each, in UTF-8.
    const PIECE: usize = 256 * 1024;
    let mut body = String::new();
    for border in 1..=3usize {
        let needle = format!("needle Grüße {border}");
        let from = border * PIECE - needle.len() / 2;
        while body.len() < from {
            let left = from - body.len();
            if left < 60 { body.push('.') } else { body.push_str("The quick brown fox jumps over the lazy dog.\r\n") }
        }
        body.push_str(&needle);
    }
    body.push_str("\r\nthe end\r\n");
    let head = "Subject: long\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    world.deliver("alice", "INBOX", &[], &format!("{head}{body}"));
    let encoded = STANDARD.encode(&body);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let head = "Subject: coded\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    world.deliver("alice", "INBOX", &[], &format!("{head}{}\r\n", lines.join("\r\n")));
    let mut commands = "a EXAMINE INBOX\r\n".to_owned();
    for border in 1..=3 {
        commands.push_str(&format!("b{border} SEARCH BODY \"NEEDLE GRÜSSE {border}\"\r\n"));
        commands.push_str(&format!("c{border} SEARCH BODY \"needle grüße {border}\"\r\n"));
    }
    commands.push_str("d SEARCH TEXT \"the end\" NOT BODY \"nowhere\"\r\ne SEARCH BODY \"needle 4\"\r\n");
    let said = String::from_utf8(frugally(&mut world, &commands)).expect("text");
    for border in 1..=3 {
        assert!(said.contains(&format!("* SEARCH\r\nb{border} OK")), "{said}");
        assert!(said.contains(&format!("* SEARCH 1 2\r\nc{border} OK")), "{said}");
    }
    assert!(said.ends_with("* SEARCH 1 2\r\nd OK SEARCH done\r\n* SEARCH\r\ne OK SEARCH done\r\n"), "{said}");
}

/// Takes the bytes of one message out of the store, as a broken disk would.
fn lose_bytes(world: &World, size: usize) {
    let lost = world.store.write_blocking(Locks::none(), move |tx| {
        tx.execute("DELETE FROM blob WHERE size = $1", params![i64::try_from(size).unwrap_or(0)])
            .map_err(postroad_mail::Error::from)
    });
    assert_eq!(lost.expect("it can be lost").value, 1);
}

#[test]
fn a_lost_message_does_not_hide_the_others() {
    let (_test, mut world) = world();
    for number in 1..=3 {
        world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(number)));
    }
    lose_bytes(&world, "Subject: 2\r\n\r\nxx\r\n".len());
    let said = frugally(
        &mut world,
        "a EXAMINE INBOX\r\nb FETCH 1:3 (UID BODY[TEXT])\r\nc FETCH 1:3 (ENVELOPE)\r\nd SEARCH BODY x\r\n",
    );
    let said = String::from_utf8(said).expect("text");
    let told = "* 1 FETCH (UID 1 BODY[TEXT] {3}\r\nx\r\n)\r\n* 3 FETCH (UID 3 BODY[TEXT] {5}\r\nxxx\r\n)\r\nb NO ";
    assert!(said.contains(told), "{said}");
    assert_eq!(said.matches(" FETCH (ENVELOPE (").count(), 3);
    assert!(said.contains("* SEARCH 1 3\r\nd OK"), "{said}");
}

#[test]
fn a_store_lost_while_a_message_is_sent_ends_the_connection() {
    let (_test, mut world) = world();
    let message = format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(100_000));
    world.deliver("alice", "INBOX", &[], &message);
    let mut session = world.logged_in("alice");
    session.input(b"a EXAMINE INBOX\r\nb FETCH 1 BODY[]\r\nc NOOP\r\n");
    let mut said = Vec::new();
    loop {
        let step = session.step();
        said.extend(session.take_output());
        world.away = said.windows(4).any(|window| window == b"BODY");
        match step {
            Step::Do(job) => session = world.perform(session, job),
            Step::Close => break,
            Step::Read | Step::Wait(_) | Step::StartTls | Step::StartCompression | Step::EndCompression => {
                panic!("it goes on as if nothing had happened")
            }
        }
    }
    assert!(world.away && said.len() < message.len());
    assert!(said[said.len() - 100..].iter().all(|byte| b"0123456789\r\n".contains(byte)));
}

#[test]
fn a_message_lost_while_it_is_sent_ends_the_connection() {
    let (_test, mut world) = world();
    let message = format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(100_000));
    world.deliver("alice", "INBOX", &[], &message);
    let mut session = world.logged_in("alice");
    session.input(b"a EXAMINE INBOX\r\nb FETCH 1 BODY[]\r\nc NOOP\r\n");
    let mut said = Vec::new();
    let mut lost = false;
    loop {
        let step = session.step();
        said.extend(session.take_output());
        if !lost && said.windows(4).any(|window| window == b"BODY") {
            lose_bytes(&world, message.len());
            lost = true;
        }
        match step {
            Step::Do(job) => session = world.perform(session, job),
            Step::Close => break,
            Step::Read | Step::Wait(_) | Step::StartTls | Step::StartCompression | Step::EndCompression => {
                panic!("it goes on as if nothing had happened")
            }
        }
    }
    // No answer may be taken for the message's octets.
    assert!(said.len() < message.len());
    assert!(said[said.len() - 100..].iter().all(|byte| b"0123456789\r\n".contains(byte)));
    assert!(!said.windows(4).any(|window| window == b"b NO" || window == b"b OK"));
}
