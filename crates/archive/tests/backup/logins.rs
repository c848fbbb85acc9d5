//! How an account is signed in to comes back with it: passwords, SCRAM's keys, certificates; and what a migration has taken already.

use postroad_mail::{Error, credentials, remote};
use postroad_sasl::digest::Digest;
use postroad_sasl::scram::{Hash, Keys};
use postroad_store::dump::Value;
use postroad_store::{AccountId, Locks, Store};

use crate::account::restore;
use crate::world::{Backups, Blank, NOW, by, each_database, fill, gone, number, rows};

/// The rows of an account, without its number.
fn of(store: &Store, table: &str, account: AccountId) -> Vec<Vec<Value>> {
    let all = rows(store, table).into_iter().filter(|row| row[0].int() == Some(account.0));
    all.map(|row| row[1..].to_vec()).collect()
}

/// Pins a certificate, switches NTLM on, notes what was taken from elsewhere.
fn equip(store: &Store, alice: AccountId) {
    let written = store.write_blocking(Locks::account(alice), move |tx| {
        credentials::pin(tx, &by(), alice, "laptop", &[1; 32])?;
        credentials::pin(tx, &by(), alice, "phone", &[2; 32])?;
        credentials::add_principal(tx, &by(), alice, "alice@REALM.TEST")?;
        credentials::add_principal(tx, &by(), alice, "carol@REALM.TEST")?;
        credentials::ntlm_on(tx, &by(), alice)?;
        credentials::digest_on(tx, &by(), alice, Digest::CramMd5)?;
        credentials::server_secret(tx)?;
        tx.execute(
            "INSERT INTO ntlm_key (account, credential, sealed) SELECT account, id, $2 FROM credential WHERE account = $1",
            postroad_store::params![alice, &b"sealed"[..]],
        )?;
        tx.execute(
            "INSERT INTO digest_key (account, credential, mechanism, sealed)
             SELECT account, id, 'CRAM-MD5', $2 FROM credential WHERE account = $1",
            postroad_store::params![alice, &b"sealed"[..]],
        )?;
        remote::link(tx, alice, remote::Direction::In, "imap.elsewhere.test", NOW)?;
        Ok::<_, Error>(())
    });
    written.unwrap();
}

/// Whether SCRAM knows the password of an account: its keys are those of the password with the salt that the server names.
fn knows(store: &Store, account: AccountId, password: &str) -> bool {
    let salts = store.read_blocking(move |tx| credentials::salts(tx, account)).unwrap();
    let made = salts.keys(password);
    let kept = rows(store, "scram_key").into_iter().filter(|row| row[0].int() == Some(account.0));
    let kept: Vec<(Option<String>, Value)> =
        kept.map(|row| (row[2].text().map(str::to_owned), row[5].clone())).collect();
    kept.len() == Hash::ALL.len()
        && made
            .iter()
            .all(|keys: &Keys| kept.contains(&(Some(keys.hash.name().to_owned()), Value::Bytes(keys.stored.clone()))))
}

#[test]
fn scram_works_after_the_whole_came_back() {
    each_database(|test| {
        let alice = fill(&test.store);
        equip(&test.store, alice);
        let backups = Backups::new();
        backups.make(&test.store);
        for there in [Blank::sqlite(), Blank::postgres()] {
            backups.restore(&there.store, true).unwrap();
            assert!(knows(&there.store, alice, "correct horse") && !knows(&there.store, alice, "wrong"));
            for table in [
                "login_certificate",
                "login_principal",
                "login_secret",
                "ntlm_account",
                "ntlm_key",
                "digest_account",
                "digest_key",
                "remote_link",
            ] {
                assert_eq!(rows(&there.store, table), rows(&test.store, table), "{table}");
            }
        }
    });
}

#[test]
fn scram_works_after_an_account_came_back() {
    each_database(|test| {
        let store = &test.store;
        let alice = fill(store);
        equip(store, alice);
        let before = |table| of(store, table, alice);
        let (keys, links, on) = (before("scram_key"), before("remote_link"), before("ntlm_account"));
        let digests = before("digest_account");
        assert!(!keys.is_empty() && !links.is_empty() && !on.is_empty());
        let backups = Backups::new();
        backups.make(store);
        let bob = number(store, "bob@example.test");
        gone(store, alice);
        let taken = store.write_blocking(Locks::account(bob), move |tx| {
            // Somebody else has one of the certificates, and of the principals, meanwhile.
            credentials::pin(tx, &by(), bob, "laptop", &[1; 32])?;
            credentials::add_principal(tx, &by(), bob, "carol@REALM.TEST")?;
            Ok::<_, Error>(())
        });
        taken.unwrap();
        let done = restore(&backups, store, "alice@example.test", None, None).unwrap();
        assert!(done.made);
        assert_eq!(
            done.refused,
            [
                "the certificate laptop opens somebody else's account now",
                "the principal carol@REALM.TEST opens somebody else's account now",
            ]
        );
        let anew = number(store, "alice@example.test");
        assert_ne!(anew, alice);
        assert!(knows(store, anew, "correct horse") && !knows(store, anew, "wrong"));
        assert_eq!((of(store, "scram_key", anew), of(store, "remote_link", anew)), (keys, links));
        let pins = store.read_blocking(move |tx| credentials::pins(tx, anew)).unwrap();
        assert_eq!(pins.iter().map(|pin| pin.name.as_str()).collect::<Vec<_>>(), ["phone"]);
        let principals = store.read_blocking(move |tx| credentials::principals(tx, anew)).unwrap();
        assert_eq!(principals.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["alice@REALM.TEST"]);
        assert!(!digests.is_empty() && of(store, "digest_key", anew).is_empty());
        assert_eq!(of(store, "digest_account", anew), digests);
        // NTLM's keys are sealed for the number that the account had: it waits for the password.
        assert_eq!((of(store, "ntlm_account", anew), of(store, "ntlm_key", anew)), (on, Vec::new()));
    });
}
