//! Accounts with labels: what is where after what, and that all writers keep it so.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::{World, by, each, keyword, mail, name, uids};
use postroad_mail::changes::{Mark, changes_since};
use postroad_mail::labels::{self, Change, Named, Own, State};
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{
    Error, FlagChange, Flags, MailboxId, MailboxName, Role, UidSet, copy, expunge, flags, mailboxes, quota, undelete,
};
use postroad_store::ModSeq;

const INBOX: MailboxId = MailboxId::INBOX;

fn switched_on(world: &World) {
    let alice = world.alice;
    world.write(move |tx| labels::switch_on(tx, &by(), alice)).unwrap();
    while world.write(move |tx| labels::fill(tx, &by(), alice)).unwrap().more {}
    assert!(world.read(move |tx| labels::are_on(tx, alice)).unwrap());
}

fn role(world: &World, role: Role) -> MailboxId {
    let alice = world.alice;
    world.read(move |tx| Ok(mailboxes::by_role(tx, alice, role)?.unwrap().id)).unwrap()
}

fn made(world: &World, text: &str) -> MailboxId {
    let (alice, name) = (world.alice, name(text));
    world.write(move |tx| Ok(mailboxes::create(tx, &by(), alice, &name, None)?.id)).unwrap()
}

/// Where each message lies: `subject number -> mailbox names`, sorted; All Mail is `All`.
fn places(world: &World) -> BTreeMap<i64, Vec<String>> {
    let alice = world.alice;
    world
        .read(move |tx| {
            let mut places: BTreeMap<i64, Vec<String>> = BTreeMap::new();
            for listed in mailboxes::list(tx, alice)? {
                let Some(mailbox) = listed.mailbox.filter(|mailbox| mailbox.selectable) else { continue };
                let query = Query { uids: &UidSet::all(), want: Want::Flags, changed_since: None, limit: 10_000 };
                for entry in view::entries(tx, alice, mailbox.id, &query)? {
                    let name = mailbox.name.leaf().replace(" Mail", "");
                    let star = if entry.flags.contains(Flags::FLAGGED) { "*" } else { "" };
                    places.entry(entry.message.0).or_default().push(format!("{name}{star}"));
                }
            }
            for all in places.values_mut() {
                all.sort_unstable();
            }
            Ok(places)
        })
        .unwrap()
}

