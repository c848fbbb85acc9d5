//! The second step of logging in: on all stores.

#![allow(missing_docs)]

mod common;

use std::time::Duration;

use postroad_identity::second::{self, RECOVERY_CODES, Verdict};
use postroad_identity::sessions::{self, Begun};
use postroad_identity::tokens::Lifetimes;
use postroad_identity::totp::{self, Shared};
use postroad_identity::{Error, cuts, sweep};
use postroad_mail::accounts::{self, NewAccount};
use postroad_mail::journal::{self, Operation};
use postroad_mail::password::PasswordHash;
use postroad_mail::{Actor, Address, By, Domain, domains};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Locks, ModSeq, Timestamp};
use postroad_testkit::{TestStore, each_store};

use common::write;

fn at(second: i64) -> Timestamp {
    Timestamp(1_800_000_000_000_000 + second * 1_000_000)
}

fn by(second: i64) -> By {
    By::new(at(second), Actor::Admin)
}

fn account(test: &TestStore) -> AccountId {
    let hash = PasswordHash::of_password("right").expect("a hash");
    write(test, |tx| {
        domains::create(tx, &by(0), &Domain::parse("example.test").map_err(Error::AddressInvalid)?)?;
        let address = Address::new("alice", "example.test").map_err(Error::AddressInvalid)?;
        let new = NewAccount {
            address,
            display_name: String::new(),
            password: Some(hash),
            quota_bytes: 0,
            quota_messages: 0,
        };
        accounts::create(tx, &by(0), &new)
    })
}

struct Alice {
    id: AccountId,
    sealer: Sealer,
    shared: Shared,
    codes: Vec<String>,
    _folder: tempfile::TempDir,
}

/// With a second step that was turned on at second 0.
fn alice(test: &TestStore) -> Alice {
    let folder = tempfile::tempdir().expect("a folder");
    let sealer = Sealer::open(&folder.path().join("secret.key")).expect("a key");
    let (id, shared) = (account(test), Shared::fresh().expect("random numbers"));
    let code = format!("{:06}", shared.code(totp::step(at(0))));
    let (sealing, theirs) = (sealer.clone(), shared.clone());
    let codes = write(test, move |tx| second::turn_on(tx, &by(0), &sealing, (id, 0), &theirs, &code));
    Alice { id, sealer, shared, codes: codes.expect("the code is right"), _folder: folder }
}

impl Alice {
    fn code(&self, second: i64) -> String {
        format!("{:06}", self.shared.code(totp::step(at(second))))
    }

    fn try_it(&self, test: &TestStore, typed: &str, second: i64) -> Verdict {
        let (id, sealer, typed) = (self.id, self.sealer.clone(), typed.to_owned());
        write(test, move |tx| second::verify(tx, &by(second), &sealer, id, &typed))
    }

    /// Six digits that no near step has.
    fn wrong(&self, second: i64) -> String {
        let near: Vec<String> = (-3..=3).map(|steps| self.code(second + steps * 30)).collect();
        let wrong = (0..10).map(|number| format!("{number:06}")).find(|code| !near.contains(code));
        wrong.expect("one of ten")
    }
}

#[test]
fn a_code_is_good_once() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let alice = alice(test);
        assert_eq!(alice.try_it(test, &alice.code(0), 1), Verdict::Wrong, "the one that turned it on");
        assert_eq!(alice.try_it(test, &alice.code(60), 60), Verdict::Right);
        assert_eq!(alice.try_it(test, &alice.code(60), 61), Verdict::Wrong);
        assert_eq!(alice.try_it(test, &alice.code(30), 62), Verdict::Wrong, "older than one that was used");
        assert_eq!(alice.try_it(test, &format!(" {} ", alice.code(90)), 63), Verdict::Right, "a clock that is fast");
        assert_eq!(alice.try_it(test, &alice.code(300), 390), Verdict::Wrong);
        assert_eq!(alice.codes.len(), RECOVERY_CODES);
        let typed = alice.codes[3].to_uppercase().replace('-', " ");
        assert_eq!(alice.try_it(test, &typed, 400), Verdict::Right);
        assert_eq!(alice.try_it(test, &typed, 401), Verdict::Wrong);
        let id = alice.id;
        let known = test.store.read_blocking(move |tx| second::find(tx, id)).expect("read").expect("on");
        assert_eq!((known.recovery_left, known.failures), (RECOVERY_CODES - 1, 1));
        let fresh = write(test, move |tx| second::renew_codes(tx, &by(410), id));
        assert_eq!(alice.try_it(test, &alice.codes[4], 411), Verdict::Wrong, "renewed");
        assert_eq!(alice.try_it(test, &fresh[0], 412), Verdict::Right);
    });
}

