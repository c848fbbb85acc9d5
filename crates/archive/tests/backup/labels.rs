//! An account with labels comes back with them.

use std::collections::BTreeSet;

use postroad_mail::labels::{self, Own, State};
use postroad_mail::{MailboxId, UidSet, expunge};
use postroad_store::{AccountId, Locks, Store};

use crate::account::restore;
use crate::world::{Backups, append, audit_all, by, each_database, fill, gone, mail_of, mailbox, message, number};

const ALICE: &str = "alice@example.test";
const ALL: &str = "[Gmail]/All Mail";

fn switch_on(store: &Store, account: AccountId) {
    let fill =
        |store: &Store| store.write_blocking(Locks::account(account), move |tx| labels::fill(tx, &by(), account));
    store.write_blocking(Locks::account(account), move |tx| labels::switch_on(tx, &by(), account)).unwrap();
    while fill(store).unwrap().value.more {}
}

/// What it is called, if it is one of Gmail's own, and its name.
type Label = (Option<Own>, String);

/// The labels of each message of All Mail, by uid.
fn labels_of(store: &Store, account: AccountId) -> Vec<(u32, Vec<Label>)> {
    let all = mailbox(store, account, ALL);
    let uids: Vec<u32> = mail_of(store, ALICE).into_iter().filter(|one| one.0 == ALL).map(|one| one.1).collect();
    let read = store.read_blocking(move |tx| labels::of(tx, account, all, &UidSet::all())).unwrap();
    let of = |uid: u32| read.of(uid).into_iter().map(|(own, name)| (own, name.to_string())).collect();
    uids.into_iter().map(|uid| (uid, of(uid))).collect()
}

fn state(store: &Store, account: AccountId) -> State {
    store.read_blocking(move |tx| labels::state(tx, account)).unwrap()
}

fn is_on(store: &Store, account: AccountId) -> bool {
    store.read_blocking(move |tx| labels::are_on(tx, account)).unwrap()
}

#[test]
fn labels_come_back_with_an_account_that_was_removed() {
    each_database(|test| {
        let store = &test.store;
        let alice = fill(store);
        switch_on(store, alice);
        let (mail, before, on) = (mail_of(store, ALICE), labels_of(store, alice), state(store, alice));
        assert!(is_on(store, alice) && before.iter().any(|(_, labels)| labels.len() > 1), "{before:?}");
        let backups = Backups::new();
        backups.make(store);
        gone(store, alice);
        assert!(restore(&backups, store, ALICE, None, None).unwrap().made);
        let anew = number(store, ALICE);
        assert_eq!((state(store, anew), is_on(store, anew)), (on, true));
        assert_eq!((mail_of(store, ALICE), labels_of(store, anew)), (mail, before));
        audit_all(store);
        // They are kept on: what comes in is in All Mail too.
        let all = || mail_of(store, ALICE).into_iter().filter(|one| one.0 == ALL).count();
        let before = all();
        append(store, anew, MailboxId::INBOX, &message(900, 10), Default::default(), &[]);
        assert_eq!(all(), before + 1);
        audit_all(store);
    });
}

/// Into an account that is there mail comes back by mailboxes: what two of them had is two messages in All Mail.
#[test]
fn labels_come_back_into_an_account_that_has_them() {
    each_database(|test| {
        let store = &test.store;
        let alice = fill(store);
        switch_on(store, alice);
        // Of each mailbox but All Mail and Trash, which rules of their own fill.
        let contents = |store: &Store| {
            let mut all: Vec<(String, Vec<u8>)> = mail_of(store, ALICE)
                .into_iter()
                .filter(|one| one.0 != ALL && one.0 != "Trash")
                .map(|one| (one.0, one.5))
                .collect();
            all.sort();
            all
        };
        let of_all = |store: &Store| {
            let all = mail_of(store, ALICE).into_iter().filter(|one| one.0 == ALL).map(|one| one.5);
            all.collect::<BTreeSet<Vec<u8>>>()
        };
        let (before, all_before) = (contents(store), of_all(store));
        let backups = Backups::new();
        backups.make(store);
        let all = mailbox(store, alice, ALL);
        let removed = store.write_blocking(Locks::account(alice), move |tx| {
            expunge::remove(tx, &by(), alice, all, &UidSet::range(2, 9))
        });
        removed.unwrap();
        assert!(contents(store).len() < before.len() && of_all(store).len() < all_before.len());
        let done = restore(&backups, store, ALICE, None, None).unwrap();
        assert!(!done.made && done.lost.is_empty() && done.refused.is_empty(), "{done:?}");
        audit_all(store);
        assert!(contents(store) == before && of_all(store) == all_before);
        assert!(is_on(store, alice));
        assert_eq!(restore(&backups, store, ALICE, None, None).unwrap().messages, 0);
        assert!(contents(store) == before);
    });
}
