//! NTLM against real stores: off until it is switched on, with the key of a password that was seen, for names in all their forms.
#![allow(missing_docs)]

mod common;

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_login::{Logins, NtlmSealer};
use postroad_mail::accounts::{self, DIRECTORY_LOCK};
use postroad_mail::credentials::{self, KeyState};
use postroad_mail::password::PasswordHash;
use postroad_mail::{Authenticated, By, Error, Refused, Service};
use postroad_protocol::Bindings;
use postroad_sasl::{Answer, Ask, Channel, Client, ClientIdentity, Evidence, Exchange, Secret, Turn, find};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Locks, Store};
use postroad_testkit::{each_store, wait};

use common::{FROM, NOW, by, two_in_two_domains};

fn logins(store: &Store, key: &Path) -> Logins {
    let sealer = NtlmSealer::new(Sealer::open(key).expect("a key"));
    let logins = Logins::new(store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
    logins.with_ntlm(sealer, "mail.example.test")
}

/// A client of ours signs in.
fn sign_in(logins: &Logins, user: &str, password: &str) -> Result<Authenticated, Refused> {
    let row = find("NTLM").expect("NTLM");
    let identity = ClientIdentity::password(user, Secret::new(password.into())).expect("random");
    let mut client = Client::new(row, identity, &Bindings::default()).expect("a client");
    let first = client.initial().expect("NEGOTIATE");
    let channel = Channel { tls: None, offered: &[row] };
    let (mut exchange, mut turn) = Exchange::begin(row, Some(first.expose().as_bytes()), channel);
    loop {
        turn = match turn {
            Turn::Ask(ask) => exchange.answered(wait(logins.verify(ask, FROM, Service::Imap))),
            Turn::Challenge(text) => {
                exchange.answer(client.answer(text.as_bytes()).expect("an answer").expose().as_bytes())
            }
            Turn::Done(who) => return Ok(who),
            Turn::Refused(why) => return Err(why),
            turn @ (Turn::Unavailable | Turn::Malformed(..) | Turn::Failed(_)) => panic!("{turn:?}"),
        };
    }
}

fn by_password(logins: &Logins, password: &str) -> bool {
    let evidence = Evidence::Password(Secret::new(password.into()));
    let ask = Ask { mechanism: "PLAIN", authzid: None, authcid: "alice@corp.example.test".into(), evidence };
    matches!(wait(logins.verify(ask, FROM, Service::Imap)), Answer::Granted { .. })
}

fn state(store: &Store, account: AccountId) -> KeyState {
    store.read_blocking(move |tx| credentials::ntlm_state(tx, account)).expect("a state")
}

#[test]
fn it_is_off_until_switched_on_and_goes_with_the_password() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (store, folder) = (&test.store, tempfile::tempdir().expect("a folder"));
        let account = two_in_two_domains(store);
        let logins = logins(store, &folder.path().join("key"));
        let change = |act: fn(&mut postroad_store::WriteTx, &By, AccountId) -> Result<(), Error>| {
            store.write_blocking(Locks::account(account), move |tx| act(tx, &by(), account)).expect("a change");
        };
        let alice = "alice@corp.example.test";
        // Seen while it is off, a password leaves no key.
        assert!(by_password(&logins, "right"));
        assert_eq!((state(store, account), sign_in(&logins, alice, "right")), (KeyState::Off, Err(Refused::Wrong)));
        change(credentials::ntlm_on);
        assert_eq!((state(store, account), sign_in(&logins, alice, "right")), (KeyState::Waiting, Err(Refused::Wrong)));
        assert!(by_password(&logins, "right") && !by_password(&logins, "wrong"));
        assert_eq!(state(store, account), KeyState::On { passwords: 1 });
        let who = sign_in(&logins, alice, "right").expect("alice");
        assert_eq!((who.account(), who.address().to_string()), (account, alice.to_owned()));
        assert_eq!(sign_in(&logins, alice, "wrong"), Err(Refused::Wrong));
        // Whom it was not switched on for, and who is not there.
        assert_eq!(sign_in(&logins, "bob@example.test", "right"), Err(Refused::Wrong));
        assert_eq!(sign_in(&logins, "nobody@example.test", "right"), Err(Refused::Wrong));
        // A new password has a key once it was seen; the old one has none.
        let hash = PasswordHash::of_password("new").expect("a hash");
        let set = move |tx: &mut _| credentials::set_password(tx, &by(), account, &hash);
        store.write_blocking(Locks::account(account), set).expect("a password");
        assert_eq!((state(store, account), sign_in(&logins, alice, "right")), (KeyState::Waiting, Err(Refused::Wrong)));
        assert!(by_password(&logins, "new") && sign_in(&logins, alice, "new").is_ok());
        change(credentials::ntlm_off);
        assert_eq!((state(store, account), sign_in(&logins, alice, "new")), (KeyState::Off, Err(Refused::Wrong)));
    });
}

