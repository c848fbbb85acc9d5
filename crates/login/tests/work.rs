//! A refusal costs the same for a name that nobody has as for a wrong password: counted, not timed, for each mechanism.
#![allow(missing_docs)]

mod common;

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use postroad_identity::{Bearing, Kind};
use postroad_login::{DigestSealer, Logins, NtlmSealer, Work};
use postroad_mail::credentials;
use postroad_mail::password::PasswordHash;
use postroad_mail::{Authenticated, Error, Refused, Service};
use postroad_net::{BanSettings, Bans};
use postroad_sasl::digest::{Digest, Proof};
use postroad_sasl::{
    Answer, Ask, Bindings, Channel, Client, ClientCertificate, ClientIdentity, Credential, Evidence, Exchange, Secret,
    Turn, find,
};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Locks, Store};
use postroad_testkit::{each_store, wait};

use common::{FROM, NOW, by, change, two_in_two_domains};

type Talk = Exchange<Authenticated, Refused>;

/// Two accounts in two domains, with everything switched on for the first.
fn populate(store: &Store) {
    let alice = two_in_two_domains(store);
    let made = change(store, move |tx| {
        credentials::ntlm_on(tx, &by(), alice)?;
        credentials::digest_on(tx, &by(), alice, Digest::CramMd5)?;
        credentials::digest_on(tx, &by(), alice, Digest::Apop)
    });
    made.expect("everything is switched on");
}

fn logins(store: &Store, key: &Path, bans: Option<Arc<Bans>>) -> Logins {
    let sealer = Sealer::open(key).expect("a key");
    let logins = Logins::new(store.clone(), Arc::new(|| NOW), bans, 2).expect("random numbers");
    let logins = logins.with_ntlm(NtlmSealer::new(sealer.clone()), "mail.example.test");
    logins.with_digests(DigestSealer::new(sealer), "mail.example.test")
}

fn answered(logins: &Logins, ask: Ask) -> Answer<Authenticated, Refused> {
    wait(logins.verify(ask, FROM, Service::Pop3))
}

/// Runs an exchange of a client of ours to its end; says how many questions there were.
fn exchange(logins: &Logins, mechanism: &str, identity: ClientIdentity) -> (Result<Authenticated, Refused>, usize) {
    let row = find(mechanism).expect("a mechanism");
    let mut client = Client::new(row, identity, &Bindings::default()).expect("a client");
    let initial = client.initial();
    let channel = Channel { tls: None, offered: &[row] };
    let (mut talk, mut turn) = Talk::begin(row, initial.as_ref().map(|first| first.expose().as_bytes()), channel);
    let mut asked = 0;
    loop {
        turn = match turn {
            Turn::Challenge(text) => {
                talk.answer(client.answer(text.as_bytes()).expect("an answer").expose().as_bytes())
            }
            Turn::Ask(ask) => {
                asked += 1;
                talk.answered(answered(logins, ask))
            }
            Turn::Done(who) => return (Ok(who), asked),
            Turn::Refused(why) => return (Err(why), asked),
            turn @ (Turn::Unavailable | Turn::Malformed(..) | Turn::Failed(_)) => panic!("{mechanism}: {turn:?}"),
        };
    }
}

/// What somebody shows, by a mechanism or a command of POP3.
fn show(
    logins: &Logins,
    how: &str,
    authzid: &str,
    user: &str,
    password: &str,
) -> (Result<Authenticated, Refused>, usize) {
    let secret = || Secret::new(password.to_owned());
    let one = |evidence| {
        let ask = Ask { mechanism: "APOP", authzid: None, authcid: user.to_owned(), evidence };
        match answered(logins, ask) {
            Answer::Granted { who, .. } => (Ok(who), 1),
            Answer::Refused { why, .. } => (Err(why), 1),
            other => panic!("{other:?}"),
        }
    };
    match how {
        "APOP" => {
            let shown = if password == "right" { RIGHT_APOP } else { WRONG_APOP };
            one(Evidence::DigestProof(Proof::read(Digest::Apop, b"<1@example.test>", shown).expect("32 digits")))
        }
        "EXTERNAL" => {
            let certificate = ClientCertificate { fingerprint: [9; 32], addresses: Vec::new(), trusted: false };
            one(Evidence::Certificate(certificate))
        }
        "OAUTHBEARER" | "XOAUTH2" => {
            let token = Credential::Token { token: secret(), host: "mail.example.test".into(), port: 993 };
            exchange(logins, how, ClientIdentity::new(user, token).expect("random"))
        }
        _ => {
            let mut identity = ClientIdentity::password(user, secret()).expect("random");
            authzid.clone_into(&mut identity.authzid);
            exchange(logins, how, identity)
        }
    }
}

