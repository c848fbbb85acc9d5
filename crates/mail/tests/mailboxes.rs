//! Mailboxes: names, hierarchy, deletion, renaming, roles, subscriptions.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{World, by, each, keyword, mail, name, uids};
use postroad_mail::changes::{Mark, changes_since};
use postroad_mail::flags::{self, FlagChange};
use postroad_mail::mailboxes::{self, Mailbox};
use postroad_mail::{
    Error, Flags, MailboxId, MailboxName, NameError, Query, Role, UidSet, Want, copy, expunge, journal, quota,
    retention, view,
};
use postroad_store::{ModSeq, Timestamp, params};

/// `name` of each row, with `*` for a placeholder, `!` for a subscription without a mailbox, `+` for children.
fn listing(world: &World) -> Vec<String> {
    let alice = world.alice;
    let listed = world.read(move |tx| mailboxes::list(tx, alice)).unwrap();
    let mark = |row: Option<&Mailbox>| row.map_or("!", |row| if row.selectable { "" } else { "*" });
    let lines = listed.iter().map(|line| {
        let children = if line.has_children { "+" } else { "" };
        format!("{}{}{children}", line.name, mark(line.mailbox.as_ref()))
    });
    lines.filter(|line| !["Archive", "Drafts", "Junk", "Sent", "Trash"].contains(&line.as_str())).collect()
}

fn create(world: &World, text: &str) -> Result<Mailbox, Error> {
    let (alice, name) = (world.alice, name(text));
    world.write(move |tx| mailboxes::create(tx, &by(), alice, &name, None))
}

fn delete(world: &World, text: &str) -> Result<(), Error> {
    let (alice, name) = (world.alice, name(text));
    world.write(move |tx| mailboxes::delete(tx, &by(), alice, &name))
}

fn rename(world: &World, from: &str, to: &str) -> Result<(), Error> {
    let (alice, from, to) = (world.alice, name(from), name(to));
    world.write(move |tx| mailboxes::rename(tx, &by(), alice, &from, &to))
}

fn find(world: &World, text: &str) -> Option<Mailbox> {
    let (alice, name) = (world.alice, name(text));
    world.read(move |tx| mailboxes::find(tx, alice, &name)).unwrap()
}

#[test]
fn a_new_account_is_furnished() {
    each(|world| {
        let alice = world.alice;
        let listed = world.read(move |tx| mailboxes::list(tx, alice)).unwrap();
        let names: Vec<&str> = listed.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]);
        assert!(listed.iter().all(|line| line.subscribed && !line.has_children));
        let inbox = find(world, "inbox").unwrap();
        assert_eq!((inbox.id, inbox.role), (MailboxId::INBOX, Some(Role::Inbox)));
        let trash = world.read(move |tx| mailboxes::by_role(tx, alice, Role::Trash)).unwrap().unwrap();
        assert_eq!(trash.name.as_str(), "Trash");
        world.audit();
    });
}

#[test]
fn levels_above_are_made_and_placeholders_stay_as_long_as_needed() {
    each(|world| {
        create(world, "a/b/c").unwrap();
        assert_eq!(listing(world), ["INBOX", "a+", "a/b+", "a/b/c"]);
        assert!(matches!(create(world, "a/b"), Err(Error::Exists(_))));
        let old = find(world, "a/b").unwrap();
        delete(world, "a/b").unwrap();
        assert_eq!(listing(world), ["INBOX", "a+", "a/b*+", "a/b/c"]);
        assert!(matches!(delete(world, "a/b"), Err(Error::Refused(_))));
        let new = create(world, "a/b").unwrap();
        assert!(new.uidvalidity > old.uidvalidity && new.id != old.id);
        delete(world, "a/b").unwrap();
        delete(world, "a").unwrap();
        assert_eq!(listing(world), ["INBOX", "a*+", "a/b*+", "a/b/c"]);
        delete(world, "a/b/c").unwrap();
        assert_eq!(listing(world), ["INBOX"], "nothing needs the placeholders any more");
        assert!(matches!(delete(world, "a"), Err(Error::NotFound(_))));
        assert!(matches!(delete(world, "inbox"), Err(Error::Refused(_))));
        world.audit();
    });
}

#[test]
fn a_deleted_mailbox_gives_its_quota_back_and_its_mail_can_be_restored() {
    each(|world| {
        let alice = world.alice;
        let lists = create(world, "lists").unwrap();
        world.deliver(lists.id, &mail(1), Flags::NONE);
        world.deliver(lists.id, &mail(2), Flags::SEEN);
        let before = world.read(move |tx| Ok(mailboxes::by_id(tx, alice, lists.id)?.unwrap().highest_modseq)).unwrap();
        delete(world, "lists").unwrap();
        let changes = world.read(move |tx| changes_since(tx, alice, lists.id, Mark::at(before), 10)).unwrap();
        assert_eq!(changes.mailbox, None);
        assert_eq!(world.read(move |tx| quota::of(tx, alice)).unwrap().used_messages, 0);
        world.audit();
        let again = create(world, "lists").unwrap();
        assert!(again.uidvalidity > lists.uidvalidity);
        let back = world.write(move |tx| expunge::restore(tx, &by(), alice, lists.id, &uids("1:9"), again.id)).unwrap();
        assert_eq!(back.target, uids("1:2"));
        assert_eq!(world.read(move |tx| quota::of(tx, alice)).unwrap().used_messages, 2);
        world.audit();
    });
}

