//! Messages go from account to account, many at a time, in opposite directions and in opposite orders: nobody waits for
//! somebody who waits for them.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Instant;

use common::{World, account, by};
use postroad_mail::across::{self, End, Keep, STRETCH};
use postroad_mail::{Error, MailboxId, UidSet, audit, mailboxes};
use postroad_store::{AccountId, Locks};
use postroad_testkit::TestStore;

/// A database that gives up one of two who wait for each other does so after a second: a test without such waits ends sooner
/// than so many of them.
const PATIENCE_SECONDS: u64 = 120;

fn inbox(account: AccountId) -> End {
    End { account, mailbox: MailboxId::INBOX }
}

fn made(world: &World, names: &'static [&'static str]) -> Vec<AccountId> {
    world.write(move |tx| names.iter().map(|name| account(tx, name)).collect::<Result<Vec<_>, Error>>()).unwrap()
}

fn transfer(world: &World, from: AccountId, to: AccountId, uids: UidSet, moves: bool) -> Result<(), Error> {
    let locks = Locks::accounts([from, to]);
    let done = world.store.write_blocking(locks, move |tx| {
        let (from, to) = (inbox(from), inbox(to));
        match moves {
            true => across::move_to(tx, &by(), from, &uids, to, Keep::ALL),
            false => across::copy(tx, &by(), from, &uids, to, Keep::ALL),
        }
    });
    done.map(|_| ())
}

fn count(world: &World, account: AccountId) -> u32 {
    world.read(move |tx| Ok(mailboxes::by_id(tx, account, MailboxId::INBOX)?.unwrap().messages)).unwrap()
}

fn audited(world: &World, accounts: &[AccountId]) {
    for account in accounts.iter().copied() {
        assert_eq!(world.read(move |tx| audit::audit(tx, account)).unwrap(), []);
    }
}

#[test]
fn moves_in_opposite_directions_all_arrive() {
    for test in [TestStore::sqlite(&[postroad_mail::MIGRATIONS]), TestStore::postgres(&[postroad_mail::MIGRATIONS])] {
        let world = World::new(&test);
        let bob = made(&world, &["bob@example.test"])[0];
        let alice = world.alice;
        world.fill(20);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (from, to) in [(alice, bob), (bob, alice), (alice, bob), (bob, alice)] {
                let world = &world;
                scope.spawn(move || (0..10).for_each(|_| transfer(world, from, to, UidSet::all(), true).unwrap()));
            }
        });
        assert!(start.elapsed().as_secs() < PATIENCE_SECONDS);
        assert_eq!(count(&world, alice) + count(&world, bob), 20);
        audited(&world, &[alice, bob]);
    }
}

/// The same bytes are in four accounts, in opposite orders: what counts the references to them is touched by writes that have
/// no lock in common.
#[test]
fn contents_that_are_shared_are_counted_in_one_order() {
    let test = TestStore::postgres(&[postroad_mail::MIGRATIONS]);
    let world = World::new(&test);
    let accounts = made(&world, &["bob@example.test", "carol@example.test", "dave@example.test"]);
    let (alice, bob, carol, dave) = (world.alice, accounts[0], accounts[1], accounts[2]);
    let many = u32::try_from(STRETCH).unwrap() * 2;
    world.fill(many as usize);
    for uid in (1..=many).rev() {
        transfer(&world, alice, bob, UidSet::single(uid), false).unwrap();
    }
    std::thread::scope(|scope| {
        for (from, to) in [(alice, carol), (bob, dave)] {
            let world = &world;
            scope.spawn(move || (0..6).for_each(|_| transfer(world, from, to, UidSet::all(), false).unwrap()));
        }
    });
    assert_eq!((count(&world, carol), count(&world, dave)), (many * 6, many * 6));
    audited(&world, &[alice, bob, carol, dave]);
}
