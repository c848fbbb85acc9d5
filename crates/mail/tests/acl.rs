//! Rights to mailboxes, and messages that go from one account to another.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{World, account, address, by, each, keyword, mail, name, uids};
use postroad_mail::acl::{self, Change, Who};
use postroad_mail::across::{self, End, Keep};
use postroad_mail::addresses::{self, Kind};
use postroad_mail::deliver::{self, Filing};
use postroad_mail::{
    Bound, Domain, Error, Flags, MailboxId, Rights, UidSet, Want, accounts, audit, domains, mailboxes, quota,
    retention, view,
};
use postroad_store::{AccountId, Locks, ReadTx, WriteTx};

const INBOX: MailboxId = MailboxId::INBOX;

fn rights(letters: &str) -> Rights {
    Rights::parse(letters).unwrap()
}

/// Bob in the same domain, Carol in another.
fn others(world: &World) -> (AccountId, AccountId) {
    world
        .write(|tx| {
            domains::create(tx, &by(), &Domain::parse("other.test").unwrap())?;
            Ok((account(tx, "Bob@example.test")?, account(tx, "carol@other.test")?))
        })
        .unwrap()
}

fn grant(tx: &mut WriteTx, owner: AccountId, mailbox: MailboxId, to: &str, letters: &str) -> Result<Rights, Error> {
    let address = accounts::by_id(tx, owner)?.unwrap().address;
    let (to, negative) = to.strip_prefix('-').map_or((to, false), |to| (to, true));
    let grantee = acl::grantee(tx, &address, to)?;
    acl::set(tx, &by(), owner, mailbox, (&grantee, negative), Change::Replace, rights(letters))
}

fn who(tx: &ReadTx, account: AccountId) -> Who {
    Who::new(account, &accounts::by_id(tx, account).unwrap().unwrap().address)
}

#[test]
fn rights_are_what_is_granted_less_what_is_denied() {
    each(|world| {
        let alice = world.alice;
        let (bob, carol) = others(world);
        world
            .write(move |tx| {
                let team = Kind::Group(vec![address("BOB@example.test"), address("carol@other.test")]);
                addresses::create(tx, &by(), &address("team@example.test"), &team)?;
                addresses::create(tx, &by(), &address("robert@example.test"), &Kind::Account(bob))?;
                addresses::create(tx, &by(), &address("info@example.test"), &Kind::Alias(vec![address("x@y.test")]))?;
                let has = |tx: &ReadTx| {
                    let of = |account| acl::rights(tx, &who(tx, account), alice, INBOX).unwrap().to_string();
                    [of(alice), of(bob), of(carol)]
                };
                let all = "lrswipkxtea";
                assert_eq!(has(tx), [all, "", ""]);
                // A further address is the account; in another spelling too.
                for (to, letters, expected) in [
                    ("ROBERT", "lr", [all, "lr", ""]),
                    ("bob@EXAMPLE.test", "lrs", [all, "lrs", ""]),
                    ("team", "lwi", [all, "lrswi", "lwi"]),
                    ("anyone", "p", [all, "lrswip", "lwi"]),
                    ("@other.test", "r", [all, "lrswip", "lrwi"]),
                    ("-team", "w", [all, "lrsip", "lri"]),
                    ("-bob", "lrp", [all, "si", "lri"]),
                    ("-bob", "", [all, "lrsip", "lri"]),
                    ("team", "", [all, "lrsp", "r"]),
                ] {
                    grant(tx, alice, INBOX, to, letters)?;
                    assert_eq!(has(tx), expected, "{to} {letters}");
                }
                for (to, expected) in [
                    ("dave", Error::NotFound(postroad_mail::What::Address)),
                    ("@nowhere.test", Error::NotFound(postroad_mail::What::Address)),
                    ("info", Error::Refused("rights are granted to accounts, groups and domains, not to aliases")),
                    ("alice", Error::Refused("the owner of a mailbox has all rights to it, always")),
                    ("-alice", Error::Refused("the owner of a mailbox has all rights to it, always")),
                ] {
                    let refused = grant(tx, alice, INBOX, to, "lr").unwrap_err();
                    assert_eq!(refused.to_string(), expected.to_string(), "{to}");
                }
                Ok(())
            })
            .unwrap();
        world.audit();
    });
}