#[test]
fn renaming_takes_the_subtree_along() {
    each(|world| {
        let alice = world.alice;
        create(world, "ä/b/c").unwrap();
        create(world, "äx").unwrap();
        let old = find(world, "ä/b").unwrap();
        rename(world, "ä", "new/ö").unwrap();
        assert_eq!(listing(world), ["INBOX", "new+", "new/ö+", "new/ö/b+", "new/ö/b/c", "äx"]);
        let moved = find(world, "new/ö/b").unwrap();
        assert_eq!((moved.id, moved.uidvalidity), (old.id, old.uidvalidity));
        assert!(matches!(rename(world, "new", "new/ö/z"), Err(Error::Refused(_))));
        assert!(matches!(rename(world, "new", "äx"), Err(Error::Exists(_))));
        assert!(matches!(rename(world, "none", "x"), Err(Error::NotFound(_))));
        // The placeholder above goes when its last name is renamed away.
        delete(world, "new").unwrap();
        rename(world, "new/ö", "old").unwrap();
        assert_eq!(listing(world), ["INBOX", "old+", "old/b+", "old/b/c", "äx"]);
        let deep = (0..18).map(|i| i.to_string()).collect::<Vec<_>>().join("/");
        create(world, &deep).unwrap();
        assert!(matches!(rename(world, "old", &format!("{deep}/x")), Err(Error::NameInvalid(NameError::TooDeep))));
        let _ = alice;
        world.audit();
    });
}

#[test]
fn renaming_inbox_moves_its_messages() {
    each(|world| {
        let alice = world.alice;
        world.fill(3);
        create(world, "INBOX/below").unwrap();
        world.write(move |tx| expunge::remove(tx, &by(), alice, MailboxId::INBOX, &uids("1"))).unwrap();
        rename(world, "inbox", "old/mail").unwrap();
        assert_eq!(listing(world), ["INBOX+", "INBOX/below", "old+", "old/mail"]);
        let (inbox, there) = (find(world, "INBOX").unwrap(), find(world, "old/mail").unwrap());
        assert_eq!((inbox.messages, inbox.uidnext, there.messages), (0, 4, 2));
        let all = world.read(move |tx| view::uids(tx, alice, there.id)).unwrap();
        assert_eq!(all, [1, 2]);
        world.audit();
    });
}

#[test]
fn roles_belong_to_one_mailbox() {
    each(|world| {
        let alice = world.alice;
        let bin = create(world, "Bin").unwrap();
        let taken = world.write(move |tx| mailboxes::create(tx, &by(), alice, &name("x"), Some(Role::Trash)));
        assert!(matches!(taken, Err(Error::Exists(_))));
        world.write(move |tx| mailboxes::set_role(tx, &by(), alice, bin.id, Some(Role::Trash))).unwrap();
        assert_eq!(find(world, "Trash").unwrap().role, None);
        assert_eq!(find(world, "Bin").unwrap().role, Some(Role::Trash));
        let inbox = world.write(move |tx| mailboxes::set_role(tx, &by(), alice, bin.id, Some(Role::Inbox)));
        assert!(matches!(inbox, Err(Error::Refused(_))));
    });
}

#[test]
fn subscriptions_are_of_names() {
    each(|world| {
        let alice = world.alice;
        world
            .write(move |tx| {
                mailboxes::subscribe(tx, &by(), alice, &name("gone/deep"))?;
                mailboxes::subscribe(tx, &by(), alice, &name("gone/deep"))?;
                mailboxes::unsubscribe(tx, &by(), alice, &name("Junk"))?;
                mailboxes::unsubscribe(tx, &by(), alice, &name("never"))
            })
            .unwrap();
        assert_eq!(listing(world), ["INBOX", "gone/deep!"]);
        create(world, "gone").unwrap();
        let listed = world.read(move |tx| mailboxes::list(tx, alice)).unwrap();
        let gone = listed.iter().find(|line| line.name.as_str() == "gone").unwrap();
        assert!(gone.has_subscribed_children && !gone.has_children && !gone.subscribed);
        let junk = listed.iter().find(|line| line.name.as_str() == "Junk").unwrap();
        assert!(!junk.subscribed);
        let modseq = world.read(move |tx| Ok(postroad_mail::accounts::by_id(tx, alice)?.unwrap().modseq)).unwrap();
        assert_eq!(modseq, ModSeq(4), "what changes nothing is no operation");
        world.audit();
    });
}

