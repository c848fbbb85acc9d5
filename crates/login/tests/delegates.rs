//! Delegates against real stores: who was let in, by every form of name, and nobody else.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;

use postroad_login::Logins;
use postroad_mail::accounts::{self, State};
use postroad_mail::password::PasswordHash;
use postroad_mail::{Authenticated, Refused, Service, acl, credentials};
use postroad_sasl::{Answer, Ask, Evidence, Secret};
use postroad_store::{AccountId, Store};
use postroad_testkit::{each_store, wait};

use common::{FROM, NOW, account, by, change, domain};

/// Alice, bob, carol, an account with a slash in its name, and a shared one; each password is the name.
fn populate(store: &Store) -> Vec<AccountId> {
    let names = ["alice", "bob", "carol", "alice/bob", "team"];
    let hashes: Vec<_> = names.iter().map(|name| PasswordHash::of_password(name).expect("a hash")).collect();
    let made = change(store, move |tx| {
        domain(tx, "corp.example.test")?;
        let mut made = Vec::new();
        for (local, hash) in names.into_iter().zip(hashes) {
            made.push(account(tx, local, "corp.example.test", (local != "team").then_some(hash))?);
        }
        acl::set_shared_account(tx, &by(), made[4], true)?;
        credentials::add_delegate(tx, &by(), made[1], made[0])?;
        credentials::add_delegate(tx, &by(), made[4], made[0])?;
        Ok(made)
    });
    made.expect("accounts")
}

fn sign_in(logins: &Logins, authzid: Option<&str>, authcid: &str, password: &str) -> Result<Authenticated, Refused> {
    let evidence = Evidence::Password(Secret::new(password.into()));
    let ask = Ask { mechanism: "PLAIN", authzid: authzid.map(str::to_owned), authcid: authcid.into(), evidence };
    match wait(logins.verify(ask, FROM, Service::Imap)) {
        Answer::Granted { who, .. } => Ok(who),
        Answer::Refused { why, .. } => Err(why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn delegates_come_in_by_every_form_of_name_and_nobody_else_does() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let ids = populate(&test.store);
        let logins = Logins::new(test.store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
        for (authzid, authcid, password, whose) in [
            (None, "alice@corp.example.test/bob@corp.example.test", "alice", Some(1)),
            (None, "CORP/alice/bob", "alice", Some(1)),
            (None, "alice@corp.example.test/bob", "alice", Some(1)),
            (None, "alice@corp.example.test/team", "alice", Some(4)),
            (Some("bob@corp.example.test"), "alice@corp.example.test", "alice", Some(1)),
            (Some("bob"), "CORP\\alice", "alice", Some(1)),
            (Some("alice"), "alice@corp.example.test", "alice", Some(0)),
            // An account's name that looks like two.
            (None, "alice/bob", "alice/bob", Some(3)),
            (None, "alice/bob", "alice", None),
            // Another's password, the principal's own, nobody's.
            (None, "alice@corp.example.test/bob", "bob", None),
            (None, "alice@corp.example.test/bob", "wrong", None),
            // Who was not let in, and the other way round.
            (None, "alice@corp.example.test/carol", "alice", None),
            (None, "bob@corp.example.test/alice", "bob", None),
            (Some("bob@corp.example.test"), "carol@corp.example.test", "carol", None),
            (None, "alice@corp.example.test/nobody", "alice", None),
            (None, "nobody@corp.example.test/bob", "alice", None),
            (None, "alice@corp.example.test/", "alice", None),
            (None, "/bob", "bob", None),
        ] {
            let who = sign_in(&logins, authzid, authcid, password);
            let case = format!("{authzid:?} {authcid} {password}");
            match whose {
                Some(number) => assert_eq!(who.expect(&case).account(), ids[number], "{case}"),
                None => assert_eq!(who, Err(Refused::Wrong), "{case}"),
            }
        }
    });
}

#[test]
fn a_delegate_is_the_author_and_goes_with_either_account() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (store, ids) = (&test.store, populate(&test.store));
        let (alice, bob) = (ids[0], ids[1]);
        let logins = Logins::new(store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
        let come = || sign_in(&logins, None, "alice@corp.example.test/bob", "alice");
        let who = come().expect("alice");
        assert_eq!((who.holder(), who.address().to_string()), (alice, "bob@corp.example.test".to_owned()));
        assert_eq!(who.actor().to_string(), "login alice@corp.example.test imap");
        let used = move |tx: &postroad_store::ReadTx| credentials::list(tx, alice);
        assert_eq!(store.read_blocking(used).expect("a list")[0].last_used, Some(NOW));

        change(store, move |tx| accounts::set_state(tx, &by(), bob, State::Suspended)).expect("suspended");
        assert_eq!(come(), Err(Refused::Suspended));
        change(store, move |tx| accounts::set_state(tx, &by(), bob, State::Active)).expect("active");
        assert!(come().is_ok());
        change(store, move |tx| credentials::remove_delegate(tx, &by(), bob, alice)).expect("removed");
        assert_eq!(come(), Err(Refused::Wrong));
        assert!(change(store, move |tx| credentials::remove_delegate(tx, &by(), bob, alice)).is_err());

        // Nobody is their own delegate, twice one, or one without a password.
        assert!(change(store, move |tx| credentials::add_delegate(tx, &by(), bob, bob)).is_err());
        let team = ids[4];
        assert!(change(store, move |tx| credentials::add_delegate(tx, &by(), team, alice)).is_err());
        assert!(change(store, move |tx| credentials::add_delegate(tx, &by(), bob, team)).is_err());
        change(store, move |tx| accounts::delete(tx, &by(), alice)).expect("deleted");
        let left = store.read_blocking(move |tx| credentials::delegates(tx, team)).expect("a list");
        assert!(left.is_empty());
    });
}