#[test]
fn names_come_in_all_their_forms_and_suspension_counts() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (store, folder) = (&test.store, tempfile::tempdir().expect("a folder"));
        let account = two_in_two_domains(store);
        let logins = logins(store, &folder.path().join("key"));
        let on = move |tx: &mut _| credentials::ntlm_on(tx, &by(), account);
        store.write_blocking(Locks::account(account), on).expect("on");
        assert!(by_password(&logins, "right"));
        for (user, comes_in) in [
            ("alice@corp.example.test", true),
            ("ALICE@Corp.Example.Test", true),
            ("CORP\\alice", true),
            ("corp.example.test\\Alice", true),
            // Of several domains, none is meant without a name.
            ("alice", false),
            ("WORKSTATION\\alice", false),
            ("EXAMPLE\\alice", false),
            ("COR\\alice", false),
            ("CORP.\\alice", false),
            ("CORP\\bob", false),
        ] {
            assert_eq!(sign_in(&logins, user, "right").is_ok(), comes_in, "{user}");
        }
        let suspend = move |tx: &mut _| accounts::set_state(tx, &by(), account, accounts::State::Suspended);
        store.write_blocking(Locks::named(DIRECTORY_LOCK).and(Locks::account(account)), suspend).expect("suspended");
        assert_eq!(sign_in(&logins, "CORP\\alice", "right"), Err(Refused::Suspended));
        assert_eq!(sign_in(&logins, "CORP\\alice", "wrong"), Err(Refused::Wrong));
    });
}

#[test]
fn what_is_kept_opens_with_the_key_file_alone() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (store, folder) = (&test.store, tempfile::tempdir().expect("a folder"));
        let account = two_in_two_domains(store);
        let first = logins(store, &folder.path().join("key"));
        let on = move |tx: &mut _| credentials::ntlm_on(tx, &by(), account);
        store.write_blocking(Locks::account(account), on).expect("on");
        assert!(by_password(&first, "right"));
        let look = move |tx: &postroad_store::ReadTx| -> Result<_, Error> {
            let sealed = "SELECT sealed FROM ntlm_key WHERE account = $1";
            Ok(tx.one(sealed, postroad_store::params![account], |row| row.bytes(0))?)
        };
        let sealed = store.read_blocking(look).expect("a key");
        let hash = postroad_sasl::ntlm::NtHash::of_password("right");
        assert!(!sealed.windows(16).any(|part| part == hash.expose()));
        // With another key file nobody can look: that is not a wrong password.
        let other = logins(store, &folder.path().join("other"));
        let (mut exchange, turn) = begun("CORP\\alice");
        let Turn::Ask(ask) = turn else { panic!("{turn:?}") };
        let Turn::Challenge(text) = exchange.answered(wait(other.verify(ask, FROM, Service::Imap))) else {
            panic!("a challenge")
        };
        let message = BASE64_STANDARD.decode(text).expect("base64");
        assert!(message.starts_with(b"NTLMSSP\0\x02"));
        let identity = ClientIdentity::password("CORP\\alice", Secret::new("right".into())).expect("random");
        let mut client = Client::new(find("NTLM").expect("NTLM"), identity, &Bindings::default()).expect("a client");
        client.initial();
        let said = client.answer(BASE64_STANDARD.encode(message).as_bytes()).expect("AUTHENTICATE");
        let Turn::Ask(ask) = exchange.answer(said.expose().as_bytes()) else { panic!("a proof") };
        assert!(matches!(wait(other.verify(ask, FROM, Service::Imap)), Answer::Unavailable));
    });
}

type Begun = (Exchange<Authenticated, Refused>, Turn<Authenticated, Refused>);

fn begun(user: &str) -> Begun {
    let row = find("NTLM").expect("NTLM");
    let identity = ClientIdentity::password(user, Secret::new("right".into())).expect("random");
    let mut client = Client::new(row, identity, &Bindings::default()).expect("a client");
    let first = client.initial().expect("NEGOTIATE");
    Exchange::begin(row, Some(first.expose().as_bytes()), Channel { tls: None, offered: &[row] })
}
