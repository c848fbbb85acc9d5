//! What CRAM-MD5 and APOP need of a password: for CRAM-MD5 the states of HMAC, which open nothing else; for APOP the password itself.
//! Either is kept sealed, and only for accounts that the mechanism was switched on for.
//!
//! Invariants: those of NTLM's keys (`ntlm.rs`), for each of the two mechanisms by itself:
//! 1. An account that a mechanism is not switched on for has no key of it.
//! 2. A key is of one credential and goes with it: a changed password has none until it is next seen.
//! 3. What is sealed opens for that account, credential and mechanism alone.
//! 4. A proof costs the same for every name: it is tried with as many keys as an account can have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postroad_sasl::digest::{Digest, Key, Proof};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx, params};

use super::sealed::SealedKeys;
use super::{Authenticated, KeyState, Refused, candidates, may_have_passwords};
use crate::journal::{self, Note, Operation};
use crate::{By, Result, Service};

/// Who has which mechanism, and the sealed keys.
pub(crate) const TABLES: &str = "
CREATE TABLE digest_account (
    account BIGINT NOT NULL,
    mechanism {text} NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (account, mechanism)
);
CREATE TABLE digest_key (
    account BIGINT NOT NULL,
    credential BIGINT NOT NULL,
    mechanism {text} NOT NULL,
    sealed {bytes} NOT NULL,
    PRIMARY KEY (account, credential, mechanism)
) {clustered};
";

/// How a mechanism stands with an account.
pub fn digest_state(tx: &ReadTx, account: AccountId, digest: Digest) -> Result<KeyState> {
    let (on, keys) = tx.one(
        "SELECT (SELECT COUNT(*) FROM digest_account WHERE account = $1 AND mechanism = $2),
                (SELECT COUNT(*) FROM digest_key WHERE account = $1 AND mechanism = $2)",
        params![account, digest.name()],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    Ok(KeyState::of(on, keys))
}

/// Switches a mechanism on; keys are made of passwords that are seen from now on. Errors: `Refused` for a shared account. Locks:
/// the account's.
pub fn digest_on(tx: &mut WriteTx, by: &By, account: AccountId, digest: Digest) -> Result<()> {
    may_have_passwords(tx, account)?;
    let modseq = journal::begin(tx, account)?;
    tx.execute(
        "INSERT INTO digest_account (account, mechanism, since) VALUES ($1, $2, $3)
         ON CONFLICT (account, mechanism) DO NOTHING",
        params![account, digest.name(), by.now],
    )?;
    let before = format!("{} off\n", digest.name().to_ascii_lowercase());
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) })
}

/// Switches it off; its keys are gone at once. Locks: the account's.
pub fn digest_off(tx: &mut WriteTx, by: &By, account: AccountId, digest: Digest) -> Result<()> {
    if digest_state(tx, account, digest)? == KeyState::Off {
        return Ok(());
    }
    let modseq = journal::begin(tx, account)?;
    let which = params![account, digest.name()];
    tx.execute("DELETE FROM digest_account WHERE account = $1 AND mechanism = $2", which)?;
    tx.execute("DELETE FROM digest_key WHERE account = $1 AND mechanism = $2", which)?;
    let before = format!("{} on\n", digest.name().to_ascii_lowercase());
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) })
}

/// Everything of an account that goes.
pub(crate) fn forget(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM digest_account WHERE account = $1", params![account])?;
    tx.execute("DELETE FROM digest_key WHERE account = $1", params![account])?;
    Ok(())
}

/// Lets go of the keys of credentials that are gone. One statement.
pub(crate) fn prune(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute(
        "DELETE FROM digest_key WHERE account = $1
         AND credential NOT IN (SELECT id FROM credential WHERE account = $1)",
        params![account],
    )?;
    Ok(())
}

