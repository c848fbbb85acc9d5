//! SCRAM and certificates against real stores.

mod common;

use std::net::IpAddr;
use std::sync::Arc;

use postroad_identity::second;
use postroad_identity::totp::{self, Shared};
use postroad_login::{DigestSealer, Logins, NtlmSealer};
use postroad_mail::credentials::{self, NewAppPassword};
use postroad_mail::password::{AppPassword, PasswordHash};
use postroad_mail::{Authenticated, Error, Refused, Service};
use postroad_sasl::digest::Digest;
use postroad_sasl::{
    Answer, Ask, Bindings, Channel, Client, ClientCertificate, ClientIdentity, Evidence, Exchange, Secret, Turn, find,
};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Locks, Store, WriteTx, params};
use postroad_testkit::{each_store, wait};

use common::{NOW, by, change, domain};

/// An account with a password and an app password for IMAP; its number and the app password.
fn populate(store: &Store) -> (AccountId, String) {
    let hash = PasswordHash::of_password("right").expect("a hash");
    let made = change(store, move |tx| {
        domain(tx, "example.test")?;
        common::account(tx, "alice", "example.test", Some(hash))
    });
    let account = made.expect("an account");
    let salts = store.read_blocking(move |tx| credentials::salts(tx, account)).expect("salts");
    let app = AppPassword::generate_with(&salts).expect("an app password");
    let new = NewAppPassword { name: "laptop".into(), scopes: vec![Service::Imap], expires: None, hash: app.hash };
    let added = store.write_blocking(Locks::account(account), move |tx| -> Result<i64, Error> {
        credentials::add_app_password(tx, &by(), account, &new)
    });
    added.expect("an app password");
    (account, app.plain)
}

/// Signs in over a clear line: who it was, and as how many questions.
fn sign_in(logins: &Logins, mechanism: &str, user: &str, password: &str, service: Service) -> (Option<Refused>, usize) {
    let row = find(mechanism).expect("a mechanism");
    let identity = ClientIdentity::password(user, Secret::new(password.into())).expect("a nonce");
    let mut client = Client::new(row, identity, &Bindings::default()).expect("a client");
    let initial = client.initial();
    let channel = Channel { tls: None, offered: &[] };
    let initial = initial.as_ref().map(|first| first.expose().as_bytes());
    let (mut exchange, mut turn) = Exchange::<Authenticated, Refused>::begin(row, initial, channel);
    let from: IpAddr = [192, 0, 2, 7].into();
    let mut asked = 0;
    loop {
        turn = match turn {
            Turn::Challenge(text) => {
                let answer = client.answer(text.as_bytes()).expect("an answer");
                exchange.answer(answer.expose().as_bytes())
            }
            Turn::Ask(ask) => {
                asked += 1;
                exchange.answered(wait(logins.verify(ask, from, service)))
            }
            Turn::Done(who) => {
                assert_eq!(client.finished(None), Ok(()), "the server shows that it knows the account");
                assert_eq!(who.address().to_string(), "alice@example.test");
                return (None, asked);
            }
            Turn::Refused(why) => return (Some(why), asked),
            other => panic!("{other:?}"),
        };
    }
}

#[test]
fn every_password_of_an_account_opens_it_by_scram() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (account, app) = populate(&test.store);
        let logins = Logins::new(test.store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
        for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256"] {
            for (user, password, service, refused) in [
                ("alice@example.test", "right", Service::Imap, None),
                ("ALICE@Example.Test", "right", Service::Pop3, None),
                ("alice", "right", Service::Smtp, None),
                ("alice@example.test", app.as_str(), Service::Imap, None),
                ("alice@example.test", app.as_str(), Service::Pop3, Some(Refused::Scope)),
                ("alice@example.test", "wrong", Service::Imap, Some(Refused::Wrong)),
                ("nobody@example.test", "right", Service::Imap, Some(Refused::Wrong)),
                ("nobody", "right", Service::Imap, Some(Refused::Wrong)),
                ("@", "right", Service::Imap, Some(Refused::Wrong)),
            ] {
                let ended = sign_in(&logins, mechanism, user, password, service);
                assert_eq!(ended, (refused, 2), "{mechanism} {user} {password}");
            }
        }
        // A password that came from elsewhere has no keys until it is seen.
        let forgotten = test.store.write_blocking(Locks::none(), move |tx| -> Result<(), Error> {
            tx.execute("DELETE FROM scram_key WHERE account = $1", params![account])?;
            Ok(())
        });
        forgotten.expect("forgotten");
        let scram = || sign_in(&logins, "SCRAM-SHA-256", "alice@example.test", "right", Service::Imap).0;
        assert_eq!(scram(), Some(Refused::Wrong));
        assert_eq!(sign_in(&logins, "PLAIN", "alice@example.test", "right", Service::Imap).0, None);
        assert_eq!(scram(), None);
    });
}