/// `printf '<1@example.test>right' | md5sum`, and one that nobody makes.
const RIGHT_APOP: &str = "a4b6014fc498b779cdfb4fc997fdbf9e";
const WRONG_APOP: &str = "00000000000000000000000000000000";

/// What it cost, and how many questions.
fn cost(logins: &Logins, how: &str, authzid: &str, user: &str, password: &str) -> (Work, usize) {
    let before = logins.work();
    let (ended, asked) = show(logins, how, authzid, user, password);
    assert_eq!(ended, Err(Refused::Wrong), "{how} {authzid} {user} {password}");
    let after = logins.work();
    let work = Work {
        statements: after.statements - before.statements,
        hashes: after.hashes - before.hashes,
        opened: after.opened - before.opened,
    };
    (work, asked)
}

#[test]
fn a_refusal_costs_the_same_whoever_it_is() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        populate(&test.store);
        let folder = tempfile::tempdir().expect("a folder");
        let logins = logins(&test.store, &folder.path().join("key"), None);
        // Keys are made of a password that is seen.
        assert!(show(&logins, "PLAIN", "", "alice@corp.example.test", "right").0.is_ok());
        for (how, hashes, opened) in [
            ("PLAIN", 1, 0),
            ("LOGIN", 1, 0),
            ("SCRAM-SHA-1", 0, 0),
            ("SCRAM-SHA-256", 0, 0),
            ("NTLM", 0, 51),
            ("CRAM-MD5", 0, 51),
            ("APOP", 0, 51),
            ("OAUTHBEARER", 0, 0),
            ("XOAUTH2", 0, 0),
            ("EXTERNAL", 0, 0),
        ] {
            let (wrong, asked) = cost(&logins, how, "", "alice@corp.example.test", "wrong");
            // What has not the form of a token of ours is not looked for.
            assert_eq!(wrong.statements > 0, !matches!(how, "OAUTHBEARER" | "XOAUTH2"), "{how}: it is counted");
            assert_eq!((wrong.hashes, wrong.opened), (hashes, opened), "{how}");
            // Somebody without keys, a stranger in a domain of ours, and one elsewhere.
            for user in ["bob@example.test", "nobody@corp.example.test", "nobody@elsewhere.test"] {
                assert_eq!(cost(&logins, how, "", user, "wrong"), (wrong, asked), "{how} {user}");
            }
            // Other forms of the same name cost what they cost, but the same for all.
            let (labelled, _) = cost(&logins, how, "", "CORP\\alice", "wrong");
            assert_eq!(cost(&logins, how, "", "CORP\\nobody", "wrong").0, labelled, "{how}");
            let (bare, _) = cost(&logins, how, "", "alice", "wrong");
            assert_eq!(cost(&logins, how, "", "nobody", "wrong").0, bare, "{how}");
        }
        // Who would act as another: whether they exist, or the other does, is not to be had either.
        for how in ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"] {
            for authzid in ["bob@example.test", "nobody@example.test", "bob", "nobody"] {
                let (wrong, asked) = cost(&logins, how, authzid, "alice@corp.example.test", "wrong");
                let unknown = cost(&logins, how, authzid, "nobody@corp.example.test", "wrong");
                assert_eq!(unknown, (wrong, asked), "{how} {authzid}");
            }
        }
        // A token that nobody gave out, of an account that there is, and of none.
        let known = show(&logins, "PLAIN", "", "alice@corp.example.test", "right").0.expect("alice").account();
        for how in ["OAUTHBEARER", "XOAUTH2"] {
            let forged = |account: AccountId| {
                let octets = [&account.0.to_be_bytes()[..], &7i64.to_be_bytes(), &[1; 24]].concat();
                let token = format!("pra_{}", URL_SAFE_NO_PAD.encode(octets));
                assert!(Bearing::parse(Kind::Access, &token).is_some(), "it has the form of one");
                token
            };
            let (wrong, asked) = cost(&logins, how, "", "alice@corp.example.test", &forged(known));
            assert!(wrong.statements > 0 && wrong.hashes == 0, "{wrong:?}");
            for user in ["alice@corp.example.test", "nobody@corp.example.test"] {
                assert_eq!(cost(&logins, how, "", user, &forged(AccountId(99_999))), (wrong, asked), "{how} {user}");
            }
        }
        // And those who could come in do, by each.
        for how in ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "NTLM", "CRAM-MD5", "APOP"] {
            assert!(show(&logins, how, "", "alice@corp.example.test", "right").0.is_ok(), "{how}");
        }
    });
}