#[test]
fn lists_are_inherited_and_go_with_their_mailbox_account_or_group() {
    each(|world| {
        let alice = world.alice;
        let (bob, carol) = others(world);
        world
            .write(move |tx| {
                addresses::create(tx, &by(), &address("team@example.test"), &Kind::Group(vec![address("a@b.test")]))?;
                let top = mailboxes::create(tx, &by(), alice, &name("Work"), None)?.id;
                grant(tx, alice, top, "bob", "lrk")?;
                grant(tx, alice, top, "-@other.test", "l")?;
                grant(tx, alice, top, "team", "l")?;
                let deep = mailboxes::create(tx, &by(), alice, &name("Work/a/b"), None)?.id;
                let above = mailboxes::find(tx, alice, &name("Work/a"))?.unwrap().id;
                assert_eq!(acl::of(tx, alice, deep)?, acl::of(tx, alice, top)?);
                assert_eq!(acl::of(tx, alice, above)?.len(), 3);
                // Renamed, it keeps its list; deleted and made again below nothing, it has none.
                mailboxes::rename(tx, &by(), alice, &name("Work/a/b"), &name("Work/new/b"))?;
                let new = mailboxes::find(tx, alice, &name("Work/new"))?.unwrap().id;
                assert_eq!(acl::of(tx, alice, new)?, acl::of(tx, alice, top)?);
                mailboxes::rename(tx, &by(), alice, &name("Work/new/b"), &name("Other"))?;
                assert_eq!(acl::of(tx, alice, deep)?.len(), 3);
                mailboxes::delete(tx, &by(), alice, &name("Other"))?;
                assert_eq!(acl::of(tx, alice, deep)?, []);
                // A name that is only a level has none either.
                mailboxes::delete(tx, &by(), alice, &name("Work"))?;
                assert_eq!(acl::of(tx, alice, top)?, []);
                assert_eq!(acl::of(tx, alice, above)?.len(), 3);

                addresses::delete(tx, &by(), &address("team@example.test"))?;
                assert_eq!(acl::of(tx, alice, above)?.len(), 2);
                accounts::delete(tx, &by(), bob)?;
                assert_eq!(acl::of(tx, alice, above)?.len(), 1);
                // The next one of that name has nothing.
                let next = account(tx, "bob@example.test")?;
                assert!(acl::rights(tx, &who(tx, next), alice, above)?.is_empty());
                // Nobody reaches the mailboxes of an account that is being deleted.
                grant(tx, carol, INBOX, "@example.test", "lr")?;
                assert_eq!(acl::shared_with(tx, &who(tx, next))?.len(), 1);
                domains::create(tx, &by(), &Domain::parse("third.test").unwrap())?;
                grant(tx, carol, INBOX, "@third.test", "lr")?;
                domains::delete(tx, &by(), &Domain::parse("third.test").unwrap())?;
                assert_eq!(acl::of(tx, carol, INBOX)?.len(), 1);
                accounts::delete(tx, &by(), carol)?;
                assert_eq!(acl::shared_with(tx, &who(tx, next))?, []);
                Ok(())
            })
            .unwrap();
        world.audit();
        for _ in 0..20 {
            let swept = world.write(move |tx| retention::sweep(tx, carol, common::NOW));
            if swept.is_err() {
                return;
            }
        }
        panic!("the account does not go");
    });
}

