//! Passwords, app passwords, scopes, expiry, the cache.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{NOW, World, address, by, each};
use postroad_mail::accounts::{self, State};
use postroad_mail::addresses::{self, Kind};
use postroad_mail::credentials::{self, NewAppPassword};
use postroad_mail::password::{AppPassword, PasswordHash};
use postroad_mail::{Candidates, Error, LoginCache, Refused, Service};
use postroad_store::Timestamp;

fn candidates(world: &World, login: &str) -> Candidates {
    let login = login.to_owned();
    world.read(move |tx| credentials::candidates(tx, &login)).unwrap()
}

fn set_password(world: &World, password: &str) {
    let (alice, hash) = (world.alice, PasswordHash::of_password(password).unwrap());
    world.write(move |tx| credentials::set_password(tx, &by(), alice, &hash)).unwrap();
}

#[test]
fn logins_by_any_own_address_and_only_with_the_password() {
    each(|world| {
        let alice = world.alice;
        set_password(world, "pässword");
        world
            .write(move |tx| addresses::create(tx, &by(), &address("al@example.test"), &Kind::Account(alice)))
            .unwrap();
        for login in ["alice@example.test", "ALICE@Example.Test", "al@example.test", "alice"] {
            let ok = candidates(world, login).verify("pässword", Service::Imap, NOW).unwrap();
            assert_eq!((ok.account(), ok.address().to_string().as_str()), (alice, "alice@example.test"));
            assert!(ok.should_touch(NOW));
        }
        // The same characters, composed otherwise (PRECIS OpaqueString).
        assert!(candidates(world, "alice").verify("pa\u{308}ssword", Service::Imap, NOW).is_ok());
        for (login, password) in [
            ("alice@example.test", "wrong"),
            ("alice@example.test", ""),
            ("nobody@example.test", "pässword"),
            ("alice@elsewhere.test", "pässword"),
            ("alice+x@example.test", "pässword"),
            ("@", "pässword"),
            ("", "pässword"),
        ] {
            let refused = candidates(world, login).verify(password, Service::Imap, NOW);
            assert_eq!(refused, Err(Refused::Wrong), "{login}");
        }
        world.write(move |tx| accounts::set_state(tx, &by(), alice, State::Suspended)).unwrap();
        let suspended = candidates(world, "alice").verify("pässword", Service::Imap, NOW);
        assert_eq!(suspended, Err(Refused::Suspended));
        assert_eq!(candidates(world, "alice").verify("x", Service::Imap, NOW), Err(Refused::Wrong));
        world.audit();
    });
}

#[test]
fn app_passwords_have_scope_expiry_and_name() {
    each(|world| {
        let alice = world.alice;
        let app = AppPassword::generate().unwrap();
        let new = NewAppPassword {
            name: "phone".to_owned(),
            scopes: vec![Service::Imap, Service::Smtp],
            expires: Some(Timestamp(NOW.0 + 1_000)),
            hash: app.hash.clone(),
        };
        let same = new.clone();
        let id = world.write(move |tx| credentials::add_app_password(tx, &by(), alice, &new)).unwrap();
        let twice = world.write(move |tx| credentials::add_app_password(tx, &by(), alice, &same));
        assert!(matches!(twice, Err(Error::Exists(_))));
        let try_it = |password: &str, service, now| candidates(world, "alice").verify(password, service, now);
        let ok = try_it(&app.plain, Service::Imap, NOW).unwrap();
        assert_eq!(ok.app(), Some("phone"));
        assert_eq!(ok.actor().to_string(), "login alice imap app phone");
        assert!(try_it(&app.plain.replace('-', "").to_uppercase(), Service::Smtp, NOW).is_ok());
        assert_eq!(try_it(&app.plain, Service::Pop3, NOW), Err(Refused::Scope));
        assert_eq!(try_it(&app.plain, Service::Imap, Timestamp(NOW.0 + 1_000)), Err(Refused::Expired));
        world.write(move |tx| credentials::touch(tx, &ok, NOW)).unwrap();
        let used = try_it(&app.plain, Service::Imap, NOW).unwrap();
        assert!(!used.should_touch(NOW));
        let listed = world.read(move |tx| credentials::list(tx, alice)).unwrap();
        assert_eq!(listed[0].last_used, Some(NOW));
        world.write(move |tx| credentials::remove(tx, &by(), alice, id)).unwrap();
        assert_eq!(try_it(&app.plain, Service::Imap, NOW), Err(Refused::Wrong));
        world.audit();
    });
}

#[test]
fn the_cache_spares_work_and_forgets_with_the_password() {
    each(|world| {
        set_password(world, "first");
        let cache = LoginCache::new().unwrap();
        let login = |password: &str, now| cache.verify(&candidates(world, "alice"), password, Service::Imap, now);
        assert!(login("first", NOW).is_ok());
        let known = candidates(world, "alice");
        let recall = |password: &str, now| cache.known(&known, password, Service::Imap, now).map(|found| found.is_ok());
        assert_eq!(recall("first", NOW), Some(true));
        assert_eq!(recall("wrong", NOW), None, "what was never verified is not known");
        assert_eq!(recall("first", Timestamp(NOW.0 + 601_000_000)), None);
        assert_eq!(login("wrong", NOW), Err(Refused::Wrong));
        // Forgotten after ten minutes, then verified and known again.
        let later = Timestamp(NOW.0 + 601_000_000);
        assert!(cache.verify(&known, "first", Service::Imap, later).is_ok());
        assert_eq!(recall("first", later), Some(true));
        set_password(world, "second");
        assert_eq!(login("first", NOW), Err(Refused::Wrong));
        let alice = world.alice;
        assert!(login("second", NOW).is_ok());
        world.write(move |tx| accounts::set_state(tx, &by(), alice, State::Suspended)).unwrap();
        assert_eq!(login("second", NOW), Err(Refused::Suspended));
    });
}

#[test]
fn hashes_are_argon2id_with_the_named_costs() {
    let hash = format!("{:?}", PasswordHash::of_password("x").unwrap());
    assert!(hash.contains("$argon2id$v=19$m=19456,t=2,p=1$…"), "{hash}");
    assert!(PasswordHash::of_password("").is_err());
    assert!(PasswordHash::of_password(&"x".repeat(1_025)).is_err());
    let (a, b) = (AppPassword::generate().unwrap(), AppPassword::generate().unwrap());
    assert_ne!(a.plain, b.plain);
    assert_eq!(a.plain.len(), 29);
}
