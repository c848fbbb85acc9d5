//! Passkeys: on all stores.

#![allow(missing_docs)]

mod common;

use std::time::Duration;

use postroad_identity::passkeys::{self, Answer, Made, NAME_MAX, NotShown, PASSKEYS_MAX, Party, Question, Shown};
use postroad_identity::second::{self, RECOVERY_CODES, Verdict};
use postroad_identity::sessions::{self, Begun};
use postroad_identity::tokens::Lifetimes;
use postroad_identity::webauthn::Fault;
use postroad_identity::{Error, cuts, held, sweep};
use postroad_mail::accounts::{self, NewAccount, State};
use postroad_mail::journal::{self, Operation};
use postroad_mail::{Actor, Address, By, Domain, domains};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Locks, ModSeq, Timestamp};
use postroad_testkit::authenticator::base64url;
use postroad_testkit::{Authenticator, TestStore, each_store};

use common::write;

const ORIGIN: &str = "https://mail.example.test";

fn at(second: i64) -> Timestamp {
    Timestamp(1_800_000_000_000_000 + second * 1_000_000)
}

fn by(second: i64) -> By {
    By::new(at(second), Actor::Admin)
}

fn account(test: &TestStore, name: &'static str) -> AccountId {
    write(test, move |tx| {
        match domains::create(tx, &by(0), &Domain::parse("example.test").map_err(Error::AddressInvalid)?) {
            Ok(_) | Err(Error::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        let address = Address::new(name, "example.test").map_err(Error::AddressInvalid)?;
        let new =
            NewAccount { address, display_name: String::new(), password: None, quota_bytes: 0, quota_messages: 0 };
        accounts::create(tx, &by(0), &new)
    })
}

fn question(verified: bool) -> Question {
    let challenge = passkeys::challenge().expect("random numbers");
    Question { challenge, party: Party::of_issuer(ORIGIN), verified }
}

fn add(
    test: &TestStore,
    account: AccountId,
    question: &Question,
    authenticator: &Authenticator,
    name: &str,
) -> Result<Result<i64, NotShown>, Error> {
    let (client_data, attestation) = authenticator.make(&base64url(&question.challenge));
    let (question, name) = (question.clone(), name.to_owned());
    let done = test.store.write_blocking(Locks::account(account), move |tx| {
        let handle = passkeys::handle(tx, account)?;
        passkeys::add(tx, &by(1), account, &question, &Made { client_data, attestation, handle, name })
    });
    done.map(|done| done.value)
}

/// An account with a passkey; its handle.
fn with_one(test: &TestStore, name: &'static str) -> (AccountId, i64, Authenticator, String) {
    let (account, authenticator) = (account(test, name), Authenticator::new(ORIGIN));
    let id = add(test, account, &question(false), &authenticator, "Laptop").expect("written").expect("good");
    let handle = test.store.read_blocking(move |tx| passkeys::handle(tx, account)).expect("read");
    (account, id, authenticator, handle)
}

fn answer(authenticator: &mut Authenticator, question: &Question, handle: Option<&str>) -> Answer {
    let (client_data, data, signature) = authenticator.sign(&base64url(&question.challenge));
    let handle = handle.map(decoded);
    Answer { credential: authenticator.credential.clone(), client_data, data, signature, handle }
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn verify(test: &TestStore, account: AccountId, question: &Question, answer: &Answer) -> Result<Shown, NotShown> {
    let (question, answer) = (question.clone(), answer.clone());
    write(test, move |tx| passkeys::verify(tx, account, &question, &answer, at(2)))
}

#[test]
fn a_passkey_opens_its_account_and_each_challenge_once() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (alice, id, mut authenticator, handle) = with_one(test, "alice");
        let bob = account(test, "bob");
        let credential = authenticator.credential.clone();
        let holder = test.store.read_blocking(move |tx| passkeys::holder(tx, &credential)).expect("read");
        assert_eq!(holder, Some(alice));
        let asked = question(true);
        let good = answer(&mut authenticator, &asked, Some(&handle));
        assert_eq!(verify(test, bob, &asked, &good), Err(NotShown::Unknown));
        assert_eq!(verify(test, alice, &asked, &good), Ok(Shown { id, copied: false, verified: true }));
        assert_eq!(verify(test, alice, &asked, &good), Err(NotShown::Spent));
        let other = question(true);
        assert_eq!(verify(test, alice, &other, &good), Err(NotShown::Answer(Fault::Challenge)));
        // Alone it says whose it is; behind the password it need not.
        for (verified, theirs, shown) in [
            (true, None, Err(NotShown::Handle)),
            (true, Some("AAAA"), Err(NotShown::Handle)),
            (false, Some("AAAA"), Err(NotShown::Handle)),
            (false, None, Ok(Shown { id, copied: false, verified: true })),
        ] {
            let asked = question(verified);
            let answered = answer(&mut authenticator, &asked, theirs);
            assert_eq!(verify(test, alice, &asked, &answered), shown, "{verified} {theirs:?}");
        }
        // A wrong answer spends the challenge, too.
        let asked = question(true);
        let good = answer(&mut authenticator, &asked, Some(&handle));
        let wrong = Answer { signature: vec![0x30], ..good.clone() };
        assert_eq!(verify(test, alice, &asked, &wrong), Err(NotShown::Answer(Fault::Signature)));
        assert_eq!(verify(test, alice, &asked, &good), Err(NotShown::Spent));
        let listed = test.store.read_blocking(move |tx| passkeys::list(tx, alice)).expect("read");
        assert_eq!((listed[0].name.as_str(), listed[0].last_used), ("Laptop", Some(at(2))));
    });
}

