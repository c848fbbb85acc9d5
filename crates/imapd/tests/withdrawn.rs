//! The right to read a mailbox is withdrawn while a command of several jobs tells of it: it does not go on (RFC 4314 §4).

mod common;

use postroad_imapd::{Job, Session};
use postroad_mail::acl::{self, Change};
use postroad_mail::{Actor, Address, By, MailboxId, Rights};
use postroad_protocol::{Protocol, Step};
use postroad_store::Locks;
use postroad_testkit::TestStore;

use common::World;

/// Messages made by copying: three, doubled twelve times.
const MANY: usize = 3 << 12;

/// Alice's INBOX with many messages.
fn many(world: &mut World) {
    for number in 0..3 {
        world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\nx\r\n"));
    }
    let session = world.logged_in("alice");
    let (mut session, _) = world.say(session, b"s SELECT INBOX\r\n");
    for _ in 0..12 {
        let said;
        (session, said) = world.say(session, b"c COPY 1:* INBOX\r\n");
        assert!(said.contains("c OK"), "{said}");
    }
}

/// Gives Bob these rights to Alice's INBOX.
fn give(world: &World, rights: &'static str) {
    let (alice, by) = (world.accounts["alice"], By::new(world.now, Actor::Admin));
    let given = world.store.write_blocking(Locks::account(alice), move |tx| {
        let owner = Address::parse("alice@example.test").expect("an address");
        let bob = acl::grantee(tx, &owner, "bob")?;
        let rights = Rights::parse(rights).expect("rights");
        acl::set(tx, &by, alice, MailboxId::INBOX, (&bob, false), Change::Replace, rights)
    });
    given.expect("it is given");
}

/// What is said to a command whose right goes after so many jobs.
fn interrupted(world: &mut World, mut session: Session, command: &[u8], jobs: usize) -> String {
    let (mut out, mut done) = (Vec::new(), 0);
    session.input(command);
    loop {
        let step = session.step();
        out.extend(session.take_output());
        let Step::Do(job) = step else { return String::from_utf8_lossy(&out).into_owned() };
        let counts = matches!(job, Job::Read(_) | Job::Write(..));
        session = world.perform(session, job);
        done += usize::from(counts);
        if counts && done == jobs {
            give(world, "l");
        }
    }
}

#[test]
fn what_may_no_longer_be_read_is_not_told_on() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    many(&mut world);
    for (command, told, end) in [
        (&b"f FETCH 1:* (ENVELOPE)\r\n"[..], " FETCH (ENVELOPE", "* BYE"),
        (b"f UID FETCH 1:* (UID BODYSTRUCTURE)\r\n", " FETCH (UID", "* BYE"),
    ] {
        give(&world, "lrs");
        let session = world.logged_in("bob");
        let (session, said) = world.say(session, b"s EXAMINE \"Other Users/alice@example.test/INBOX\"\r\n");
        assert!(said.contains("s OK"), "{said}");
        let said = interrupted(&mut world, session, command, 2);
        let lines = said.lines().filter(|line| line.contains(told)).count();
        assert!(0 < lines && lines < MANY / 2, "{lines} of {MANY}");
        assert!(said.lines().any(|line| line.starts_with(end)), "{}", said.lines().last().unwrap_or_default());
        assert!(!said.contains("f OK"));
    }
}

#[test]
fn a_search_in_several_mailboxes_leaves_out_what_may_no_longer_be_read() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    many(&mut world);
    let command = b"f ESEARCH IN (subtree \"Other Users\") RETURN (COUNT) SUBJECT 1\r\n";
    give(&world, "lr");
    let session = world.logged_in("bob");
    let (_, said) = world.say(session, command);
    assert!(said.contains("COUNT 4096"), "{said}");
    let session = world.logged_in("bob");
    let said = interrupted(&mut world, session, command, 1);
    assert!(said.contains("f OK") && !said.contains("COUNT"), "{said}");
}
