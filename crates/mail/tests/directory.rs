//! Accounts, domains, addresses, where mail goes, who may send as whom.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{World, address, by, each, mail};
use postroad_mail::accounts::{self, State};
use postroad_mail::addresses::{self, Kind};
use postroad_mail::resolve::{self, Resolution};
use postroad_mail::{By, Domain, Error, Flags, MailboxId, deliver, domains, retention};
use postroad_store::{AccountId, Locks, Timestamp};

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn alias(world: &World, from: &str, to: &[&str]) {
    let (from, to) = (address(from), to.iter().map(|text| address(text)).collect());
    world.write(move |tx| addresses::create(tx, &by(), &from, &Kind::Alias(to))).unwrap();
}

/// `alice bob+detail | remote@x`, or what else came of it.
fn went(world: &World, text: &str) -> String {
    let recipient = address(text);
    match world.read(move |tx| resolve::resolve(tx, &recipient)).unwrap() {
        Resolution::Found { mut accounts, mut remote, .. } => {
            accounts.sort_by_key(|target| target.account);
            remote.sort();
            let accounts: Vec<String> = accounts
                .iter()
                .map(|target| {
                    let detail = target.detail.as_ref().map(|detail| format!("+{detail}")).unwrap_or_default();
                    format!("{}{detail}", target.address.local())
                })
                .collect();
            let remote: Vec<String> = remote.iter().map(ToString::to_string).collect();
            format!("{} | {}", accounts.join(" "), remote.join(" "))
        }
        Resolution::Unknown => "unknown".to_owned(),
        Resolution::Suspended => "suspended".to_owned(),
        Resolution::NotOurs => "not ours".to_owned(),
        Resolution::Endless => "endless".to_owned(),
    }
}

fn bob(world: &World) -> AccountId {
    world.write(|tx| common::account(tx, "bob@example.test")).unwrap()
}

#[test]
fn addresses_are_compared_as_their_standards_say() {
    each(|world| {
        world
            .write(|tx| {
                domains::create(tx, &by(), &domain("bücher.test"))?;
                domains::add_alias(tx, &by(), &domain("books.test"), &domain("xn--bcher-kva.test"))?;
                common::account(tx, "Jürgen@bücher.test")?;
                Ok(())
            })
            .unwrap();
        let cases = [
            ("alice@example.test", "alice | "),
            ("ALICE@EXAMPLE.test", "alice | "),
            ("alice+Lists@example.test", "alice+Lists | "),
            ("jürgen@bücher.test", "Jürgen | "),
            ("JÜRGEN@xn--bcher-kva.test", "Jürgen | "),
            ("ju\u{308}rgen+x@BÜCHER.test", "Jürgen+x | "),
            ("jürgen@books.test", "Jürgen | "),
            ("juergen@books.test", "unknown"),
            ("alice@books.test", "unknown"),
            ("alice@elsewhere.test", "not ours"),
            ("+alice@example.test", "unknown"),
        ];
        for (text, expected) in cases {
            assert_eq!(went(world, text), expected, "{text}");
        }
        let same = world.write(|tx| common::account(tx, "JÜRGEN@books.test"));
        assert!(matches!(same, Err(Error::Exists(_))));
        let nowhere = world.write(|tx| common::account(tx, "x@elsewhere.test"));
        assert!(matches!(nowhere, Err(Error::NotFound(_))));
    });
}

#[test]
fn aliases_and_groups_expand_without_going_in_circles() {
    each(|world| {
        let bob = bob(world);
        alias(world, "sales@example.test", &["alice@example.test", "Bob@example.test", "far@away.test"]);
        alias(world, "all@example.test", &["sales@example.test", "alice+all@example.test", "all@example.test"]);
        alias(world, "a@example.test", &["b@example.test"]);
        alias(world, "b@example.test", &["a@example.test"]);
        alias(world, "dead@example.test", &["nobody@example.test"]);
        for i in 0..12 {
            alias(world, &format!("l{i}@example.test"), &[&format!("l{}@example.test", i + 1)]);
        }
        let cases = [
            ("sales@example.test", "alice bob | far@away.test"),
            ("all@example.test", "alice+all bob | far@away.test"),
            ("SALES+x@example.test", "alice bob | far@away.test"),
            ("a@example.test", "endless"),
            ("dead@example.test", "unknown"),
            ("l0@example.test", "endless"),
            ("l11@example.test", "unknown"),
        ];
        for (text, expected) in cases {
            assert_eq!(went(world, text), expected, "{text}");
        }
        world.write(move |tx| accounts::set_state(tx, &by(), bob, State::Suspended)).unwrap();
        assert_eq!(went(world, "bob@example.test"), "suspended");
        assert_eq!(went(world, "sales@example.test"), "alice | far@away.test");
        let mail_to_bob = world.arrival(&mail(1));
        let refused = world.store.write_blocking(Locks::account(bob), move |tx| {
            deliver::append(tx, &by(), bob, MailboxId::INBOX, &mail_to_bob, &Default::default())
        });
        assert!(matches!(refused, Err(Error::Suspended)));
    });
}

