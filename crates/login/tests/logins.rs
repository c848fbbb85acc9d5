//! Logins against real stores: who comes in, who does not, and what failing often leads to.

mod common;

use std::net::IpAddr;
use std::sync::Arc;

use postroad_login::Logins;
use postroad_mail::password::PasswordHash;
use postroad_mail::{Refused, Service};
use postroad_net::{BanSettings, Bans};
use postroad_sasl::{Answer, Ask, Evidence, Secret};
use postroad_store::Store;
use postroad_testkit::{each_store, wait};

use common::{NOW, account, change, domain};

fn populate(store: &Store) {
    let hash = PasswordHash::of_password("right").expect("a hash");
    let made = change(store, move |tx| {
        domain(tx, "example.test")?;
        for local in ["alice", "bob"] {
            account(tx, local, "example.test", Some(hash.clone()))?;
        }
        Ok(())
    });
    made.expect("two accounts");
}

fn check(authzid: Option<&str>, authcid: &str, password: &str) -> Ask {
    Ask {
        mechanism: "PLAIN",
        authzid: authzid.map(str::to_string),
        authcid: authcid.into(),
        evidence: Evidence::Password(Secret::new(password.into())),
    }
}

#[test]
fn only_the_right_password_of_the_same_account_opens() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        populate(&test.store);
        let logins = Logins::new(test.store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
        let from: IpAddr = [192, 0, 2, 7].into();
        for (authzid, authcid, password, opens) in [
            (None, "alice@example.test", "right", true),
            (None, "ALICE@EXAMPLE.TEST", "right", true),
            (Some("alice@example.test"), "Alice@example.test", "right", true),
            (Some("bob@example.test"), "alice@example.test", "right", false),
            (Some("nobody@example.test"), "alice@example.test", "right", false),
            (None, "alice@example.test", "wrong", false),
            (None, "nobody@example.test", "right", false),
            (None, "", "", false),
        ] {
            let outcome = wait(logins.verify(check(authzid, authcid, password), from, Service::Imap));
            match outcome {
                Answer::Granted { who, .. } => {
                    assert!(opens, "{authzid:?} {authcid} {password}");
                    assert_eq!(who.address().to_string(), "alice@example.test");
                }
                Answer::Refused { why: refused, .. } => {
                    assert!(!opens, "{authzid:?} {authcid} {password}");
                    assert_eq!(refused, Refused::Wrong);
                }
                other => panic!("the store answers: {other:?}"),
            }
        }
    });
}

#[test]
fn who_fails_too_often_is_shut_out_and_a_closed_store_is_nobodys_fault() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        populate(&test.store);
        let bans = Arc::new(Bans::new(BanSettings { points: 3, ..BanSettings::default() }));
        let logins = Logins::new(test.store.clone(), Arc::new(|| NOW), Some(Arc::clone(&bans)), 2).expect("random");
        let from: IpAddr = [192, 0, 2, 8].into();
        for failure in 1..=3 {
            let outcome = wait(logins.verify(check(None, "alice@example.test", "wrong"), from, Service::Pop3));
            assert!(matches!(outcome, Answer::Refused { why: Refused::Wrong, .. }));
            assert_eq!(bans.is_out(from, tokio::time::Instant::now()), failure == 3);
        }
        let other: IpAddr = [192, 0, 2, 9].into();
        test.store.close();
        let outcome = wait(logins.verify(check(None, "alice@example.test", "right"), other, Service::Imap));
        assert!(matches!(outcome, Answer::Unavailable));
        assert!(!bans.is_out(other, tokio::time::Instant::now()));
    });
}

#[test]
fn wrong_passkeys_shut_out_as_wrong_passwords_do() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let bans = Arc::new(Bans::new(BanSettings { points: 3, ..BanSettings::default() }));
        let logins = Logins::new(test.store.clone(), Arc::new(|| NOW), Some(Arc::clone(&bans)), 2).expect("random");
        let [stranger, owner]: [IpAddr; 2] = [[192, 0, 2, 8].into(), [192, 0, 2, 9].into()];
        logins.passkey_shown("alice@example.test", owner, Service::Jmap);
        for failure in 1..=3 {
            logins.passkey_failed("", stranger, Service::Jmap);
            assert_eq!(bans.is_out(stranger, tokio::time::Instant::now()), failure == 3);
            logins.passkey_failed("alice@example.test", owner, Service::Jmap);
        }
        assert!(!bans.is_out(owner, tokio::time::Instant::now()), "who was in lately mistypes");
    });
}
