//! An account that came back is opened by the passkeys that it had.

use postroad_identity::passkeys::{self, Answer, Made, NotShown, Party, Passkey, Question, Shown};
use postroad_mail::Error;
use postroad_store::{AccountId, Locks, Store, Timestamp};
use postroad_testkit::Authenticator;
use postroad_testkit::authenticator::base64url;

use crate::account::restore;
use crate::world::{Backups, NOW, by, each_database, fill, gone, number};

const ORIGIN: &str = "https://mail.example.test";

fn question() -> Question {
    let challenge = passkeys::challenge().unwrap();
    Question { challenge, party: Party::of_issuer(ORIGIN), verified: false }
}

fn make(store: &Store, account: AccountId, authenticator: &Authenticator, name: &str) {
    let (question, name) = (question(), name.to_owned());
    let (client_data, attestation) = authenticator.make(&base64url(&question.challenge));
    let made = store.write_blocking(Locks::account(account), move |tx| {
        let handle = passkeys::handle(tx, account)?;
        passkeys::add(tx, &by(), account, &question, &Made { client_data, attestation, handle, name })
    });
    made.unwrap().value.unwrap();
}

fn show(store: &Store, account: AccountId, authenticator: &mut Authenticator) -> Result<Shown, NotShown> {
    let question = question();
    let (client_data, data, signature) = authenticator.sign(&base64url(&question.challenge));
    let answer = Answer { credential: authenticator.credential.clone(), client_data, data, signature, handle: None };
    let shown = store.write_blocking(Locks::account(account), move |tx| {
        passkeys::verify(tx, account, &question, &answer, Timestamp(NOW.0 + 1))
    });
    shown.unwrap().value
}

/// What is known of an account's passkeys, and what authenticators call its owner.
fn known(store: &Store, account: AccountId) -> (Vec<Passkey>, String) {
    let read =
        store.read_blocking(move |tx| Ok::<_, Error>((passkeys::list(tx, account)?, passkeys::handle(tx, account)?)));
    read.unwrap()
}

fn holder(store: &Store, authenticator: &Authenticator) -> Option<AccountId> {
    let credential = authenticator.credential.clone();
    store.read_blocking(move |tx| passkeys::holder(tx, &credential)).unwrap()
}

#[test]
fn passkeys_open_the_account_that_came_back() {
    each_database(|test| {
        let store = &test.store;
        let alice = fill(store);
        let bob = number(store, "bob@example.test");
        let [mut laptop, mut phone, mut other] = [(); 3].map(|()| Authenticator::new(ORIGIN));
        make(store, alice, &laptop, "Laptop");
        make(store, alice, &phone, "Phone");
        make(store, bob, &other, "Other");
        assert!(show(store, alice, &mut laptop).is_ok());
        let (before, bobs) = (known(store, alice), known(store, bob));
        assert_eq!(before.0.len(), 2);
        let backups = Backups::new();
        backups.make(store);
        gone(store, alice);
        assert_eq!(holder(store, &laptop), None);
        assert!(restore(&backups, store, "alice@example.test", None, None).unwrap().made);
        let anew = number(store, "alice@example.test");
        assert_ne!(anew, alice);
        // Their names and uses, the handle that authenticators have stored, and their keys and counters.
        assert_eq!((known(store, anew), known(store, bob)), (before, bobs));
        for authenticator in [&mut laptop, &mut phone] {
            assert_eq!(holder(store, authenticator), Some(anew));
            assert!(show(store, anew, authenticator).is_ok());
            assert_eq!(show(store, bob, authenticator), Err(NotShown::Unknown));
        }
        assert_eq!(show(store, anew, &mut other), Err(NotShown::Unknown));
        // One that counts less than it did before the backup is a copy.
        laptop.count = 0;
        assert!(matches!(show(store, anew, &mut laptop), Err(NotShown::Answer(_))));
    });
}

#[test]
fn an_account_that_is_there_keeps_the_passkeys_that_it_has() {
    each_database(|test| {
        let store = &test.store;
        let alice = fill(store);
        let (mut lost, mut new) = (Authenticator::new(ORIGIN), Authenticator::new(ORIGIN));
        make(store, alice, &lost, "Lost");
        let backups = Backups::new();
        backups.make(store);
        // What was taken away because it was lost must not come back.
        store.write_blocking(Locks::account(alice), move |tx| passkeys::remove_all(tx, &by(), alice)).unwrap();
        make(store, alice, &new, "New");
        let before = known(store, alice);
        assert!(!restore(&backups, store, "alice@example.test", None, None).unwrap().made);
        assert_eq!(known(store, alice), before);
        assert_eq!(show(store, alice, &mut lost), Err(NotShown::Unknown));
        assert!(show(store, alice, &mut new).is_ok());
    });
}
