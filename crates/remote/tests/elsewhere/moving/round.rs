//! From a real Dovecot to us and back to it, with odd messages and names.

use std::collections::BTreeMap;
use std::time::Instant;

use postroad_remote::migrate::Wish;

use super::world::{World, access, outwards, proved, taken, wish};
use crate::account::Mail;
use postroad_testkit::Dovecot;

fn message(subject: &str, body: &str) -> Vec<u8> {
    format!(
        "From: a@there.test\r\nTo: alice@there.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@there.test>\r\n\
         Date: Mon, 7 Feb 2022 21:52:25 -0800\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

/// Messages that something could go wrong with.
fn odd() -> Vec<(&'static str, u64, Vec<u8>)> {
    let large = format!("{}\r\n", "0123456789abcdef".repeat(4)).repeat(40_000);
    vec![
        ("S", 1_500_000_000, message("seen", "plain")),
        ("FRS", 1_500_000_001, message("flagged-answered", "plain")),
        ("D", 1_500_000_002, message("draft", "plain")),
        ("T", 1_500_000_003, message("deleted", "plain")),
        ("", 1_500_000_004, message("new", "plain")),
        ("", 1_500_000_005, message("same", "twice")),
        ("", 1_500_000_006, message("same", "twice")),
        ("", 1_500_000_007, message("bare-cr", "a\rb")),
        ("", 1_500_000_008, message("8bit", "\u{fc}\u{20ac}")),
        ("", 1_500_000_009, message("braces", "{5}\r\n* OK [ALERT] no\r\n)\r\nP1 OK done")),
        ("", 1_500_000_010, b"no header at all".to_vec()),
        ("", 1_500_000_011, b"Subject: only-header\r\n\r\n".to_vec()),
        ("", 1_500_000_012, message("large", &large)),
        ("", 1_500_000_013, message("latin", "x").into_iter().chain(*b"\xe9\xff\xfe\r\n").collect()),
    ]
}

fn bulk(count: usize) -> Vec<(&'static str, u64, Vec<u8>)> {
    let flags = ["", "S", "FS", "RS"];
    let one = |number: usize| {
        let body = format!("line of message {number}\r\n").repeat(1 + number % 40);
        let seconds = 1_400_000_000 + number as u64;
        (flags[number % 4], seconds, message(&format!("bulk-{number}"), &body))
    };
    (0..count).map(one).collect()
}

fn by_octets(mails: Vec<Mail>) -> BTreeMap<Vec<u8>, Vec<(String, i64)>> {
    let mut all: BTreeMap<Vec<u8>, Vec<(String, i64)>> = BTreeMap::new();
    for mail in mails {
        all.entry(mail.octets).or_default().push((mail.marks, mail.date));
    }
    all
}

#[test]
fn an_account_of_dovecot_comes_over_and_goes_back() {
    let dovecot = Dovecot::start();
    dovecot.put("alice", "INBOX", &odd());
    dovecot.put("alice", "Sent", &bulk(150));
    dovecot.put("alice", "Work.Entw&APw-rfe", &bulk(30));
    dovecot.put("alice", "Work.R&-D 50%", &bulk(3));
    dovecot.put("alice", "Empty", &[]);
    let world = World::new();
    let alice = access("alice", dovecot.port(143));

    let looked = world.migrate(&alice, &Wish { dry: true, ..wish() });
    assert_eq!((looked.error.clone(), taken(&looked)), (None, 197), "{looked:?}");
    assert!(world.mails("INBOX").is_empty());

    let report = world.migrate(&alice, &Wish { prove: true, ..wish() });
    proved(&report);
    assert_eq!(taken(&report), 197);
    assert_eq!(report.folders.iter().map(|folder| folder.fetched_again.unwrap_or(0)).sum::<u64>(), 197);
    assert_eq!(world.mails("Work/Entwürfe").len(), 30);
    assert_eq!(world.mails("Work/R&D 50%").len(), 3);
    assert_eq!(world.mails("Empty"), []);
    assert_eq!(world.mails("Sent").len(), 150);
    let inbox = world.mails("INBOX");
    let of = |subject: &str| inbox.iter().find(|mail| mail.subject == subject).unwrap().clone();
    assert_eq!(of("seen").marks, "\\Seen");
    assert_eq!(of("flagged-answered").marks, "\\Answered \\Flagged \\Seen");
    assert_eq!(of("draft").marks, "\\Draft");
    assert_eq!(of("deleted").marks, "\\Deleted");
    assert_eq!((of("new").marks.as_str(), of("new").date), ("", 1_500_000_004));
    assert_eq!(of("braces").octets, odd()[9].2, "octet for octet");

    let again = world.migrate(&alice, &wish());
    proved(&again);
    assert_eq!(taken(&again), 0, "nothing comes twice");

    // Incremental until the cut: new, other flags, gone.
    dovecot.put("alice", "INBOX", &[("S", 1_600_000_000, message("later", "x"))]);
    dovecot.flag("alice", "INBOX", "<seen@there.test>", "FS");
    dovecot.remove("alice", "INBOX", "<new@there.test>");
    let third = world.migrate(&alice, &wish());
    proved(&third);
    assert_eq!(taken(&third), 1);
    let inbox = third.folders.iter().find(|folder| folder.folder == "INBOX").unwrap();
    assert_eq!((inbox.flags, inbox.gone), (1, 1));
    let subjects = world.subjects("INBOX");
    assert!(subjects.contains(&"later".to_owned()) && !subjects.contains(&"new".to_owned()));
    assert_eq!(world.mails("INBOX").iter().find(|mail| mail.subject == "seen").unwrap().marks, "\\Flagged \\Seen");

    // After it only what is new.
    let cut = world.migrate(&alice, &Wish { cut_over: true, ..wish() });
    proved(&cut);
    dovecot.remove("alice", "INBOX", "<later@there.test>");
    dovecot.put("alice", "INBOX", &[("", 1_600_000_001, message("last", "x"))]);
    let after = world.migrate(&alice, &wish());
    assert_eq!((after.error.clone(), taken(&after)), (None, 1));
    assert!(world.subjects("INBOX").contains(&"later".to_owned()));

    // Back: into another account there.
    let bob = access("bob", dovecot.port(143));
    let report = world.mirror(&bob, &outwards());
    proved(&report);
    let here: usize =
        ["INBOX", "Sent", "Work/Entwürfe", "Work/R&D 50%"].iter().map(|name| world.mails(name).len()).sum();
    assert_eq!(taken(&report), here as u64);
    let again = world.mirror(&bob, &outwards());
    proved(&again);
    assert_eq!(taken(&again), 0);

    // And it is what it was: taken over once more, into an account that had nothing.
    let second = World::new();
    proved(&second.migrate(&bob, &wish()));
    for name in ["INBOX", "Sent", "Work/Entwürfe", "Work/R&D 50%"] {
        assert_eq!(by_octets(second.mails(name)), by_octets(world.mails(name)), "{name}");
    }
}

#[test]
fn folders_are_chosen_and_mapped() {
    let dovecot = Dovecot::start();
    dovecot.put("alice", "INBOX", &bulk(2));
    dovecot.put("alice", "Work", &bulk(3));
    dovecot.put("alice", "Work.Old", &bulk(4));
    dovecot.put("alice", "Spam", &bulk(5));
    let world = World::new();
    let wish = Wish {
        only: vec!["Work".into(), "INBOX".into()],
        except: vec!["Spam".into()],
        map: vec![("Work".into(), "Firm/2024".into())],
        ..wish()
    };
    let report = world.migrate(&access("alice", dovecot.port(143)), &wish);
    proved(&report);
    assert_eq!(world.mails("Firm/2024").len(), 3);
    assert_eq!(world.mails("Firm/2024/Old").len(), 4);
    assert!(report.left_out.iter().any(|(name, _)| name == "Spam"));
    let wrong =
        world.migrate(&access("alice", dovecot.port(143)), &Wish { only: vec!["Wrok".into()], ..Wish::default() });
    assert!(wrong.error.unwrap().contains("there is no folder Wrok"));
}

#[test]
fn the_quota_is_told_before_anything_comes() {
    let dovecot = Dovecot::start();
    dovecot.put("alice", "INBOX", &bulk(5));
    let world = World::with_quota(4);
    let report = world.migrate(&access("alice", dovecot.port(143)), &wish());
    assert!(report.error.as_ref().unwrap().contains("quota"), "{report:?}");
    assert!(world.mails("INBOX").is_empty());
}

#[test]
fn a_wrong_password_is_said_in_the_server_s_words() {
    let dovecot = Dovecot::start();
    let mut access = access("alice", dovecot.port(143));
    access.credential = postroad_remote::Credential::Password("wrong".into());
    let report = World::new().migrate(&access, &wish());
    assert!(report.error.unwrap().contains("does not let alice in"));
}

/// Run by hand: `cargo test -p postroad-remote --release -- --ignored --nocapture twenty`.
#[test]
#[ignore = "minutes: a mailbox of 20,000 messages, there and back"]
fn twenty_thousand_messages_come_over_and_go_back() {
    let dovecot = Dovecot::start();
    dovecot.put("alice", "INBOX", &bulk(20_000));
    let world = World::new();
    for (what, report) in [
        ("here", {
            let begun = Instant::now();
            (world.migrate(&access("alice", dovecot.port(143)), &Wish { prove: true, ..wish() }), begun.elapsed())
        }),
        ("back", {
            let begun = Instant::now();
            (world.mirror(&access("bob", dovecot.port(143)), &outwards()), begun.elapsed())
        }),
    ] {
        let (report, took) = report;
        println!("{what}: {took:?}\n{}", serde_json::to_string_pretty(&report).unwrap());
        proved(&report);
        assert_eq!(taken(&report), 20_000);
    }
}
