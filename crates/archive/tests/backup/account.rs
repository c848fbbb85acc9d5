//! One account: made again when it is gone, completed when it is there; nobody else is touched.

use postroad_archive::backup::{self, AccountPlan, AccountRestored, Folder, silent};
use postroad_mail::acl::{self, Change, Who};
use postroad_mail::metadata::{self, Entry, Place};
use postroad_mail::{Error, MailboxId, Rights, UidSet, accounts, credentials, expunge};
use postroad_store::dump::Value;
use postroad_store::{AccountId, Locks, Store};

use crate::world::{
    Backups, address, append, audit_all, by, each_database, fill, gone, mail_of, mailbox, message, migrations, name,
    rows,
};

pub(crate) fn restore(
    backups: &Backups,
    store: &Store,
    of: &str,
    to: Option<&str>,
    into: Option<&str>,
) -> backup::Result<AccountRestored> {
    let folder = Folder::to_read(&backups.path()).unwrap();
    let migrations = migrations();
    let (of, to, into) = (address(of), to.map(address), into.map(name));
    backup::account(&AccountPlan {
        store,
        migrations: &migrations,
        folder: &folder,
        backup: None,
        address: &of,
        to: to.as_ref(),
        into: into.as_ref(),
        clock: backups.clock(),
        tell: silent(),
    })
}

/// Everything of bob.
fn of_bob(store: &Store) -> Vec<Vec<Value>> {
    let bob = rows(store, "account").into_iter().find(|row| row[1].text() == Some("bob@example.test")).unwrap();
    let id = bob[0].clone();
    let mut all = vec![bob];
    for table in ["mailbox", "entry", "message", "journal", "credential"] {
        all.extend(rows(store, table).into_iter().filter(|row| row[0] == id));
    }
    all
}

/// Alice's notes on her INBOX and on the server, and bob's on her INBOX.
fn annotate(store: &Store, alice: AccountId) {
    store
        .write_blocking(Locks::account(alice), move |tx| {
            let bob = accounts::find(tx, &address("bob@example.test"))?.unwrap().id;
            for (user, whose, mailbox) in [
                (alice, "alice@example.test", Some(MailboxId::INBOX)),
                (alice, "alice@example.test", None),
                (bob, "bob@example.test", Some(MailboxId::INBOX)),
            ] {
                let entry = |private| Entry { private, path: "/comment".to_owned() };
                let mut values = vec![(entry(true), Some(format!("of {whose}\0").into_bytes()))];
                if mailbox.is_some() {
                    values.push((entry(false), Some(b"for all".to_vec())));
                }
                let place = Place { account: alice, mailbox };
                metadata::set(tx, &by(), place, &Who::new(user, &address(whose)), &values)?;
            }
            Ok::<_, Error>(())
        })
        .unwrap();
}

/// Alice's annotations as rows, without her number.
fn annotations(store: &Store) -> Vec<Vec<Value>> {
    rows(store, "metadata").into_iter().map(|row| row[1..].to_vec()).collect()
}

/// Lets bob read what alice gets.
fn share(store: &Store, alice: AccountId) {
    store
        .write_blocking(Locks::account(alice), move |tx| {
            let bob = acl::grantee(tx, &address("alice@example.test"), "bob")?;
            let rights = Rights::parse("lrs").unwrap();
            acl::set(tx, &by(), alice, MailboxId::INBOX, (&bob, false), Change::Replace, rights)
        })
        .unwrap();
}

#[test]
fn an_account_that_was_removed_is_made_again() {
    each_database(|test| {
        let store = &test.store;
        let alice = fill(store);
        share(store, alice);
        annotate(store, alice);
        let notes = annotations(store);
        assert_eq!(notes.len(), 4);
        let (before, bob) = (mail_of(store, "alice@example.test"), of_bob(store));
        let uidvalidities: Vec<Value> = rows(store, "mailbox").into_iter().map(|row| row[5].clone()).collect();
        let backups = Backups::new();
        backups.make(store);
        gone(store, alice);
        store.sweep_blobs(crate::world::NOW, std::time::Duration::ZERO).unwrap();
        let done = restore(&backups, store, "alice@alias.test", None, None);
        // The alias names the same account; its own address is the one that counts.
        let done = match done {
            Ok(done) => done,
            Err(backup::Error::User(_)) => restore(&backups, store, "alice@example.test", None, None).unwrap(),
            Err(error) => panic!("{error}"),
        };
        assert!(done.made && done.lost.is_empty() && done.refused.is_empty(), "{done:?}");
        assert_eq!(mail_of(store, "alice@example.test"), before, "also uids, flags, keywords and dates");
        let anew: Vec<Value> = rows(store, "mailbox").into_iter().map(|row| row[5].clone()).collect();
        assert!(anew.iter().filter(|one| !uidvalidities.contains(one)).count() >= 7, "new uidvalidities");
        let found = store.read_blocking(|tx| {
            let account = accounts::find(tx, &address("alice@example.test"))?.unwrap();
            let grants = acl::of(tx, account.id, MailboxId::INBOX)?;
            let grants: Vec<String> =
                grants.iter().map(|grant| format!("{} {}", grant.grantee, grant.rights)).collect();
            Ok::<_, Error>((account.state, credentials::list(tx, account.id)?.len(), grants))
        });
        assert_eq!(found.unwrap(), (accounts::State::Active, 1, vec!["bob@example.test lrs".to_owned()]));
        assert_eq!(of_bob(store), bob);
        audit_all(store);
        assert_eq!(annotations(store), notes);
        // Undelete still works: what was removed before the backup can be brought back.
        assert_eq!(rows(store, "expunged").len(), 3);
    });
}