#[test]
fn wrong_codes_close_the_door() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let alice = alice(test);
        for second in 100..106 {
            assert_eq!(alice.try_it(test, &alice.wrong(second), second), Verdict::Wrong, "{second}");
        }
        // Also the right one is not looked at.
        assert_eq!(alice.try_it(test, &alice.code(106), 106), Verdict::Closed(Duration::from_secs(29)));
        assert_eq!(alice.try_it(test, &alice.codes[0], 134), Verdict::Closed(Duration::from_secs(1)));
        assert_eq!(alice.try_it(test, &alice.wrong(135), 135), Verdict::Wrong);
        assert_eq!(alice.try_it(test, &alice.code(194), 194), Verdict::Closed(Duration::from_secs(1)));
        let mut second = 195;
        let mut tries = 0;
        while second < 195 + 86_400 {
            match alice.try_it(test, &alice.wrong(second), second) {
                Verdict::Wrong => tries += 1,
                Verdict::Closed(pause) => second += i64::try_from(pause.as_secs()).expect("short").max(1),
                Verdict::Right | Verdict::Off => panic!("a wrong code is wrong"),
            }
        }
        assert!((20..40).contains(&tries), "{tries} in a day");
        let later = second + 7_200;
        assert_eq!(alice.try_it(test, &alice.code(later), later), Verdict::Right);
        assert_eq!(alice.try_it(test, &alice.wrong(later), later), Verdict::Wrong, "from the beginning again");
    });
}

#[test]
fn turning_it_on_ends_what_the_password_opened() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let folder = tempfile::tempdir().expect("a folder");
        let sealer = Sealer::open(&folder.path().join("secret.key")).expect("a key");
        let (id, shared) = (account(test), Shared::fresh().expect("random numbers"));
        let begun = Begun {
            account: id,
            credential: 1,
            steps: "pwd".into(),
            complete: true,
            network: "192.0.2.0/24".into(),
            agent: String::new(),
        };
        for _ in 0..2 {
            let begun = begun.clone();
            write(test, move |tx| sessions::begin(tx, &begun, &Lifetimes::default(), at(0)));
        }
        let list = |test: &TestStore| test.store.read_blocking(move |tx| sessions::list(tx, id, at(1))).expect("read");
        let keep = list(test)[0].id;
        let (right, wrong) = (format!("{:06}", shared.code(totp::step(at(1)))), "12345");
        for (code, on) in [(wrong.to_owned(), false), (right.clone(), true)] {
            let (sealer, shared) = (sealer.clone(), shared.clone());
            let codes = write(test, move |tx| second::turn_on(tx, &by(1), &sealer, (id, keep), &shared, &code));
            assert_eq!(codes.is_some(), on);
        }
        assert_eq!(list(test).iter().map(|session| session.id).collect::<Vec<_>>(), [keep]);
        let cuts = test.store.read_blocking(|tx| cuts::since(tx, at(0))).expect("read");
        assert_eq!(cuts.len(), 2, "the other session and the password");
        let twice = test.store.write_blocking(Locks::account(id), {
            let (sealer, shared) = (sealer.clone(), shared.clone());
            move |tx| second::turn_on(tx, &by(60), &sealer, (id, keep), &shared, &right)
        });
        assert!(matches!(twice, Err(Error::Exists(_))), "{twice:?}");
        let closed =
            |test: &TestStore| test.store.read_blocking(move |tx| second::keeps_programs_out(tx, id)).expect("read");
        assert!(closed(test));
        assert!(write(test, move |tx| second::set_programs(tx, &by(2), id, true)) && !closed(test));
        assert!(write(test, move |tx| second::set_programs(tx, &by(2), id, false)) && closed(test));
        assert!(write(test, move |tx| second::turn_off(tx, &by(3), id)) && !closed(test));
        assert!(!write(test, move |tx| second::turn_off(tx, &by(3), id)));
        let notes = test.store.read_blocking(move |tx| journal::changes(tx, id, ModSeq(0), 100)).expect("read");
        let notes: Vec<String> = notes
            .into_iter()
            .filter(|note| note.operation == Operation::Credential)
            .map(|note| String::from_utf8_lossy(&note.before).into_owned())
            .collect();
        let told = ["- second step\n", "- password for programs\n", "+ password for programs\n", "+ second step\n"];
        assert_eq!(notes, told);
    });
}

#[test]
fn who_knows_the_password_alone_puts_nobody_out() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let id = account(test);
        for second in 0..60 {
            let begun = Begun {
                account: id,
                credential: 1,
                steps: "pwd".into(),
                complete: second < 3,
                network: "192.0.2.0/24".into(),
                agent: String::new(),
            };
            write(test, move |tx| sessions::begin(tx, &begun, &Lifetimes::default(), at(second)));
        }
        let left = test.store.read_blocking(move |tx| sessions::list(tx, id, at(60))).expect("read");
        let complete = left.iter().filter(|session| session.complete).count();
        assert_eq!((left.len(), complete), (sessions::SESSIONS_MAX, 3));
    });
}

#[test]
fn it_goes_with_the_account() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let alice = alice(test);
        let id = alice.id;
        write(test, move |tx| accounts::delete(tx, &by(5), id));
        assert!(test.store.read_blocking(move |tx| second::is_on(tx, id)).expect("read"));
        write(test, |tx| sweep::sweep(tx, at(6)));
        assert!(!test.store.read_blocking(move |tx| second::is_on(tx, id)).expect("read"));
        assert_eq!(alice.try_it(test, &alice.code(60), 60), Verdict::Off);
    });
}
