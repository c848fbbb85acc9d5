//! Mailboxes of others: writes that cross between accounts, what they cost, and what one's own do not.

mod common;

use std::thread;

use postroad_mail::audit;
use postroad_testkit::{TestStore, each_store};

use common::{PEOPLE, World};

/// Gives everybody all rights to a mailbox.
fn open_to_all(world: &mut World, name: &str, mailbox: &str) {
    let session = world.logged_in(name);
    let (_, said) = world.say(session, format!("a SETACL {mailbox} anyone lrswipkxtea\r\n").as_bytes());
    assert!(said.contains("a OK"), "{said}");
}

/// Alice moves to Bob while Bob moves to Alice: each write takes both locks in the same order, so none waits for ever
/// and no message is lost or doubled.
#[test]
fn two_who_move_to_each_other_do_not_wait_in_a_ring() {
    const ROUNDS: u32 = 12;
    each_store(&[postroad_mail::MIGRATIONS], |test| {
        let mut world = World::new(test);
        for name in ["alice", "bob"] {
            open_to_all(&mut world, name, "INBOX");
            for number in 0..ROUNDS {
                world.deliver(name, "INBOX", &[], &format!("Subject: {name} {number}\r\n\r\nx\r\n"));
            }
        }
        thread::scope(|scope| {
            for (from, to) in [("alice", "bob"), ("bob", "alice")] {
                let mut world = world.share();
                scope.spawn(move || {
                    let session = world.logged_in(from);
                    let (mut session, _) = world.say(session, b"s SELECT INBOX\r\n");
                    for round in 0..ROUNDS {
                        let command = format!("m{round} MOVE 1 \"Other Users/{to}@example.test/INBOX\"\r\n");
                        let said;
                        (session, said) = world.say(session, command.as_bytes());
                        assert!(said.contains(&format!("m{round} OK")), "{said}");
                    }
                });
            }
        });
        let session = world.logged_in("alice");
        let status = "s STATUS INBOX (MESSAGES)\r\nt STATUS \"Other Users/bob@example.test/INBOX\" (MESSAGES)\r\n";
        let (_, said) = world.say(session, status.as_bytes());
        let counts: Vec<u32> = said
            .lines()
            .filter_map(|line| line.split("(MESSAGES ").nth(1))
            .filter_map(|rest| rest.trim_end_matches(')').parse().ok())
            .collect();
        assert_eq!(counts.iter().sum::<u32>(), 2 * ROUNDS, "{said}");
        for name in PEOPLE {
            let account = world.accounts[name];
            let faults = world.store.read_blocking(move |tx| audit::audit(tx, account)).expect("an audit");
            assert_eq!(faults, [], "{name}");
        }
    });
}

/// A command in another's account begins again once, with the lock that it turned out to need; APPEND, which looks before
/// it takes the message, does not. One's own never do.
#[test]
fn a_write_elsewhere_takes_one_job_more() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    open_to_all(&mut world, "bob", "INBOX");
    world.deliver("alice", "INBOX", &[], "Subject: x\r\n\r\nx\r\n");
    let other = "\"Other Users/bob@example.test/INBOX\"";
    for (command, label, jobs) in [
        ("COPY 1 Archive".to_owned(), "copy", 1),
        (format!("COPY 1 {other}"), "copy", 2),
        (format!("MOVE 1 {other}"), "move", 2),
        ("CREATE new".to_owned(), "create", 1),
        (format!("CREATE {}/new\"", other.trim_end_matches('"')), "create", 2),
        (format!("SETACL {other} carol lr"), "setacl", 2),
        ("SETACL INBOX carol lr".to_owned(), "setacl", 1),
        (format!("SUBSCRIBE {other}"), "subscribe", 1),
        (format!("STATUS {other} (MESSAGES)"), "status", 1),
        (format!("SELECT {other}"), "select", 1),
    ] {
        let session = world.logged_in("alice");
        let (session, _) = world.say(session, b"s SELECT INBOX\r\n");
        world.jobs.clear();
        let (_, said) = world.say(session, format!("t {command}\r\n").as_bytes());
        assert!(said.contains("t OK"), "{command}: {said}");
        assert_eq!(world.jobs.get(label), Some(&jobs), "{command}: {:?}", world.jobs);
    }
}