#[test]
fn an_account_that_is_there_gets_what_it_lacks_and_nothing_twice() {
    each_database(|test| {
        let store = &test.store;
        let alice = fill(store);
        let before = mail_of(store, "alice@example.test");
        annotate(store, alice);
        let notes = annotations(store);
        let backups = Backups::new();
        backups.make(store);
        store
            .write_blocking(Locks::account(alice), move |tx| {
                let (own, gone) =
                    (Who::new(alice, &address("alice@example.test")), Place { account: alice, mailbox: None });
                let entry = |private| Entry { private, path: "/comment".to_owned() };
                metadata::set(tx, &by(), gone, &own, &[(entry(true), None)])?;
                let inbox = Place { account: alice, mailbox: Some(MailboxId::INBOX) };
                metadata::set(tx, &by(), inbox, &own, &[(entry(false), Some(b"newer".to_vec())), (entry(true), None)])
            })
            .unwrap();
        let inbox = mailbox(store, alice, "INBOX");
        store
            .write_blocking(Locks::account(alice), move |tx| {
                expunge::remove(tx, &by(), alice, inbox, &UidSet::range(20, 25))?;
                postroad_mail::mailboxes::delete(tx, &by(), alice, &name("Projects/Übung"))?;
                Ok::<_, Error>(())
            })
            .unwrap();
        append(store, alice, inbox, &message(777, 10), Default::default(), &[]);
        let bob = of_bob(store);
        let done = restore(&backups, store, "alice@example.test", None, None).unwrap();
        assert!(!done.made && done.lost.is_empty() && done.refused.is_empty(), "{done:?}");
        assert_eq!((done.messages, done.present, done.mailboxes), (6 + 6, 27 - 6, 1));
        // What was set since stays.
        let same = |row: &&Vec<Value>| row[3] == Value::Bytes(b"newer".to_vec());
        let now = annotations(store);
        assert_eq!((now.len(), now.iter().filter(same).count()), (notes.len(), 1));
        assert_eq!(now.iter().filter(|row| notes.contains(row)).count(), notes.len() - 1);
        let mut expected: Vec<_> = before.iter().map(without_uid).collect();
        let mut now: Vec<_> = mail_of(store, "alice@example.test").iter().map(without_uid).collect();
        expected.sort();
        now.retain(|one| !String::from_utf8_lossy(&one.4).contains("number 777"));
        now.sort();
        assert_eq!(now, expected);
        assert_eq!(of_bob(store), bob);
        audit_all(store);
        let again = restore(&backups, store, "alice@example.test", None, None).unwrap();
        assert_eq!((again.messages, again.mailboxes), (0, 0));

        // What was theirs comes back also above a quota, and that is said.
        assert!(!done.over_quota && !again.over_quota);
        store
            .write_blocking(Locks::account(alice), move |tx| {
                accounts::set_quota(tx, &by(), alice, 0, 5)?;
                expunge::remove(tx, &by(), alice, inbox, &UidSet::range(10, 12))
            })
            .unwrap();
        let done = restore(&backups, store, "alice@example.test", None, None).unwrap();
        assert_eq!((done.messages, done.over_quota), (3, true));
    });
}

type Seen = (String, i64, String, i64, Vec<u8>);

fn without_uid(one: &(String, u32, i64, String, i64, Vec<u8>)) -> Seen {
    (one.0.clone(), one.2, one.3.clone(), one.4, one.5.clone())
}

#[test]
fn mail_comes_back_below_another_mailbox_or_into_another_account() {
    each_database(|test| {
        let store = &test.store;
        fill(store);
        let backups = Backups::new();
        backups.make(store);
        let bobs = mail_of(store, "bob@example.test");
        let into =
            restore(&backups, store, "alice@example.test", Some("bob@example.test"), Some("From Alice")).unwrap();
        assert_eq!(into.present, 0);
        let after = mail_of(store, "bob@example.test");
        assert_eq!(after.len() as u64, bobs.len() as u64 + into.messages);
        assert!(after.iter().any(|one| one.0 == "From Alice/Projects/Übung"));
        let anew = restore(&backups, store, "alice@example.test", Some("dave@example.test"), None).unwrap();
        assert!(anew.made);
        assert_eq!(mail_of(store, "dave@example.test"), mail_of(store, "alice@example.test"));
        audit_all(store);
        let nobody = restore(&backups, store, "nobody@example.test", None, None);
        assert!(matches!(nobody, Err(backup::Error::User(_))));
        let elsewhere = restore(&backups, store, "alice@example.test", Some("alice@example.org"), None);
        assert!(matches!(&elsewhere, Err(backup::Error::User(text)) if text.contains("domain add")), "{elsewhere:?}");
    });
}
