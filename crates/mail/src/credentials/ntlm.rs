//! What NTLM needs of a password: its MD4 hash, which is worth as much as the password and is therefore kept sealed, and only
//! for accounts that it was switched on for.
//!
//! Invariants:
//! 1. An account that NTLM is not switched on for has no key.
//! 2. A key is of one credential and goes with it: a changed password has none until it is next seen.
//! 3. What is sealed opens for that account and credential alone.
//! 4. A proof costs the same for every name: it is tried with as many keys as an account can have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postroad_sasl::ntlm::{NtHash, Proof};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx, params};

use super::sealed::SealedKeys;
use super::{Authenticated, Refused, candidates, may_have_passwords};
use crate::journal::{self, Note, Operation};
use crate::{By, Result, Service};

/// Who has NTLM, and the sealed keys.
pub(crate) const TABLES: &str = "
CREATE TABLE ntlm_account (
    account BIGINT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (account)
);
CREATE TABLE ntlm_key (
    account BIGINT NOT NULL,
    credential BIGINT NOT NULL,
    sealed {bytes} NOT NULL,
    PRIMARY KEY (account, credential)
) {clustered};
";

/// Whether an account may sign in by a mechanism whose keys are kept sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// No.
    Off,
    /// It may, once one of its passwords has been seen.
    Waiting,
    /// It may, with so many of its passwords.
    On {
        /// How many of them.
        passwords: usize,
    },
}

impl KeyState {
    /// By the rows that there are.
    pub(super) fn of(on: i64, keys: i64) -> KeyState {
        match (on, usize::try_from(keys).unwrap_or(0)) {
            (0, _) => KeyState::Off,
            (_, 0) => KeyState::Waiting,
            (_, passwords) => KeyState::On { passwords },
        }
    }
}

/// How it stands.
pub fn ntlm_state(tx: &ReadTx, account: AccountId) -> Result<KeyState> {
    let (on, keys) = tx.one(
        "SELECT (SELECT COUNT(*) FROM ntlm_account WHERE account = $1),
                (SELECT COUNT(*) FROM ntlm_key WHERE account = $1)",
        params![account],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    Ok(KeyState::of(on, keys))
}

/// Switches it on; keys are made of passwords that are seen from now on. Errors: `Refused` for a shared account. Locks: the
/// account's.
pub fn ntlm_on(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<()> {
    may_have_passwords(tx, account)?;
    let modseq = journal::begin(tx, account)?;
    tx.execute(
        "INSERT INTO ntlm_account (account, since) VALUES ($1, $2) ON CONFLICT (account) DO NOTHING",
        params![account, by.now],
    )?;
    let note = Note { before: b"ntlm off\n", ..Note::plain(Operation::Credential) };
    journal::end(tx, by, account, modseq, &note)
}

/// Switches it off; its keys are gone at once. Locks: the account's.
pub fn ntlm_off(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<()> {
    if ntlm_state(tx, account)? == KeyState::Off {
        return Ok(());
    }
    let modseq = journal::begin(tx, account)?;
    forget(tx, account)?;
    let note = Note { before: b"ntlm on\n", ..Note::plain(Operation::Credential) };
    journal::end(tx, by, account, modseq, &note)
}

/// Everything of an account that goes.
pub(crate) fn forget(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM ntlm_account WHERE account = $1", params![account])?;
    tx.execute("DELETE FROM ntlm_key WHERE account = $1", params![account])?;
    Ok(())
}

/// Lets go of the keys of credentials that are gone. One statement.
pub(crate) fn prune(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute(
        "DELETE FROM ntlm_key WHERE account = $1
         AND credential NOT IN (SELECT id FROM credential WHERE account = $1)",
        params![account],
    )?;
    Ok(())
}

/// Keeps the key of a password that was just seen; `login` says of which credential. Not an operation of the account.
/// Locks: the account's.
pub fn keep_ntlm(tx: &mut WriteTx, login: &Authenticated, sealed: &[u8]) -> Result<()> {
    // The password may have been changed, or NTLM switched off, meanwhile.
    tx.execute(
        "INSERT INTO ntlm_key (account, credential, sealed) SELECT $1, $2, $3
         WHERE EXISTS (SELECT 1 FROM credential WHERE account = $1 AND id = $2)
           AND EXISTS (SELECT 1 FROM ntlm_account WHERE account = $1)
         ON CONFLICT (account, credential) DO NOTHING",
        params![login.holder, login.credential, sealed],
    )?;
    Ok(())
}

/// The key that opens, and seals, the keys of NTLM; also what is opened for names that have none.
#[derive(Debug, Clone)]
pub struct NtlmSealer {
    sealer: Sealer,
    opened: Arc<AtomicU64>,
    nobody: Vec<u8>,
}

impl NtlmSealer {
    /// By the server's key for secrets.
    pub fn new(sealer: Sealer) -> NtlmSealer {
        let nobody = sealer.seal(NOBODY, &[0; 16]);
        NtlmSealer { sealer, opened: Arc::default(), nobody }
    }

    /// Seals the key of a password that `login` was made with.
    pub fn seal(&self, login: &Authenticated, password: &str) -> Vec<u8> {
        let hash = NtHash::of_password(password);
        self.sealer.seal(&purpose(login.holder, login.credential), hash.expose())
    }

    /// How many keys were opened: as many for each proof, whosoever it is.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Option<NtHash>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(NtHash::stored(&self.sealer.unseal(purpose, sealed)?))
    }
}

fn purpose(account: AccountId, credential: i64) -> String {
    format!("ntlm:{}:{credential}", account.0)
}

/// A login's keys, taken out of the database; also made for a login that does not exist.
#[derive(Debug, Clone)]
pub struct NtlmCandidates(SealedKeys);

/// Takes a login's keys out. The same statements for every login that names a domain.
pub fn ntlm_candidates(tx: &ReadTx, login: &str) -> Result<NtlmCandidates> {
    let candidates = candidates(tx, login)?;
    let keys = tx.rows(
        "SELECT credential, sealed FROM ntlm_key WHERE account = $1 ORDER BY credential LIMIT 64",
        params![candidates.account().unwrap_or(AccountId(0))],
        |row| Ok((row.int(0)?, row.bytes(1)?)),
    )?;
    Ok(NtlmCandidates(SealedKeys { candidates, keys }))
}

impl NtlmCandidates {
    /// Checks a proof. The same work for every login. Errors: a key cannot be opened (another key file).
    pub fn verify(
        &self,
        sealer: &NtlmSealer,
        proof: &Proof,
        service: Service,
        now: Timestamp,
    ) -> Result<std::result::Result<Authenticated, Refused>> {
        self.0.tried(service, now, |account, key| {
            let (purpose, sealed) = match key {
                Some((credential, sealed)) => (purpose(account, credential), sealed),
                None => (NOBODY.to_owned(), sealer.nobody.as_slice()),
            };
            Ok(sealer.open(&purpose, sealed)?.is_some_and(|hash| proof.verify(&hash)))
        })
    }

    /// The account, when the login is one's.
    pub fn account(&self) -> Option<AccountId> {
        self.0.candidates.account()
    }
}

/// What the key of names that have none is sealed for.
const NOBODY: &str = "ntlm:nobody";
