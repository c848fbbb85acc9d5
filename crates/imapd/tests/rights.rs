//! Each command on a mailbox of somebody else, without one of the rights that RFC 4314 §4 asks for it: refused. With just
//! these: done. And without `l` no answer tells such a mailbox from one that is not there.

mod common;

use postroad_mail::acl::{self, Change};
use postroad_mail::{Actor, Address, By, MailboxName, Rights, mailboxes};
use postroad_store::{Locks, Timestamp};
use postroad_testkit::TestStore;

use common::World;

/// A command on `M`, which lies in `T`, the rights without any of which it is refused, and how it is refused.
struct Case {
    command: &'static str,
    needs: &'static str,
    /// What a refusal begins with, behind the tag, for somebody who may know of the mailbox.
    refused: &'static str,
    /// Whether the mailbox is selected before.
    selected: bool,
}

const fn named(command: &'static str, needs: &'static str) -> Case {
    Case { command, needs, refused: "NO [NOPERM]", selected: false }
}

const fn selected(command: &'static str, needs: &'static str) -> Case {
    Case { command, needs, refused: "NO [NOPERM]", selected: true }
}

const CASES: &[Case] = &[
    named("SELECT M", "r"),
    named("EXAMINE M", "r"),
    named("STATUS M (MESSAGES)", "r"),
    named("GETQUOTAROOT M", "r"),
    named("SUBSCRIBE M", "l"),
    named("CREATE M/new", "k"),
    named("DELETE M", "x"),
    named("RENAME M T/N", "x"),
    named("RENAME T/free M/below", "k"),
    named("SETACL M carol lr", "a"),
    named("DELETEACL M carol", "a"),
    named("GETACL M", "a"),
    named("LISTRIGHTS M carol", "a"),
    named("SETMETADATA M (/shared/comment \"x\")", "lw"),
    named("APPEND M {12+}\r\nSubject: x\r\n\r\n", "i"),
    selected("COPY 1 M", "i"),
    selected("MOVE 1 INBOX", "te"),
    selected("EXPUNGE", "e"),
    selected("UID EXPUNGE 1", "e"),
    selected("STORE 1 +FLAGS (\\Seen)", "s"),
    selected("STORE 1 +FLAGS (\\Deleted)", "t"),
    selected("STORE 1 +FLAGS (\\Flagged)", "w"),
    selected("STORE 1 -FLAGS (\\Flagged)", "w"),
    selected("STORE 1 +FLAGS ($Word)", "w"),
    selected("UID STORE 1 +FLAGS.SILENT (\\Answered)", "w"),
];

/// A level of Alice's for one case: the mailbox `M` is in it.
fn level(world: &mut World) -> String {
    world.now = Timestamp(world.now.0 + 1);
    format!("T{}", world.now.0)
}

/// Gives rights to `M`, and `k` and `x` beside it, to Bob.
fn grant(world: &World, level: &str, letters: &str) {
    let alice = world.accounts["alice"];
    let (by, rights) = (By::new(world.now, Actor::Admin), Rights::parse(letters).expect("rights"));
    let names = [level.to_owned(), format!("{level}/free"), format!("{level}/M")];
    let names = names.map(|name| MailboxName::parse(&name).expect("a name"));
    let change = move |tx: &mut postroad_store::WriteTx| {
        let owner = Address::parse("alice@example.test").expect("an address");
        let bob = acl::grantee(tx, &owner, "bob")?;
        for (name, rights) in names.iter().zip([Rights::CREATE, Rights::DELETE_MAILBOX, rights]) {
            let mailbox = match mailboxes::find(tx, alice, name)? {
                Some(mailbox) => mailbox,
                None => mailboxes::create(tx, &by, alice, name, None)?,
            };
            acl::set(tx, &by, alice, mailbox.id, (&bob, false), Change::Replace, rights)?;
        }
        Ok::<_, postroad_mail::Error>(())
    };
    world.store.write_blocking(Locks::account(alice), change).expect("rights are granted");
}

/// Where the names in a command lie.
#[derive(Clone, Copy)]
enum Whose {
    /// In Alice's account.
    Alices,
    /// In Alice's account, but `M` is not there.
    Missing,
    /// In the account of somebody who is not there.
    Nobodys,
}

/// Runs a command by Bob, who has these rights; its tagged answer.
fn answer(world: &mut World, case: &Case, letters: &str, whose: Whose) -> String {
    let level = level(world);
    grant(world, &level, "lr");
    world.deliver("alice", &format!("{level}/M"), &["\\Deleted"], "Subject: x\r\n\r\nx\r\n");
    let owner = if let Whose::Nobodys = whose { "nobody" } else { "alice" };
    let top = format!("Other Users/{owner}@example.test/{level}");
    let mailbox = if let Whose::Missing = whose { "Missing" } else { "M" };
    let mut session = world.logged_in("bob");
    if case.selected {
        // Rights that a client has when it selects; what changes after that counts at once.
        grant(world, &level, "lrswite");
        let said;
        (session, said) = world.say(session, format!("s SELECT \"{top}/M\"\r\n").as_bytes());
        assert!(said.contains("s OK [READ-WRITE]"), "{said}");
    }
    grant(world, &level, letters);
    let words = case.command.split(' ').map(|word| match (word.strip_prefix("T/"), word.strip_prefix('M')) {
        (Some(below), _) => format!("\"{top}/{below}\""),
        (None, Some(below)) if below.is_empty() || below.starts_with('/') => format!("\"{top}/{mailbox}{below}\""),
        (None, _) => word.to_owned(),
    });
    let line = format!("t {}\r\n", words.collect::<Vec<_>>().join(" "));
    let (_, said) = world.say(session, line.as_bytes());
    let answer = said.lines().find(|line| line.starts_with("t ")).unwrap_or_default();
    answer.trim_start_matches("t ").to_owned()
}

/// All rights without those in `less`.
fn all_but(less: &str) -> String {
    "lrswipkxtea".chars().filter(|letter| !less.contains(*letter)).collect()
}

#[test]
fn a_command_is_refused_without_any_of_its_rights() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for case in CASES {
        for needed in case.needs.chars() {
            let said = answer(&mut world, case, &all_but(&needed.to_string()), Whose::Alices);
            let refused = if needed == 'l' { "NO [NONEXISTENT]" } else { case.refused };
            assert!(said.starts_with(refused), "{} without {needed}: {said}", case.command);
        }
    }
}

#[test]
fn a_command_is_done_with_just_its_rights() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for case in CASES {
        let with = if case.selected { format!("r{}", case.needs) } else { case.needs.to_owned() };
        let said = answer(&mut world, case, &with, Whose::Alices);
        assert!(said.starts_with("OK"), "{} with {with}: {said}", case.command);
    }
}

#[test]
fn without_l_there_is_no_telling_whether_a_mailbox_is_there() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for case in CASES.iter().filter(|case| !case.selected) {
        // Post alone lets nobody do anything here.
        let hidden = answer(&mut world, case, "p", Whose::Alices);
        let missing = answer(&mut world, case, "p", Whose::Missing);
        let nobody = answer(&mut world, case, "p", Whose::Nobodys);
        // What is made below a mailbox that is not there is made below the next one above it, where Bob has `k`.
        if !case.needs.contains('k') {
            assert_eq!(hidden, missing, "{}", case.command);
        }
        // The mailbox to be renamed is known to Bob, where it is.
        if !case.command.contains("T/free") {
            assert_eq!(hidden, nobody, "{}", case.command);
        }
        assert!(hidden.starts_with("NO ["), "{}: {hidden}", case.command);
    }
}