#[test]
fn a_copy_that_counts_less_is_refused() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (alice, _, mut authenticator, handle) = with_one(test, "alice");
        for (count, fault) in [(6, None), (4, Some(Fault::Counter)), (6, Some(Fault::Counter)), (7, None)] {
            authenticator.count = count;
            let asked = question(true);
            let answered = answer(&mut authenticator, &asked, Some(&handle));
            assert_eq!(verify(test, alice, &asked, &answered).err(), fault.map(NotShown::Answer), "{count}");
        }
        authenticator.flags = 0x01;
        let asked = question(true);
        let answered = answer(&mut authenticator, &asked, Some(&handle));
        assert_eq!(verify(test, alice, &asked, &answered), Err(NotShown::Answer(Fault::User)));
        let asked = question(false);
        let answered = answer(&mut authenticator, &asked, None);
        let shown = verify(test, alice, &asked, &answered).expect("a touch does behind a password");
        assert_eq!((shown.verified, shown.steps()), (false, "hwk user"));
    });
}

#[test]
fn there_are_so_many_with_names_each_once() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (alice, _, first, handle) = with_one(test, "alice");
        let bob = account(test, "bob");
        for account in [alice, bob] {
            let again = add(test, account, &question(false), &first, "again");
            assert!(matches!(again, Err(Error::Exists(_))), "{again:?}");
        }
        for wrong in ["", "  ", "a\u{7}", &"x".repeat(NAME_MAX + 1)] {
            let refused = add(test, alice, &question(false), &Authenticator::new(ORIGIN), wrong);
            assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        }
        let asked = question(false);
        for (origin, outcome) in
            [("https://evil.example", Err(NotShown::Answer(Fault::Origin))), (ORIGIN, Err(NotShown::Spent))]
        {
            let made = add(test, alice, &asked, &Authenticator::new(origin), "x").expect("written");
            assert_eq!(made, outcome, "{origin}");
        }
        for _ in 1..PASSKEYS_MAX {
            add(test, alice, &question(false), &Authenticator::new(ORIGIN), "x").expect("written").expect("good");
        }
        let more = add(test, alice, &question(false), &Authenticator::new(ORIGIN), "x");
        assert!(matches!(more, Err(Error::Refused(_))), "{more:?}");
        let same = test.store.read_blocking(move |tx| passkeys::handle(tx, alice)).expect("read");
        assert_eq!(same, handle, "one for all of an account");
    });
}