#[test]
fn what_is_shared_is_found_without_looking_through_accounts() {
    each(|world| {
        let alice = world.alice;
        let (bob, carol) = others(world);
        world
            .write(move |tx| {
                let who_bob = who(tx, bob);
                let before = tx.statements();
                assert_eq!(acl::shared_with(tx, &who_bob)?, []);
                assert_eq!(tx.statements() - before, 1);
                grant(tx, alice, INBOX, "bob", "lr")?;
                grant(tx, alice, MailboxId(2), "bob", "r")?;
                grant(tx, alice, MailboxId(3), "anyone", "l")?;
                grant(tx, carol, INBOX, "@example.test", "lrs")?;
                grant(tx, carol, MailboxId(2), "-@example.test", "l")?;
                acl::set_shared_account(tx, &by(), carol, true)?;
                // What he gives others is not shared with him.
                grant(tx, bob, INBOX, "anyone", "lr")?;
                let before = tx.statements();
                let shared = acl::shared_with(tx, &who_bob)?;
                assert_eq!(tx.statements() - before, 2);
                let told: Vec<String> = shared
                    .iter()
                    .map(|one| {
                        format!("{} {} {} {}", one.owner.address, one.owner.is_shared, one.mailbox.name, one.rights)
                    })
                    .collect();
                assert_eq!(
                    told,
                    [
                        "alice@example.test false INBOX lr",
                        "alice@example.test false Sent l",
                        "carol@other.test true INBOX lrs"
                    ]
                );
                assert!(acl::shares_any(tx, &who_bob, alice, rights("r"))?);
                assert!(!acl::shares_any(tx, &who_bob, alice, rights("a"))?);
                accounts::set_state(tx, &by(), alice, accounts::State::Suspended)?;
                assert_eq!(acl::shared_with(tx, &who_bob)?.len(), 1);
                assert_eq!(acl::owner(tx, &address("alice@example.test"))?, None);
                // Nothing is asked of the database for one's own.
                let before = tx.statements();
                assert_eq!(acl::rights(tx, &who_bob, bob, INBOX)?, Rights::ALL);
                assert_eq!(tx.statements(), before);
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn a_list_has_a_bound() {
    each(|world| {
        let alice = world.alice;
        world
            .write(move |tx| {
                for number in 0..acl::MAX_GRANTS {
                    let group = address(&format!("group{number}@example.test"));
                    addresses::create(tx, &by(), &group, &Kind::Group(vec![address("a@b.test")]))?;
                    grant(tx, alice, INBOX, &format!("group{number}"), "l")?;
                }
                let full = grant(tx, alice, INBOX, "anyone", "l").unwrap_err();
                assert!(matches!(full, Error::Limit(Bound::Grants)), "{full}");
                grant(tx, alice, INBOX, "group7", "lr").map(|_| ())
            })
            .unwrap();
    });
}

/// Nobody fills the listing of everybody in a domain.
#[test]
fn few_mailboxes_of_an_account_are_shared_with_whole_domains() {
    each(|world| {
        let alice = world.alice;
        let (bob, _) = others(world);
        world
            .write(move |tx| {
                let mut made = Vec::new();
                for number in 0..=acl::MAX_WITH_DOMAINS {
                    made.push(mailboxes::create(tx, &by(), alice, &name(&format!("M{number}")), None)?.id);
                }
                for mailbox in &made[..acl::MAX_WITH_DOMAINS] {
                    grant(tx, alice, *mailbox, "anyone", "lr")?;
                }
                let last = made[acl::MAX_WITH_DOMAINS];
                for to in ["anyone", "@other.test", "-anyone"] {
                    let refused = grant(tx, alice, last, to, "lr");
                    assert!(matches!(refused, Err(Error::Limit(Bound::WithDomains))), "{to} {refused:?}");
                }
                // Whoever is named still gets it, what is there can be changed, and what goes makes room.
                grant(tx, alice, last, "bob", "lr")?;
                grant(tx, alice, made[0], "anyone", "lrs")?;
                // What is made below gets the list without it.
                acl::inherit(tx, alice, made[1], &[last])?;
                assert_eq!(acl::of(tx, alice, last)?.len(), 1);
                grant(tx, alice, made[0], "anyone", "")?;
                grant(tx, alice, last, "anyone", "l")?;
                assert_eq!(acl::shared_with(tx, &who(tx, bob))?.len(), acl::MAX_WITH_DOMAINS);
                Ok(())
            })
            .unwrap();
    });
}

/// Everything of an account that a copy must not change or must.
fn held(world: &World, account: AccountId) -> (u64, u64, usize) {
    let read = move |tx: &ReadTx| {
        let quota = quota::of(tx, account)?;
        let faults = audit::audit(tx, account)?;
        Ok((quota.used_messages, quota.used_bytes, faults.len()))
    };
    world.read(read).unwrap()
}

#[test]
fn messages_go_from_one_account_to_another() {
    each(|world| {
        let alice = world.alice;
        let (bob, _) = others(world);
        world.fill(across::STRETCH + 20);
        let arrival = world.arrival(&mail(3));
        let filing =
            Filing { flags: Flags::SEEN | Flags::DELETED, keywords: vec![keyword("$Work")], ..Filing::default() };
        world.write(move |tx| deliver::append(tx, &by(), alice, INBOX, &arrival, &filing)).unwrap();
        let (from, to) = (End { account: alice, mailbox: INBOX }, End { account: bob, mailbox: INBOX });
        let count = (across::STRETCH + 21) as u64;
        let (_, bytes, _) = held(world, alice);
        let copied = world.write(move |tx| across::copy(tx, &by(), from, &UidSet::all(), to, Keep::ALL)).unwrap();
        assert_eq!(copied.source, copied.target);
        assert_eq!(copied.target.count(), count);
        assert_eq!(held(world, alice), (count, bytes, 0));
        assert_eq!(held(world, bob), (count, bytes, 0));
        world
            .read(move |tx| {
                let query = |uids| view::Query { uids, want: Want::Summary, changed_since: None, limit: 1000 };
                let all = UidSet::all();
                let mine = view::entries(tx, alice, INBOX, &query(&all))?;
                let theirs = view::entries(tx, bob, INBOX, &query(&all))?;
                for (mine, theirs) in mine.iter().zip(&theirs) {
                    let (own, other) = (mine.facts.as_ref().unwrap(), theirs.facts.as_ref().unwrap());
                    assert_eq!((mine.flags, &mine.keywords), (theirs.flags, &theirs.keywords));
                    assert_eq!((own.blob, own.received, &own.summary), (other.blob, other.received, &other.summary));
                    assert_ne!(mine.message, theirs.message);
                }
                // The last one answers nobody but has the id of another: one conversation, as in the first account.
                let same = |entries: &[postroad_mail::Entry]| {
                    let thread = |at: usize| entries[at].facts.as_ref().unwrap().thread;
                    thread(3) == thread(entries.len() - 1)
                };
                assert!(same(&mine) && same(&theirs));
                Ok(())
            })
            .unwrap();

        // Without flags; an entry twice in a mailbox is one content.
        let moved = world
            .write(move |tx| {
                postroad_mail::copy::copy(tx, &by(), alice, INBOX, &uids("1,271"), INBOX)?;
                let keep = Keep { flags: Flags::SEEN, keywords: false };
                let to = End { account: bob, mailbox: MailboxId(2) };
                across::move_to(tx, &by(), from, &uids("1,271:273"), to, keep)
            })
            .unwrap();
        assert_eq!(moved.target, uids("1:4"));
        assert_eq!(held(world, bob).0, count + 2);
        assert_eq!(held(world, alice), (count - 2, held(world, alice).1, 0));
        world
            .write(move |tx| {
                let query = view::Query { uids: &UidSet::all(), want: Want::Flags, changed_since: None, limit: 10 };
                let entries = view::entries(tx, bob, MailboxId(2), &query)?;
                let flags: Vec<Flags> = entries.iter().map(|entry| entry.flags).collect();
                assert_eq!(flags, [Flags::NONE, Flags::SEEN, Flags::NONE, Flags::SEEN]);
                assert!(entries.iter().all(|entry| entry.keywords.is_empty()));
                // They can be restored where they were.
                assert_eq!(postroad_mail::expunge::removed(tx, alice, INBOX, 10)?.len(), 4);
                postroad_mail::expunge::restore(tx, &by(), alice, INBOX, &uids("1,271:273"), INBOX).map(|_| ())
            })
            .unwrap();
        assert_eq!(held(world, alice), (count, bytes, 0));

        // The quota of who gets them.
        let full = world.store.write_blocking(Locks::none(), move |tx| {
            accounts::set_quota(tx, &by(), bob, 1, 0)?;
            across::copy(tx, &by(), from, &uids("5"), to, Keep::ALL)
        });
        assert!(matches!(full, Err(Error::OverQuota)));
        assert_eq!(held(world, bob).0, count + 2);
    });
}

#[test]
fn a_shared_account_has_no_passwords() {
    each(|world| {
        let alice = world.alice;
        world
            .write(move |tx| {
                let hash = postroad_mail::password::PasswordHash::of_password("correct horse").unwrap();
                acl::set_shared_account(tx, &by(), alice, true)?;
                let refused = postroad_mail::credentials::set_password(tx, &by(), alice, &hash);
                assert!(matches!(refused, Err(Error::Refused(_))));
                acl::set_shared_account(tx, &by(), alice, false)?;
                postroad_mail::credentials::set_password(tx, &by(), alice, &hash)?;
                assert!(matches!(acl::set_shared_account(tx, &by(), alice, true), Err(Error::Refused(_))));
                Ok(())
            })
            .unwrap();
        world.audit();
    });
}