#[test]
fn with_a_second_step_the_password_opens_no_protocol_in_any_way() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (account, app) = populate(&test.store);
        let folder = tempfile::tempdir().expect("a folder");
        let sealer = Sealer::open(&folder.path().join("secret.key")).expect("a key");
        let shared = Shared::fresh().expect("random numbers");
        let code = format!("{:06}", shared.code(totp::step(NOW)));
        let on = move |tx: &mut WriteTx| second::turn_on(tx, &by(), &sealer, (account, 0), &shared, &code);
        let on = test.store.write_blocking(Locks::account(account), on);
        assert!(on.expect("written").value.is_some(), "the code is right");
        let logins = Logins::new(test.store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
        let sealer = Sealer::open(&folder.path().join("secret.key")).expect("a key");
        let logins = logins.with_ntlm(NtlmSealer::new(sealer.clone()), "mail.example.test");
        let logins = logins.with_digests(DigestSealer::new(sealer), "mail.example.test");
        let switched = test.store.write_blocking(Locks::account(account), move |tx| -> Result<(), Error> {
            credentials::ntlm_on(tx, &by(), account)?;
            credentials::digest_on(tx, &by(), account, Digest::CramMd5)
        });
        switched.expect("switched on");
        let alice = "alice@example.test";
        // Keys are made of passwords that are seen, and refused.
        for password in ["right", app.as_str()] {
            sign_in(&logins, "PLAIN", alice, password, Service::Imap);
        }
        for mechanism in ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "NTLM", "CRAM-MD5"] {
            for (password, service, refused) in [
                ("right", Service::Imap, Some(Refused::SecondStep)),
                ("right", Service::Pop3, Some(Refused::SecondStep)),
                ("right", Service::Smtp, Some(Refused::SecondStep)),
                ("right", Service::Sieve, Some(Refused::SecondStep)),
                ("right", Service::Jmap, Some(Refused::SecondStep)),
                // Who guesses learns nothing of it.
                ("wrong", Service::Imap, Some(Refused::Wrong)),
                (app.as_str(), Service::Imap, None),
            ] {
                assert_eq!(sign_in(&logins, mechanism, alice, password, service).0, refused, "{mechanism} {password}");
            }
        }
        let allow = move |tx: &mut WriteTx| second::set_programs(tx, &by(), account, true);
        assert!(test.store.write_blocking(Locks::account(account), allow).expect("written").value);
        assert_eq!(sign_in(&logins, "SCRAM-SHA-256", alice, "right", Service::Imap).0, None);
    });
}

#[test]
fn nobody_has_the_same_salt_each_time() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        populate(&test.store);
        let logins = || Logins::new(test.store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
        let offer = |logins: &Logins, login: &str| {
            let evidence = Evidence::ScramKeys(postroad_sasl::scram::Hash::Sha256);
            let ask = Ask { mechanism: "SCRAM-SHA-256", authzid: None, authcid: login.into(), evidence };
            match wait(logins.verify(ask, [192, 0, 2, 7].into(), Service::Imap)) {
                Answer::Scram(offer) => offer,
                other => panic!("{other:?}"),
            }
        };
        let (first, after_restart) = (logins(), logins());
        for login in ["alice@example.test", "nobody@example.test", "nobody", "no address", ""] {
            let (one, two) = (offer(&first, login), offer(&after_restart, &login.to_uppercase()));
            assert_eq!((&one.salt, one.iterations), (&two.salt, two.iterations), "{login}");
            assert_eq!((one.salt.len(), one.iterations), (16, 50_000), "{login}");
            assert_ne!(one.nonce, two.nonce);
        }
        assert_ne!(offer(&first, "nobody@example.test").salt, offer(&first, "noone@example.test").salt);
        assert_eq!(offer(&first, "nobody").salt, offer(&first, "nobody@example.test").salt);
    });
}

#[test]
fn certificates_open_what_they_are_pinned_to_or_vouched_for() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (account, _) = populate(&test.store);
        let pinned = test.store.write_blocking(Locks::account(account), move |tx| {
            credentials::pin(tx, &by(), account, "laptop", &[1; 32])
        });
        pinned.expect("pinned");
        let logins = Logins::new(test.store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
        for (octet, addresses, trusted, login, opens) in [
            (1, &[][..], false, "", true),
            (1, &[], false, "alice@example.test", true),
            (1, &[], false, "bob@example.test", false),
            (2, &[], false, "alice@example.test", false),
            (2, &["alice@example.test"], true, "", true),
            (2, &["alice@example.test"], true, "alice@example.test", true),
            (2, &["alice@example.test"], false, "alice@example.test", false),
            (2, &["alice@example.test"], false, "", false),
            (2, &["bob@example.test"], true, "alice@example.test", false),
            (2, &[], true, "", false),
        ] {
            let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
            let certificate = ClientCertificate { fingerprint: [octet; 32], addresses, trusted };
            let evidence = Evidence::Certificate(certificate);
            let ask = Ask { mechanism: "EXTERNAL", authzid: None, authcid: login.into(), evidence };
            let answer = wait(logins.verify(ask, [192, 0, 2, 7].into(), Service::Imap));
            assert_eq!(matches!(answer, Answer::Granted { .. }), opens, "{octet} {trusted} {login}: {answer:?}");
        }
    });
}