#[test]
fn catch_all_and_duties_find_somebody() {
    each(|world| {
        let bob = bob(world);
        assert_eq!(went(world, "postmaster@example.test"), "alice | ", "the first account");
        assert_eq!(went(world, "Abuse@example.test"), "alice | ");
        world
            .write(move |tx| {
                domains::set_postmaster(tx, &by(), &domain("example.test"), Some(bob))?;
                domains::set_catch_all(tx, &by(), &domain("example.test"), Some(&address("alice@example.test")))?;
                let later = By { now: Timestamp(common::NOW.0 + 1), ..by() };
                domains::create(tx, &later, &domain("empty.test"))
            })
            .unwrap();
        assert_eq!(went(world, "postmaster@example.test"), "bob | ");
        assert_eq!(went(world, "postmaster@empty.test"), "alice | ");
        assert_eq!(went(world, "whoever@example.test"), "alice | ");
        assert_eq!(went(world, "whoever@empty.test"), "unknown");
        alias(world, "postmaster@example.test", &["ops@away.test"]);
        assert_eq!(went(world, "postmaster@example.test"), " | ops@away.test");
        let bare = world.read(resolve::postmaster).unwrap();
        assert!(matches!(bare, Resolution::Found { ref remote, .. } if remote.len() == 1), "{bare:?}");
    });
}

#[test]
fn who_may_send_as_whom() {
    each(|world| {
        let (alice, bob) = (world.alice, bob(world));
        alias(world, "team@example.test", &["alice@example.test", "bob@example.test"]);
        world
            .write(move |tx| {
                let members = Kind::Group(vec![address("bob@example.test")]);
                addresses::create(tx, &by(), &address("list@example.test"), &members)?;
                addresses::create(tx, &by(), &address("second@example.test"), &Kind::Account(bob))?;
                domains::add_alias(tx, &by(), &domain("alias.test"), &domain("example.test"))?;
                domains::create(tx, &by(), &domain("catch.test"))?;
                domains::set_catch_all(tx, &by(), &domain("catch.test"), Some(&address("alice@example.test")))
            })
            .unwrap();
        let cases = [
            ("alice@example.test", true, false),
            ("Alice+x@alias.test", true, false),
            ("team@example.test", true, true),
            ("list@example.test", false, false),
            ("second@example.test", false, true),
            ("nobody@example.test", false, false),
            ("any@catch.test", true, false),
            ("alice@gmail.test", false, false),
        ];
        for (text, may_alice, may_bob) in cases {
            let asked = address(text);
            let may = world
                .read(move |tx| {
                    Ok((addresses::may_send_as(tx, alice, &asked)?, addresses::may_send_as(tx, bob, &asked)?))
                })
                .unwrap();
            assert_eq!(may, (may_alice, may_bob), "{text}");
        }
    });
}

#[test]
fn addresses_are_listed_replaced_and_deleted() {
    each(|world| {
        alias(world, "x@example.test", &["alice@example.test", "y@away.test", "y@away.test"]);
        let listed = world.read(|tx| addresses::list(tx, None, 10)).unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[1].kind, Kind::Alias(vec![address("alice@example.test"), address("y@away.test")]));
        let rest = world.read(|tx| addresses::list(tx, Some(&address("alice@example.test")), 10)).unwrap();
        assert_eq!(rest, listed[1..]);
        let own = world.write(|tx| addresses::delete(tx, &by(), &address("alice@example.test")));
        assert!(matches!(own, Err(Error::Refused(_))));
        world
            .write(|tx| {
                let other = Kind::Alias(vec![address("z@away.test")]);
                addresses::replace(tx, &by(), &address("X@example.test"), &other)
            })
            .unwrap();
        assert_eq!(went(world, "x@example.test"), " | z@away.test");
        let busy = world.write(|tx| domains::delete(tx, &by(), &domain("example.test")));
        assert!(matches!(busy, Err(Error::Refused(_))));
        world.write(|tx| addresses::delete(tx, &by(), &address("x@example.test"))).unwrap();
        assert_eq!(went(world, "x@example.test"), "unknown");
    });
}

#[test]
fn a_deleted_account_is_gone_at_once_and_emptied_in_the_background() {
    each(|world| {
        let alice = world.alice;
        world.fill(5);
        world.deliver(MailboxId(2), &mail(9), Flags::NONE);
        let (last, second) = world
            .write(move |tx| {
                addresses::create(tx, &by(), &address("Al@example.test"), &Kind::Account(alice))?;
                accounts::delete(tx, &by(), alice)?;
                let rows = postroad_mail::journal::changes(tx, alice, postroad_store::ModSeq(7), 10)?;
                Ok((String::from_utf8_lossy(&rows[0].before).into_owned(), rows.len()))
            })
            .unwrap();
        assert_eq!(
            (last.as_str(), second),
            ("state\tactive\naddress\tAl@example.test\naddress\talice@example.test\n", 1)
        );
        assert_eq!(went(world, "alice@example.test"), "unknown");
        assert_eq!(world.read(|tx| accounts::list(tx, None, 10)).unwrap(), []);
        let again = world.write(|tx| common::account(tx, "alice@example.test")).unwrap();
        assert_ne!(again, alice);
        let mut messages = 0;
        loop {
            let swept = world.write(move |tx| retention::sweep(tx, alice, Timestamp(0))).unwrap();
            messages += swept.messages;
            if !swept.more {
                break;
            }
        }
        assert_eq!(messages, 6);
        assert_eq!(world.read(move |tx| accounts::by_id(tx, alice)).unwrap(), None);
        assert_eq!(world.read(|tx| retention::due(tx, Timestamp(i64::MAX), 10)).unwrap(), []);
    });
}