#[test]
fn what_is_taken_away_opens_nothing_and_ends_what_it_opened() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (alice, id, mut authenticator, handle) = with_one(test, "alice");
        let begun = |credential: i64| Begun {
            account: alice,
            credential,
            steps: "hwk user mfa".into(),
            complete: true,
            network: "192.0.2.0/24".into(),
            agent: String::new(),
        };
        for begun in [begun(id), begun(1)] {
            write(test, move |tx| sessions::begin(tx, &begun, &Lifetimes::default(), at(1)));
        }
        write(test, move |tx| accounts::set_state(tx, &by(2), alice, State::Suspended));
        let asked = question(true);
        let answered = answer(&mut authenticator, &asked, Some(&handle));
        assert_eq!(verify(test, alice, &asked, &answered), Err(NotShown::Account));
        write(test, move |tx| accounts::set_state(tx, &by(2), alice, State::Active));
        assert!(write(test, move |tx| held::take_away(tx, &by(3), alice, id)));
        assert!(!write(test, move |tx| held::take_away(tx, &by(3), alice, id)));
        let asked = question(true);
        let answered = answer(&mut authenticator, &asked, Some(&handle));
        assert_eq!(verify(test, alice, &asked, &answered), Err(NotShown::Unknown));
        let left = test.store.read_blocking(move |tx| held::held(tx, alice, at(4))).expect("read");
        assert_eq!((left.passkeys.len(), left.sessions.len()), (0, 1), "what the password opened stays");
        let cuts = test.store.read_blocking(|tx| cuts::since(tx, at(0))).expect("read");
        assert_eq!(cuts.len(), 2, "the passkey and its session");
        let notes = test.store.read_blocking(move |tx| journal::changes(tx, alice, ModSeq(0), 100)).expect("read");
        let notes: Vec<String> = notes
            .into_iter()
            .filter(|note| note.operation == Operation::Credential)
            .map(|note| String::from_utf8_lossy(&note.before).into_owned())
            .collect();
        assert_eq!(notes, ["- passkey Laptop\n", "+ passkey Laptop\n"]);
    });
}

#[test]
fn a_second_step_can_stand_on_passkeys_alone() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (bob, (alice, ..)) = (account(test, "bob"), with_one(test, "alice"));
        assert_eq!(write(test, move |tx| second::turn_on_by_passkeys(tx, &by(2), (bob, 0))), None);
        let codes = write(test, move |tx| second::turn_on_by_passkeys(tx, &by(2), (alice, 0))).expect("it has one");
        assert_eq!(codes.len(), RECOVERY_CODES);
        let known = test.store.read_blocking(move |tx| second::find(tx, alice)).expect("read").expect("on");
        assert!(!known.codes);
        let folder = tempfile::tempdir().expect("a folder");
        let sealer = Sealer::open(&folder.path().join("secret.key")).expect("a key");
        for (typed, verdict) in [("123456", Verdict::Wrong), (&codes[0], Verdict::Right), (&codes[0], Verdict::Wrong)] {
            let (sealer, typed) = (sealer.clone(), typed.to_owned());
            assert_eq!(write(test, move |tx| second::verify(tx, &by(3), &sealer, alice, &typed)), verdict);
        }
        let twice = test
            .store
            .write_blocking(Locks::account(alice), move |tx| second::turn_on_by_passkeys(tx, &by(4), (alice, 0)));
        assert!(matches!(twice, Err(Error::Exists(_))), "{twice:?}");
    });
}

#[test]
fn they_go_with_the_account_and_spent_challenges_in_time() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (alice, _, mut authenticator, handle) = with_one(test, "alice");
        let asked = question(true);
        let answered = answer(&mut authenticator, &asked, Some(&handle));
        verify(test, alice, &asked, &answered).expect("good");
        let late = at(2).plus(passkeys::GOOD_FOR);
        write(test, move |tx| sweep::sweep(tx, late));
        assert_eq!(verify(test, alice, &asked, &answered), Err(NotShown::Spent), "not before it is too old anyway");
        let later = at(2).plus(passkeys::GOOD_FOR * 2 + Duration::from_secs(1));
        write(test, move |tx| sweep::sweep(tx, later));
        let count = |test: &TestStore, table: &'static str| {
            let sql = format!("SELECT COUNT(*) FROM {table}");
            test.store.read_blocking(move |tx| tx.one(&sql, postroad_store::params![], |row| row.int(0))).expect("read")
        };
        assert_eq!((count(test, "passkey"), count(test, "passkey_challenge")), (1, 0));
        write(test, move |tx| accounts::delete(tx, &by(5), alice));
        let credential = authenticator.credential.clone();
        assert_eq!(test.store.read_blocking(move |tx| passkeys::holder(tx, &credential)).expect("read"), None);
        write(test, move |tx| sweep::sweep(tx, later));
        assert_eq!(count(test, "passkey"), 0);
        let (bob, ..) = with_one(test, "bob");
        write(test, move |tx| cuts::tell_all(tx, bob, at(9)));
        assert_eq!((count(test, "passkey"), count(test, "passkey_challenge")), (0, 0));
    });
}