/// Deletes a mailbox whose message alone had the keyword `Foo`, lets INBOX learn `other`, and restores the message.
fn restored_with_keyword(world: &World, other: Option<&str>) -> Vec<String> {
    let alice = world.alice;
    world.fill(2);
    let lists = create(world, "lists").unwrap().id;
    let other: Vec<_> = other.into_iter().map(keyword).collect();
    world
        .write(move |tx| {
            copy::move_to(tx, &by(), alice, MailboxId::INBOX, &uids("1"), lists)?;
            let add = |keywords| FlagChange::Add(Flags::NONE, keywords);
            flags::change(tx, &by(), alice, lists, &uids("1"), &add(vec![keyword("Foo")]), None)?;
            mailboxes::delete(tx, &by(), alice, &name("lists"))?;
            flags::change(tx, &by(), alice, MailboxId::INBOX, &uids("2"), &add(other), None)?;
            expunge::restore(tx, &by(), alice, lists, &uids("1"), MailboxId::INBOX)?;
            Ok(())
        })
        .unwrap();
    world.read(move |tx| view::keywords(tx, alice, MailboxId::INBOX)).unwrap()
}

#[test]
fn a_restored_message_keeps_its_keywords_in_one_spelling() {
    for other in [None, Some("foo")] {
        each(|world| {
            let alice = world.alice;
            assert_eq!(restored_with_keyword(world, other), ["Foo"], "the mailbox knows it");
            let (changed, left) = world
                .write(move |tx| {
                    let remove = FlagChange::Remove(Flags::NONE, vec![keyword("FOO")]);
                    let all = UidSet::all();
                    let changed = flags::change(tx, &by(), alice, MailboxId::INBOX, &all, &remove, None)?;
                    let query = Query { uids: &all, want: Want::Flags, changed_since: None, limit: 10 };
                    let left = view::entries(tx, alice, MailboxId::INBOX, &query)?;
                    Ok((changed.changed.len(), left.iter().filter(|entry| !entry.keywords.is_empty()).count()))
                })
                .unwrap();
            assert_eq!((changed, left), (if other.is_some() { 2 } else { 1 }, 0), "what was said is what was done");
            world.audit();
        });
    }
}

#[test]
fn what_a_deleted_mailbox_knew_goes_with_its_messages() {
    each(|world| {
        let alice = world.alice;
        restored_with_keyword(world, None);
        let known = |world: &World| {
            world
                .read(move |tx| {
                    let sql = "SELECT count(DISTINCT mailbox) FROM keyword WHERE account = $1";
                    Ok(tx.one(sql, params![alice], |row| row.int(0))?)
                })
                .unwrap()
        };
        assert_eq!(known(world), 2, "INBOX, and the deleted mailbox");
        world.write(move |tx| retention::sweep(tx, alice, Timestamp(i64::MAX))).unwrap();
        world.write(move |tx| retention::sweep(tx, alice, Timestamp(i64::MAX))).unwrap();
        assert_eq!(known(world), 1, "INBOX");
    });
}

#[test]
fn a_role_that_is_taken_can_be_given_back() {
    each(|world| {
        let alice = world.alice;
        let mine = create(world, "mine").unwrap().id;
        let rows = world
            .write(move |tx| {
                let junk = mailboxes::by_role(tx, alice, Role::Junk)?.unwrap().id;
                mailboxes::set_role(tx, &by(), alice, mine, Some(Role::Junk))?;
                mailboxes::set_role(tx, &by(), alice, mine, Some(Role::Trash))?;
                mailboxes::set_role(tx, &by(), alice, junk, Some(Role::Junk))?;
                journal::changes(tx, alice, ModSeq(2), 10)
            })
            .unwrap();
        let before: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(&row.before).into_owned()).collect();
        assert_eq!(before, ["-\n5\tjunk\n", "junk\n6\ttrash\n", "-\n"], "who had it, by id");
    });
}

#[test]
fn names_are_net_unicode() {
    let good = [
        ("Inbox", "INBOX"),
        ("inbox/Sub", "INBOX/Sub"),
        ("inboxes", "inboxes"),
        ("a/INBOX", "a/INBOX"),
        ("u\u{308}", "ü"),
        ("Liste %*", "Liste %*"),
        ("...", "..."),
    ];
    for (text, stored) in good {
        assert_eq!(MailboxName::parse(text).unwrap().as_str(), stored);
    }
    let long = "x".repeat(1001);
    let deep = ["d"; 21].join("/");
    let bad = [
        ("", NameError::Empty),
        ("/a", NameError::Empty),
        ("a/", NameError::Empty),
        ("a//b", NameError::Empty),
        ("a\u{0}b", NameError::Character),
        ("a\r\nb", NameError::Character),
        ("a\u{2028}b", NameError::Character),
        ("a\u{fffe}b", NameError::Character),
        ("a/../b", NameError::Character),
        (long.as_str(), NameError::TooLong),
        (deep.as_str(), NameError::TooDeep),
    ];
    for (text, why) in bad {
        assert_eq!(MailboxName::parse(text), Err(why), "{text:?}");
    }
}