/// The same, of the messages in the order in which they came.
fn shown(world: &World) -> String {
    places(world).into_values().map(|all| all.join("+")).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_comes_is_in_all_mail() {
    each(|world| {
        switched_on(world);
        let (alice, lists) = (world.alice, made(world, "lists"));
        world.deliver(INBOX, &mail(1), Flags::NONE);
        world.deliver(lists, &mail(2), Flags::FLAGGED);
        world.deliver(role(world, Role::Junk), &mail(3), Flags::NONE);
        world.deliver(role(world, Role::All), &mail(4), Flags::SEEN);
        assert_eq!(shown(world), "All+INBOX All*+Starred*+lists* Junk All");
        let used = world.read(move |tx| quota::of(tx, alice)).unwrap();
        assert_eq!(used.used_messages, 4, "each counts once");
        world.audit();
    });
}

#[test]
fn copies_are_labels_and_removal_takes_the_label() {
    each(|world| {
        switched_on(world);
        let (alice, lists) = (world.alice, made(world, "lists"));
        world.deliver(INBOX, &mail(1), Flags::NONE);
        world.deliver(INBOX, &mail(2), Flags::NONE);
        world.write(move |tx| copy::copy(tx, &by(), alice, INBOX, &uids("1"), lists)).unwrap();
        assert_eq!(shown(world), "All+INBOX+lists All+INBOX");
        // Again: once in each mailbox.
        let again = world.write(move |tx| copy::copy(tx, &by(), alice, INBOX, &uids("1"), lists)).unwrap();
        assert_eq!((shown(world).as_str(), again.target), ("All+INBOX+lists All+INBOX", uids("2")));
        world.write(move |tx| expunge::remove(tx, &by(), alice, INBOX, &uids("1:2"))).unwrap();
        assert_eq!(shown(world), "All+lists All");
        // Archiving is a move to All Mail.
        world.deliver(INBOX, &mail(3), Flags::NONE);
        let all = role(world, Role::All);
        world.write(move |tx| copy::move_to(tx, &by(), alice, INBOX, &uids("3"), all)).unwrap();
        assert_eq!(shown(world), "All+lists All All");
        let used = world.read(move |tx| quota::of(tx, alice)).unwrap();
        assert_eq!(used.used_messages, 3);
        world.audit();
    });
}

#[test]
fn trash_takes_all_labels_and_gives_them_up() {
    each(|world| {
        switched_on(world);
        let (alice, lists, trash) = (world.alice, made(world, "lists"), role(world, Role::Trash));
        world.deliver(INBOX, &mail(1), Flags::FLAGGED);
        world.write(move |tx| copy::copy(tx, &by(), alice, INBOX, &uids("1"), lists)).unwrap();
        assert_eq!(shown(world), "All*+INBOX*+Starred*+lists*");
        world.write(move |tx| copy::copy(tx, &by(), alice, lists, &uids("1"), trash)).unwrap();
        assert_eq!(shown(world), "Trash*");
        world.audit();
        world.write(move |tx| copy::move_to(tx, &by(), alice, trash, &uids("1"), INBOX)).unwrap();
        assert_eq!(shown(world), "All*+INBOX*+Starred*");
        world.audit();
        // Deleted from All Mail it goes to Trash; from there, for good.
        let all = role(world, Role::All);
        world.write(move |tx| expunge::remove(tx, &by(), alice, all, &UidSet::all())).unwrap();
        assert_eq!(shown(world), "Trash*");
        world.audit();
        world.write(move |tx| expunge::remove(tx, &by(), alice, trash, &UidSet::all())).unwrap();
        let (used, back) =
            world.read(move |tx| Ok((quota::of(tx, alice)?, undelete::removed(tx, alice, trash, 10)?.len()))).unwrap();
        assert_eq!((shown(world).as_str(), used.used_messages, back), ("", 0, 1));
        world.write(move |tx| expunge::restore(tx, &by(), alice, trash, &UidSet::all(), INBOX)).unwrap();
        assert_eq!(shown(world), "All*+INBOX*+Starred*");
        world.audit();
    });
}

#[test]
fn flags_are_those_of_the_message() {
    each(|world| {
        switched_on(world);
        let (alice, lists, all) = (world.alice, made(world, "lists"), role(world, Role::All));
        world.deliver(INBOX, &mail(1), Flags::NONE);
        world.write(move |tx| copy::copy(tx, &by(), alice, INBOX, &uids("1"), lists)).unwrap();
        let add = FlagChange::Add(Flags::SEEN | Flags::DELETED | Flags::FLAGGED, vec![keyword("$Work")]);
        world.write(move |tx| flags::change(tx, &by(), alice, lists, &uids("1"), &add, None)).unwrap();
        assert_eq!(shown(world), "All*+INBOX*+Starred*+lists*");
        let (inbox, unseen) = world
            .read(move |tx| {
                let query = Query { uids: &UidSet::all(), want: Want::Flags, changed_since: None, limit: 10 };
                let unseen = mailboxes::by_id(tx, alice, all)?.unwrap().unseen;
                Ok((view::entries(tx, alice, INBOX, &query)?.remove(0), unseen))
            })
            .unwrap();
        assert_eq!(inbox.flags, Flags::SEEN | Flags::FLAGGED, "\\Deleted is the entry's own");
        assert!(inbox.keywords.contains("$Work"));
        assert_eq!(unseen, 0);
        let known = world.read(move |tx| view::keywords(tx, alice, INBOX)).unwrap();
        assert_eq!(known, ["$Work"]);
        // Starred is the flag, whichever way it goes.
        let starred = role(world, Role::Flagged);
        world.write(move |tx| expunge::remove(tx, &by(), alice, starred, &UidSet::all())).unwrap();
        assert_eq!(shown(world), "All+INBOX+lists");
        world.write(move |tx| copy::copy(tx, &by(), alice, INBOX, &uids("1"), starred)).unwrap();
        assert_eq!(shown(world), "All*+INBOX*+Starred*+lists*");
        let unstar = FlagChange::Remove(Flags::FLAGGED, Vec::new());
        world.write(move |tx| flags::change(tx, &by(), alice, starred, &UidSet::all(), &unstar, None)).unwrap();
        assert_eq!(shown(world), "All+INBOX+lists");
        world.audit();
    });
}

#[test]
fn other_mailboxes_learn_that_labels_changed() {
    each(|world| {
        switched_on(world);
        let (alice, lists) = (world.alice, made(world, "lists"));
        world.deliver(INBOX, &mail(1), Flags::NONE);
        let all = role(world, Role::All);
        let told = |mark: ModSeq, mailbox: MailboxId| {
            let changes = world.read(move |tx| changes_since(tx, alice, mailbox, Mark::at(mark), 10)).unwrap();
            let changed: Vec<u32> = changes.changed.iter().map(|entry| entry.uid).collect();
            (changed, changes.mark.modseq)
        };
        let (_, mark) = told(ModSeq(0), all);
        assert_eq!(told(mark, all).0, [0u32; 0]);
        world.write(move |tx| copy::copy(tx, &by(), alice, INBOX, &uids("1"), lists)).unwrap();
        let (changed, mark) = told(mark, all);
        assert_eq!(changed, [1]);
        let renamed = (name("lists"), name("elsewhere/lists"));
        world.write(move |tx| mailboxes::rename(tx, &by(), alice, &renamed.0, &renamed.1)).unwrap();
        let (changed, mark) = told(mark, all);
        assert_eq!(changed, [1], "renamed");
        let gone = name("elsewhere/lists");
        world.write(move |tx| mailboxes::delete(tx, &by(), alice, &gone)).unwrap();
        let (changed, mark) = told(mark, all);
        assert_eq!(changed, [1], "deleted");
        world.write(move |tx| expunge::remove(tx, &by(), alice, INBOX, &uids("1"))).unwrap();
        assert_eq!(told(mark, all).0, [1], "archived");
        assert_eq!(shown(world), "All");
        world.audit();
    });
}

#[test]
fn labels_change_by_name() {
    each(|world| {
        switched_on(world);
        let alice = world.alice;
        world.deliver(INBOX, &mail(1), Flags::NONE);
        world.deliver(INBOX, &mail(2), Flags::NONE);
        let named = |text: &str| Named::Name(MailboxName::parse(text).unwrap());
        let change = |mailbox: MailboxId, set: &str, change: Change| {
            let set = uids(set);
            world.write(move |tx| labels::change(tx, &by(), alice, mailbox, &set, &change, None)).unwrap()
        };
        change(INBOX, "1:2", Change::Add(vec![named("a/b"), Named::Own(Own::Starred)]));
        assert_eq!(shown(world), "All*+INBOX*+Starred*+b* All*+INBOX*+Starred*+b*");
        change(INBOX, "2", Change::Replace(vec![named("c")]));
        assert_eq!(shown(world), "All*+INBOX*+Starred*+b* All+INBOX+c");
        change(INBOX, "1:2", Change::Remove(vec![named("a/b"), Named::Own(Own::Inbox), named("nowhere")]));
        assert_eq!(shown(world), "All*+Starred* All+c");
        let all = role(world, Role::All);
        change(all, "1:*".replace('*', "9").as_str(), Change::Add(vec![Named::Own(Own::Trash)]));
        assert_eq!(shown(world), "Trash* Trash");
        change(role(world, Role::Trash), "1", Change::Remove(vec![Named::Own(Own::Trash)]));
        change(role(world, Role::Trash), "2", Change::Add(vec![Named::Own(Own::Inbox)]));
        assert_eq!(shown(world), "All*+Starred* All+INBOX");
        let refused = world.write(move |tx| {
            let all = Change::Add(vec![Named::Name(MailboxName::parse("[Gmail]/All Mail").unwrap())]);
            labels::change(tx, &by(), alice, INBOX, &UidSet::all(), &all, None)
        });
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        world.audit();
    });
}

#[test]
fn a_change_is_left_out_where_something_changed_since() {
    each(|world| {
        switched_on(world);
        let alice = world.alice;
        world.deliver(INBOX, &mail(1), Flags::NONE);
        let first = world.deliver(INBOX, &mail(2), Flags::NONE).modseq;
        let seen = FlagChange::Add(Flags::SEEN, Vec::new());
        world.write(move |tx| flags::change(tx, &by(), alice, INBOX, &uids("1"), &seen, None)).unwrap();
        let changed = world
            .write(move |tx| {
                let to = Change::Add(vec![Named::Name(MailboxName::parse("x").unwrap())]);
                labels::change(tx, &by(), alice, INBOX, &uids("1:2"), &to, Some(first))
            })
            .unwrap();
        assert_eq!((changed.uids, changed.modified), (uids("2"), uids("1")));
        assert_eq!(shown(world), "All+INBOX All+INBOX+x");
    });
}

#[test]
fn what_was_there_is_filled_in_batches_and_stays_when_it_ends() {
    each(|world| {
        let (alice, lists) = (world.alice, made(world, "lists"));
        let trash = role(world, Role::Trash);
        world.fill(labels::FILL_BATCH + 5);
        world
            .write(move |tx| {
                copy::copy(tx, &by(), alice, INBOX, &uids("1:3"), lists)?;
                copy::copy(tx, &by(), alice, INBOX, &uids("1"), INBOX)?;
                copy::copy(tx, &by(), alice, INBOX, &uids("2"), trash)?;
                copy::move_to(tx, &by(), alice, INBOX, &uids("4"), trash)?;
                let add = FlagChange::Add(Flags::SEEN, vec![keyword("$Work")]);
                flags::change(tx, &by(), alice, lists, &uids("1"), &add, None)?;
                let add = FlagChange::Add(Flags::FLAGGED, vec![keyword("$Other")]);
                flags::change(tx, &by(), alice, INBOX, &uids("1"), &add, None)
            })
            .unwrap();
        world.write(move |tx| labels::switch_on(tx, &by(), alice)).unwrap();
        world.write(move |tx| labels::switch_on(tx, &by(), alice)).unwrap();
        let state = || world.read(move |tx| labels::state(tx, alice)).unwrap();
        let of = labels::FILL_BATCH as u64 + 5;
        assert_eq!(state(), State::Filling { done: 0, of });
        assert!(world.write(move |tx| labels::fill(tx, &by(), alice)).unwrap().more);
        assert_eq!(state(), State::Filling { done: of - 5, of });
        world.audit();
        assert!(!world.write(move |tx| labels::fill(tx, &by(), alice)).unwrap().more);
        assert_eq!(state(), State::On);
        world.audit();
        let all: Vec<Vec<String>> = places(world).into_values().collect();
        assert_eq!(all[0], ["All*", "INBOX*", "Starred*", "lists*"]);
        assert_eq!(all[1], ["All", "INBOX", "lists"], "what has a label is not in Trash");
        assert_eq!(all[3], ["Trash"]);
        assert_eq!(all.last().unwrap(), &["All", "INBOX"]);
        // The mailboxes that labels are made of stay.
        for text in ["[Gmail]/All Mail", "Trash", "Junk", "[Gmail]/Starred"] {
            let name = name(text);
            let refused = world.write(move |tx| mailboxes::delete(tx, &by(), alice, &name));
            assert!(matches!(refused, Err(Error::Refused(_))), "{text}: {refused:?}");
        }
        world.write(move |tx| labels::switch_off(tx, &by(), alice)).unwrap();
        assert_eq!(state(), State::Off);
        let after: Vec<Vec<String>> = places(world).into_values().collect();
        assert_eq!(after, all);
        world.deliver(INBOX, &mail(0), Flags::NONE);
        assert_eq!(places(world).into_values().next_back().unwrap(), ["INBOX"]);
        let gone = name("[Gmail]/All Mail");
        world.write(move |tx| mailboxes::delete(tx, &by(), alice, &gone)).unwrap();
        switched_on(world);
        world.audit();
    });
}

/// Whatever is done, in whatever order: the audit finds what labels promise.
#[test]
fn any_sequence_of_operations_keeps_the_promises() {
    each(|world| {
        switched_on(world);
        let alice = world.alice;
        let mut boxes = vec![INBOX, made(world, "a"), made(world, "b")];
        for each in [Role::All, Role::Trash, Role::Junk, Role::Flagged, Role::Archive, Role::Important] {
            boxes.push(role(world, each));
        }
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for step in 0..150 {
            let from = boxes[usize::try_from(next(9)).unwrap()];
            let to = boxes[usize::try_from(next(9)).unwrap()];
            let (low, span) = (u32::try_from(next(12)).unwrap() + 1, u32::try_from(next(6)).unwrap());
            let set = UidSet::range(low, low + span);
            let bits = Flags::from_bits(i64::try_from(next(32)).unwrap());
            let word = if next(3) == 0 { vec![keyword("$Work")] } else { Vec::new() };
            match next(10) {
                0..=2 => drop(world.deliver(from, &mail(step), bits)),
                3 => drop(world.write(move |tx| copy::copy(tx, &by(), alice, from, &set, to)).unwrap()),
                4 => drop(world.write(move |tx| copy::move_to(tx, &by(), alice, from, &set, to)).unwrap()),
                5 => drop(world.write(move |tx| expunge::remove(tx, &by(), alice, from, &set)).unwrap()),
                6 => drop(world.write(move |tx| expunge::restore(tx, &by(), alice, from, &set, to)).unwrap()),
                7 => {
                    let change = FlagChange::Replace(bits, word);
                    drop(world.write(move |tx| flags::change(tx, &by(), alice, from, &set, &change, None)).unwrap());
                }
                8 => {
                    let change = FlagChange::Add(bits, word);
                    drop(world.write(move |tx| flags::change(tx, &by(), alice, from, &set, &change, None)).unwrap());
                }
                _ => {
                    let (name, own) = (Named::Name(name("a")), Named::Own(Own::Starred));
                    let change = match next(3) {
                        0 => Change::Add(vec![name, own]),
                        1 => Change::Remove(vec![own, name]),
                        _ => Change::Replace(vec![name]),
                    };
                    drop(world.write(move |tx| labels::change(tx, &by(), alice, from, &set, &change, None)).unwrap());
                }
            }
            world.audit();
        }
    });
}
