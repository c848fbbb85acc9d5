//! What a URL that authorises leads to, for IMAP and for submission: by the right of its user, with a key of its user's own.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{World, account, by, each};
use postroad_mail::acl::{self, Change};
use postroad_mail::changes::{self, Mark};
use postroad_mail::urlauth::{self, Place, Right};
use postroad_mail::{Error, MailboxId, Rights, accounts};
use postroad_store::{AccountId, Locks, Timestamp};

const INBOX: MailboxId = MailboxId::INBOX;
const RUMP: &str = "imap://bob@example.test/Other%20Users/alice@example.test/INBOX/;UID=1;URLAUTH=anonymous";

fn give(world: &World, rights: &'static str) {
    let alice = world.alice;
    let given = world.write(move |tx| {
        let owner = accounts::by_id(tx, alice)?.unwrap().address;
        let bob = acl::grantee(tx, &owner, "bob")?;
        acl::set(tx, &by(), alice, INBOX, (&bob, false), Change::Replace, Rights::parse(rights).unwrap())
    });
    given.unwrap();
}

fn place(world: &World, user: AccountId, name: &'static str) -> Option<Place> {
    world.read(move |tx| urlauth::place(tx, user, name, None)).unwrap()
}

/// Whether a token is good for this place.
fn holds(world: &World, place: Option<Place>, token: &str, expires: Option<i64>) -> bool {
    let token = token.to_owned();
    let held = world.read(move |tx| {
        let right = Right { rump: RUMP, mechanism: urlauth::INTERNAL, token: &token, expires };
        urlauth::holds(tx, Timestamp(1_000_000), place, &right)
    });
    held.unwrap()
}

fn token(world: &World, place: Place) -> String {
    let made = world.store.write_blocking(Locks::account(place.user), move |tx| {
        Ok::<_, Error>(urlauth::key_or_new(tx, by().now, place)?.sign(RUMP))
    });
    made.unwrap().value
}

#[test]
fn a_url_is_worth_what_its_user_may_read() {
    each(|world| {
        let alice = world.alice;
        let bob = world.write(|tx| account(tx, "bob@example.test")).unwrap();
        let theirs = "Other Users/alice@example.test/INBOX";
        assert_eq!(place(world, bob, theirs), None, "without a right");
        give(world, "l");
        assert_eq!(place(world, bob, theirs), None, "l alone is not r");
        give(world, "r");
        let found = place(world, bob, theirs).unwrap();
        assert_eq!(found, Place { user: bob, owner: alice, mailbox: INBOX });
        for name in
            ["Other Users/bob@example.test/INBOX", "Shared/alice@example.test/INBOX", "Other Users/alice@example.test"]
        {
            assert_eq!(place(world, bob, name), None, "{name}");
        }
        let own = place(world, alice, "INBOX").unwrap();
        let (of_bob, of_alice) = (token(world, found), token(world, own));
        assert_ne!(of_bob, of_alice, "each user has a key of their own");
        assert!(holds(world, Some(found), &of_bob, Some(1)) && !holds(world, Some(found), &of_bob, Some(0)));
        assert!(!holds(world, Some(found), &of_alice, None) && !holds(world, None, &of_bob, None));
        // A new key of the owner voids nothing of the reader, and the other way round.
        world.write(move |tx| urlauth::reset(tx, &by(), own)).unwrap();
        assert!(holds(world, Some(found), &of_bob, None) && !holds(world, Some(own), &of_alice, None));
        let of_alice = token(world, own);
        world.store.write_blocking(Locks::account(bob), move |tx| urlauth::remove_all(tx, &by(), bob)).unwrap();
        assert!(!holds(world, Some(found), &of_bob, None) && holds(world, Some(own), &of_alice, None));
        // The right goes, and with it what the URL is worth.
        give(world, "l");
        assert_eq!(place(world, bob, theirs), None);
        give(world, "r");
        let suspended =
            move |tx: &mut postroad_store::WriteTx| accounts::set_state(tx, &by(), bob, accounts::State::Suspended);
        world.store.write_blocking(Locks::account(bob), suspended).unwrap();
        assert_eq!(place(world, bob, theirs), None, "of who is suspended");
        world.audit();
    });
}

/// RESETKEY without a name is an operation for each mailbox of one's own that there was a key for.
#[test]
fn all_keys_go_and_each_mailbox_knows() {
    each(|world| {
        let alice = world.alice;
        let modseq = |world: &World| world.read(move |tx| accounts::by_id(tx, alice)).unwrap().unwrap().modseq;
        let marks = |world: &World, id: MailboxId| {
            let of = Place { user: alice, owner: alice, mailbox: id };
            let changed = move |tx: &postroad_store::ReadTx, since| changes::changes_since(tx, alice, id, since, 10);
            world.read(move |tx| Ok((urlauth::mark(tx, of)?, changed(tx, Mark::at(postroad_store::ModSeq(0)))?.mark)))
        };
        let names = ["INBOX", "Sent", "Junk"].map(|name| place(world, alice, name).unwrap());
        let before = modseq(world);
        world.write(move |tx| urlauth::remove_all(tx, &by(), alice)).unwrap();
        assert_eq!(modseq(world).0, before.0 + 1, "also without a key it is one operation");
        names[..2].iter().for_each(|one| drop(token(world, *one)));
        let seen = names.map(|one| marks(world, one.mailbox).unwrap().1);
        assert!(marks(world, names[0].mailbox).unwrap().0.is_some());
        let before = modseq(world);
        world.write(move |tx| urlauth::remove_all(tx, &by(), alice)).unwrap();
        assert_eq!(modseq(world).0, before.0 + 2);
        for (index, one) in names.into_iter().enumerate() {
            let (since, id) = (seen[index], one.mailbox);
            let changes = world.read(move |tx| changes::changes_since(tx, alice, id, since, 10)).unwrap();
            assert_eq!(changes.new_key, index < 2, "{index}");
            assert!(changes.changed.is_empty() && changes.vanished.is_empty());
            assert_eq!(marks(world, id).unwrap().0, None);
        }
        world.audit();
    });
}