/// Keeps the keys of a password that was just seen; `login` says of which credential. Those of mechanisms that are off are
/// passed over. Not an operation of the account. Locks: the account's.
pub fn keep_digests(tx: &mut WriteTx, login: &Authenticated, sealed: &[(Digest, Vec<u8>)]) -> Result<()> {
    for (digest, sealed) in sealed {
        // The password may have been changed, or the mechanism switched off, meanwhile.
        tx.execute(
            "INSERT INTO digest_key (account, credential, mechanism, sealed) SELECT $1, $2, $3, $4
             WHERE EXISTS (SELECT 1 FROM credential WHERE account = $1 AND id = $2)
               AND EXISTS (SELECT 1 FROM digest_account WHERE account = $1 AND mechanism = $3)
             ON CONFLICT (account, credential, mechanism) DO NOTHING",
            params![login.holder, login.credential, digest.name(), &sealed[..]],
        )?;
    }
    Ok(())
}

/// The key that opens, and seals, the keys of both mechanisms; also what is opened for names that have none.
#[derive(Debug, Clone)]
pub struct DigestSealer {
    sealer: Sealer,
    opened: Arc<AtomicU64>,
    nobody: [Vec<u8>; 2],
}

impl DigestSealer {
    /// By the server's key for secrets.
    pub fn new(sealer: Sealer) -> DigestSealer {
        let nobody = Digest::ALL.map(|digest| {
            let key = Key::of_password(digest, "");
            sealer.seal(NOBODY, key.as_ref().map_or(&[], Key::expose))
        });
        DigestSealer { sealer, opened: Arc::default(), nobody }
    }

    /// Seals the keys of a password that `login` was made with. APOP has none of a password that is longer than
    /// [`postroad_sasl::digest::PASSWORD_MAX`].
    pub fn seal(&self, login: &Authenticated, password: &str) -> Vec<(Digest, Vec<u8>)> {
        let one = |digest| {
            let key = Key::of_password(digest, password)?;
            Some((digest, self.sealer.seal(&purpose(digest, login.holder, login.credential), key.expose())))
        };
        Digest::ALL.into_iter().filter_map(one).collect()
    }

    fn nobody(&self, digest: Digest) -> &[u8] {
        match digest {
            Digest::CramMd5 => &self.nobody[0],
            Digest::Apop => &self.nobody[1],
        }
    }

    /// How many keys were opened: as many for each proof, whosoever it is.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    fn open(&self, digest: Digest, purpose: &str, sealed: &[u8]) -> Result<Option<Key>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Key::stored(digest, self.sealer.unseal(purpose, sealed)?))
    }
}

fn purpose(digest: Digest, account: AccountId, credential: i64) -> String {
    format!("{}:{}:{credential}", digest.name(), account.0)
}

/// A login's keys, taken out of the database; also made for a login that does not exist.
#[derive(Debug, Clone)]
pub struct DigestCandidates(SealedKeys);

/// Takes a login's keys out. The same statements for every login that names a domain.
pub fn digest_candidates(tx: &ReadTx, login: &str, digest: Digest) -> Result<DigestCandidates> {
    let candidates = candidates(tx, login)?;
    let keys = tx.rows(
        "SELECT credential, sealed FROM digest_key WHERE account = $1 AND mechanism = $2 ORDER BY credential LIMIT 64",
        params![candidates.account().unwrap_or(AccountId(0)), digest.name()],
        |row| Ok((row.int(0)?, row.bytes(1)?)),
    )?;
    Ok(DigestCandidates(SealedKeys { candidates, keys }))
}

impl DigestCandidates {
    /// Checks a proof. The same work for every login. Errors: a key cannot be opened (another key file).
    pub fn verify(
        &self,
        sealer: &DigestSealer,
        proof: &Proof,
        service: Service,
        now: Timestamp,
    ) -> Result<std::result::Result<Authenticated, Refused>> {
        let digest = proof.digest();
        self.0.tried(service, now, |account, key| {
            let (purpose, sealed) = match key {
                Some((credential, sealed)) => (purpose(digest, account, credential), sealed),
                None => (NOBODY.to_owned(), sealer.nobody(digest)),
            };
            Ok(sealer.open(digest, &purpose, sealed)?.is_some_and(|key| proof.verify(&key)))
        })
    }

    /// The account, when the login is one's.
    pub fn account(&self) -> Option<AccountId> {
        self.0.candidates.account()
    }
}

/// What the keys of names that have none are sealed for.
const NOBODY: &str = "digest:nobody";