#[test]
fn digests_are_off_until_switched_on_and_go_with_the_password() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (store, alice) = (&test.store, "alice@corp.example.test");
        populate(store);
        let folder = tempfile::tempdir().expect("a folder");
        let logins = logins(store, &folder.path().join("key"), None);
        let opens = |how: &str, who: &str| show(&logins, how, "", who, "right").0;
        assert_eq!((opens("CRAM-MD5", alice), opens("APOP", alice)), (Err(Refused::Wrong), Err(Refused::Wrong)));
        assert!(opens("PLAIN", alice).is_ok() && opens("PLAIN", "bob@example.test").is_ok());
        for how in ["CRAM-MD5", "APOP"] {
            assert!(opens(how, alice).is_ok() && opens(how, "CORP\\alice").is_ok(), "{how}");
            assert_eq!(opens(how, "bob@example.test"), Err(Refused::Wrong), "{how} is off for bob");
        }
        let account = opens("PLAIN", alice).expect("alice").account();
        let off = move |tx: &mut _| credentials::digest_off(tx, &by(), account, Digest::CramMd5);
        store.write_blocking(Locks::account(account), off).expect("off");
        assert_eq!(opens("CRAM-MD5", alice), Err(Refused::Wrong));
        assert!(opens("APOP", alice).is_ok(), "each is a switch of its own");
        let new = PasswordHash::of_password("another").expect("a hash");
        let set = move |tx: &mut _| credentials::set_password(tx, &by(), account, &new);
        store.write_blocking(Locks::account(account), set).expect("set");
        assert_eq!(opens("APOP", alice), Err(Refused::Wrong), "the key goes with the password");
        // Keys are not the password, and are sealed for the account.
        let look = move |tx: &postroad_store::ReadTx| -> Result<_, Error> {
            Ok(tx.rows("SELECT sealed FROM digest_key", postroad_store::params![], |row| row.bytes(0))?)
        };
        assert!(show(&logins, "PLAIN", "", alice, "another").0.is_ok());
        let kept = store.read_blocking(look).expect("keys");
        assert_eq!(kept.len(), 1);
        assert!(!kept[0].windows(7).any(|part| part == b"another"));
    });
}

#[test]
fn what_does_not_follow_its_mechanism_shuts_out_as_wrong_passwords_do() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        populate(&test.store);
        let folder = tempfile::tempdir().expect("a folder");
        let bans = Arc::new(Bans::new(BanSettings { points: 3, ..BanSettings::default() }));
        let logins = logins(&test.store, &folder.path().join("key"), Some(Arc::clone(&bans)));
        for (number, (name, line)) in
            [("PLAIN", &b"!"[..]), ("NTLM", b"TlRMTVNTUA=="), ("XOAUTH2", b"//8=")].into_iter().enumerate()
        {
            let row = find(name).expect("a mechanism");
            let (mut talk, turn) = Talk::begin(row, Some(line), Channel { tls: None, offered: &[row] });
            let Turn::Ask(ask) = turn else { panic!("{turn:?}") };
            assert!(matches!(talk.answered(answered(&logins, ask)), Turn::Malformed(_, Refused::Wrong)), "{name}");
            assert_eq!(bans.is_out(FROM, tokio::time::Instant::now()), number == 2);
        }
        // Who cancels has guessed nothing.
        let row = find("PLAIN").expect("PLAIN");
        let (mut talk, _) = Talk::begin(row, None, Channel { tls: None, offered: &[row] });
        assert!(matches!(talk.answer(b"*"), Turn::Failed(_)));
    });
}
