//! Forwards: where mail goes, what is refused, what the journal remembers.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{World, address, by, each};
use postroad_mail::accounts;
use postroad_mail::addresses::{self, Kind};
use postroad_mail::forwards::{self, Forward};
use postroad_mail::resolve::{self, Resolution};
use postroad_mail::{Bound, Error, journal};
use postroad_store::{AccountId, ModSeq};

fn forward(targets: &[&str], keep: bool) -> Forward {
    Forward { targets: targets.iter().map(|text| address(text)).collect(), keep }
}

fn set(world: &World, account: AccountId, targets: &[&str], keep: bool) -> Result<(), Error> {
    let forward = forward(targets, keep);
    world.write(move |tx| forwards::set(tx, &by(), account, &forward))
}

/// `alice bob+detail | remote@x (name)`, or what else came of it.
fn went(world: &World, text: &str) -> String {
    let recipient = address(text);
    match world.read(move |tx| resolve::resolve(tx, &recipient)).unwrap() {
        Resolution::Found { accounts, remote, name } => {
            let accounts: Vec<String> = accounts
                .iter()
                .map(|target| {
                    let detail = target.detail.as_ref().map(|detail| format!("+{detail}")).unwrap_or_default();
                    format!("{}{detail}", target.address.local())
                })
                .collect();
            let remote: Vec<String> = remote.iter().map(ToString::to_string).collect();
            format!("{} | {} ({name})", accounts.join(" "), remote.join(" "))
        }
        other => format!("{other:?}").to_lowercase(),
    }
}

struct People {
    alice: AccountId,
    bob: AccountId,
}

fn people(world: &World) -> People {
    let make = |name: &'static str| world.write(move |tx| common::account(tx, name)).unwrap();
    People { alice: world.alice, bob: make("bob@example.test") }
}

#[test]
fn mail_goes_on_and_a_copy_stays_where_asked() {
    each(|world| {
        let People { alice, bob } = people(world);
        set(world, alice, &["a@far.test", "bob@example.test"], false).unwrap();
        assert_eq!(went(world, "ALICE+news@example.test"), "bob | a@far.test (alice@example.test)");
        set(world, alice, &["a@far.test"], true).unwrap();
        assert_eq!(went(world, "alice+news@example.test"), "alice+news | a@far.test (alice@example.test)");
        set(world, bob, &["alice@example.test", "b@far.test"], false).unwrap();
        assert_eq!(went(world, "bob@example.test"), "alice | b@far.test a@far.test (bob@example.test)");
        // Alice is not told to whom Bob's mail goes by being able to send as him.
        let bobs = address("bob@example.test");
        assert!(!world.read(move |tx| addresses::may_send_as(tx, alice, &bobs)).unwrap());
        let bobs = address("bob@example.test");
        assert!(world.read(move |tx| addresses::may_send_as(tx, bob, &bobs)).unwrap(), "it stays his own");
        assert!(world.write(move |tx| forwards::remove(tx, &by(), bob)).unwrap());
        assert!(!world.write(move |tx| forwards::remove(tx, &by(), bob)).unwrap());
        assert_eq!(went(world, "bob@example.test"), "bob |  (bob@example.test)");
    });
}

#[test]
fn circles_are_refused_when_made_and_found_when_they_come_about() {
    each(|world| {
        let People { alice, bob } = people(world);
        let kind = Kind::Account(alice);
        world.write(move |tx| addresses::create(tx, &by(), &address("second@example.test"), &kind)).unwrap();
        for own in ["alice@example.test", "Alice+x@example.test", "second@example.test"] {
            assert!(matches!(set(world, alice, &[own, "a@far.test"], true), Err(Error::Refused(_))), "{own}");
        }
        assert!(matches!(set(world, alice, &["nobody@example.test"], false), Err(Error::Refused(_))));
        assert_eq!(went(world, "alice@example.test"), "alice |  (alice@example.test)", "nothing was written");
        set(world, alice, &["bob@example.test"], false).unwrap();
        assert!(matches!(set(world, bob, &["alice@example.test"], false), Err(Error::Refused(_))));
        set(world, bob, &["alice@example.test"], true).unwrap();
        assert_eq!(went(world, "alice@example.test"), "bob |  (alice@example.test)", "a copy stays on the way");
        // An alias that turns against the forward later.
        let to = |text| Kind::Alias(vec![address(text)]);
        world.write(move |tx| addresses::create(tx, &by(), &address("x@example.test"), &to("c@far.test"))).unwrap();
        set(world, bob, &["x@example.test"], false).unwrap();
        world
            .write(move |tx| addresses::replace(tx, &by(), &address("x@example.test"), &to("bob@example.test")))
            .unwrap();
        assert_eq!(went(world, "bob@example.test"), "endless");
    });
}

#[test]
fn a_forward_is_bounded_and_the_journal_has_what_was_before() {
    each(|world| {
        let People { alice, bob } = people(world);
        let many: Vec<String> = (0..=forwards::MAX_TARGETS).map(|n| format!("a{n}@far.test")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(set(world, alice, &many, true), Err(Error::Limit(Bound::Forwards))));
        assert!(matches!(set(world, alice, &[], true), Err(Error::Refused(_))));
        set(world, alice, &many[1..], true).unwrap();
        set(world, alice, &["z@far.test", "z@FAR.test"], false).unwrap();
        let last = world.read(move |tx| journal::changes(tx, alice, ModSeq(0), 100)).unwrap().pop().unwrap();
        let before = String::from_utf8(last.before).unwrap();
        assert!(before.starts_with("forward\tkeep\ta1"), "{before}");
        let all = world.read(|tx| forwards::list(tx, None, 10)).unwrap();
        assert_eq!(all, [(alice, address("alice@example.test"), forward(&["z@far.test"], false))]);
        world.write(move |tx| accounts::delete(tx, &by(), alice)).unwrap();
        assert!(world.read(|tx| forwards::list(tx, None, 10)).unwrap().is_empty());
        assert_eq!(world.read(move |tx| forwards::of(tx, bob)).unwrap(), None);
    });
}
