//! Messages made to hurt whoever searches them: indexed, searched, found, without a stall.

mod common;

use common::World;
use postroad_testkit::TestStore;

fn found(world: &mut World, keys: &str) -> String {
    let session = world.logged_in("alice");
    let (_, said) = world.say(session, format!("a EXAMINE INBOX\r\nb UID SEARCH CHARSET UTF-8 {keys}\r\n").as_bytes());
    let found = said.split("* SEARCH").nth(1).and_then(|rest| rest.split("\r\n").next());
    found.unwrap_or_else(|| panic!("{keys}: {said}")).to_owned()
}

#[test]
fn hostile_messages_are_searched_like_others() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let parts = "--b\r\n\r\n\r\n".repeat(100_000);
    let messages = [
        format!(
            "Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst words\r\n{parts}--b--\r\n"
        ),
        format!("Subject: large header\r\n{}\r\nbody of it\r\n", "X-Filler: 0123456789 abcdefgh\r\n".repeat(30_000)),
        // Lone surrogates in UTF-8, UTF-16 and UTF-7, and encoded words that break off.
        "Subject: =?utf-8?q?=ED=A0=80?= =?utf-16be?b?2AA=?= =?utf-7?q?+2AA-?= =?utf-8?b?///= surrogates\r\n\
         Date: Mon, 1 Jan 99999 00:00:00 +0000\r\n\r\nalone\r\n"
            .to_owned(),
        format!(
            "Subject: html\r\nContent-Type: text/html\r\n\r\n{}deep words",
            "<b>&#x110000;&#xD800;&unknown;<".repeat(20_000)
        ),
        format!(
            "Subject: marks\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nz{}a",
            "\u{301}\u{323}".repeat(50_000)
        ),
        format!(
            "Subject: {}nested\r\n\r\nin a message",
            "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n".repeat(20)
        ),
        // Behind the limit of parts within each other the rest is one text.
        format!(
            "Subject: {}nested\r\n\r\nout of sight",
            "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n".repeat(500)
        ),
    ];
    for message in &messages {
        world.deliver("alice", "INBOX", &[], message);
    }
    // So many that the index is asked.
    for number in 0..80 {
        world.deliver("alice", "INBOX", &[], &format!("Subject: plain {number}\r\n\r\nnothing\r\n"));
    }
    let keys = [
        ("TEXT \"st wor\"", " 1"),
        ("TEXT \"89 abc\"", " 2"),
        ("BODY \"body of\"", " 2"),
        ("SUBJECT surrogates", " 3"),
        ("BODY alone", " 3"),
        ("TEXT \"ep wor\"", " 4"),
        ("SUBJECT marks", " 5"),
        ("TEXT \"in a mess\"", " 6"),
        ("TEXT \"out of sight\"", " 7"),
        ("SENTSINCE 1-Jan-2999 SUBJECT surrogates", ""),
        ("FUZZY TEXT \"deep words\"", " 4"),
    ];
    let before: Vec<String> = keys.iter().map(|(keys, _)| found(&mut world, keys)).collect();
    world.index("alice");
    for ((keys, expected), before) in keys.iter().zip(before) {
        assert_eq!(before, *expected, "{keys} before there is an index");
        assert_eq!(found(&mut world, keys), *expected, "{keys}");
    }
}

/// Keys made to cost: many, deep, long.
#[test]
fn keys_have_limits() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for number in 0..100 {
        let body = "aaaaaaaaab".repeat(200);
        world.deliver("alice", "INBOX", &[], &format!("Subject: plain {number}\r\n\r\n{body}\r\n"));
    }
    world.index("alice");
    // Of more texts than the index is asked about at once, each is decided all the same.
    let many: String = (0..200).map(|number| format!("NOT TEXT \"absent{number}\" ")).collect();
    assert_eq!(found(&mut world, &format!("UID 1:3 {many}ALL")), " 1 2 3");
    assert_eq!(found(&mut world, &format!("{many}SUBJECT \"plain 7\"")), " 8 71 72 73 74 75 76 77 78 79 80");
    // A text of 50,000 letters that almost is there at every place.
    let long = "a".repeat(50_000);
    assert_eq!(found(&mut world, &format!("TEXT {{{}+}}\r\n{long}", long.len())), "");
    let words = "aaaa ".repeat(10_000);
    assert_eq!(found(&mut world, &format!("FUZZY TEXT {{{}+}}\r\n{words}", words.len())).split(' ').count(), 101);
    // Within each other more than the grammar allows.
    let session = world.logged_in("alice");
    let deep = format!("a EXAMINE INBOX\r\nb UID SEARCH {}ALL\r\n", "FUZZY ".repeat(200));
    let (_, said) = world.say(session, deep.as_bytes());
    assert!(said.contains("b BAD"), "{said}");
}
