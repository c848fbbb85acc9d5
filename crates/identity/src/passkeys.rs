//! Passkeys of accounts: keys that an authenticator holds, in place of the password or behind it.
//!
//! Invariants:
//! 1. A challenge is good once: it is spent with the first answer that comes, whatever comes of it.
//! 2. A passkey opens the account that it was made for, and says so itself: by the handle that it was given.
//! 3. What was removed opens nothing from the same COMMIT on, and the sessions that it opened end.
//! 4. Kept is what is public: id, key and counter.
//!
//! Standards: WebAuthn level 2 §4 (credential record), §7.1 and §7.2, of which [`crate::webauthn`] does the words.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroad_mail::accounts::{self, State};
use postroad_mail::{By, Error, What, methods};
use postroad_store::{AccountId, ReadTx, Row, Timestamp, WriteTx, new_id, params};

use crate::secret::{hashed, random};
use crate::webauthn::{self, Asserted, Expected, Fault, Known, Registered};
use crate::{Result, cuts, sessions};

/// Most passkeys of an account.
pub const PASSKEYS_MAX: usize = 20;
/// Letters of a passkey's name.
pub const NAME_MAX: usize = 100;
/// Octets of a challenge (§13.4.3 asks for 16).
pub const CHALLENGE_LEN: usize = 32;
/// How long a challenge may be answered.
pub const GOOD_FOR: Duration = Duration::from_secs(10 * 60);

/// A passkey as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Its number.
    pub id: i64,
    /// What the authenticator calls it: base64url.
    pub credential: String,
    /// What its owner calls it.
    pub name: String,
    /// Whether it may be on several devices.
    pub copied: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it last opened something.
    pub last_used: Option<Timestamp>,
}

/// For whom an authenticator signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Such as `https://mail.example`.
    pub origin: String,
    /// The host alone.
    pub id: String,
}

impl Party {
    /// This server, by its issuer: `https://` and the host, perhaps with a port.
    pub fn of_issuer(issuer: &str) -> Party {
        let host = issuer.split_once("://").map_or(issuer, |(_, host)| host).trim_end_matches('/');
        let id = host
            .rsplit_once(':')
            .map_or(host, |(name, port)| if port.bytes().all(|octet| octet.is_ascii_digit()) { name } else { host });
        Party { origin: issuer.trim_end_matches('/').to_owned(), id: id.to_owned() }
    }
}

/// A question that was asked, and of whom it may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What had to be signed.
    pub challenge: Vec<u8>,
    /// By whom it was asked.
    pub party: Party,
    /// Whether the authenticator must verify who holds it: where nothing else is asked for.
    pub verified: bool,
}

impl Question {
    fn expected(&self) -> Expected<'_> {
        Expected {
            challenge: &self.challenge,
            origin: &self.party.origin,
            party: &self.party.id,
            verified: self.verified,
        }
    }
}

/// What an authenticator answered when it was asked to sign (`AuthenticatorAssertionResponse`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which passkey.
    pub credential: Vec<u8>,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `authenticatorData`.
    pub data: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// The user handle, which authenticators leave out where the server has named the passkeys.
    pub handle: Option<Vec<u8>>,
}

/// What it answered when it was asked to make a passkey (`AuthenticatorAttestationResponse`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `attestationObject`.
    pub attestation: Vec<u8>,
    /// The user handle that it was given.
    pub handle: String,
    /// What its owner calls it.
    pub name: String,
}

/// A passkey that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Its number.
    pub id: i64,
    /// Whether it may be on several devices.
    pub copied: bool,
    /// Whether the authenticator verified who holds it.
    pub verified: bool,
}

impl Shown {
    /// The names of what was shown (RFC 8176): a key in hardware or one that may be copied, and somebody's touch.
    pub fn steps(&self) -> &'static str {
        if self.copied { "swk user" } else { "hwk user" }
    }
}

/// Why a passkey opens nothing, or none was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotShown {
    /// The account has no such passkey.
    Unknown,
    /// The challenge was answered before.
    Spent,
    /// It was made for somebody else.
    Handle,
    /// The account may not log in.
    Account,
    /// What was answered is wrong.
    Answer(Fault),
}

impl std::fmt::Display for NotShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotShown::Unknown => f.write_str("there is no such passkey"),
            NotShown::Spent => f.write_str("the challenge was answered before"),
            NotShown::Handle => f.write_str("it was made for somebody else"),
            NotShown::Account => f.write_str("the account may not log in"),
            NotShown::Answer(fault) => write!(f, "{fault}"),
        }
    }
}

/// A new challenge. Errors: the system gives no random numbers.
pub fn challenge() -> Result<Vec<u8>> {
    random(CHALLENGE_LEN)
}

/// An account's passkeys, the newest first.
pub fn list(tx: &ReadTx, account: AccountId) -> Result<Vec<Passkey>> {
    let limit = i64::try_from(PASSKEYS_MAX).unwrap_or(i64::MAX);
    let sql = "SELECT id, credential, name, copied, created, last_used FROM passkey WHERE account = $1
               ORDER BY created DESC, id DESC LIMIT $2";
    Ok(tx.rows(sql, params![account, limit], passkey)?)
}

fn passkey(row: &Row<'_>) -> postroad_store::Result<Passkey> {
    Ok(Passkey {
        id: row.int(0)?,
        credential: row.text(1)?,
        name: row.text(2)?,
        copied: row.bool(3)?,
        created: row.id(4)?,
        last_used: row.int_or_null(5)?.map(Timestamp),
    })
}

/// What authenticators call the owner of an account: the same in all of its passkeys, and nothing that anybody could read
/// (§14.6.1). Errors: the system gives no random numbers.
pub fn handle(tx: &ReadTx, account: AccountId) -> Result<String> {
    let sql = "SELECT handle FROM passkey WHERE account = $1 ORDER BY id LIMIT 1";
    match tx.row(sql, params![account], |row| row.text(0))? {
        Some(handle) => Ok(handle),
        None => Ok(URL_SAFE_NO_PAD.encode(random(HANDLE_LEN)?)),
    }
}

/// Whose passkey this is: for who logs in by it alone. An account that came back from a backup beside the one it was has the
/// same ones; the elder is meant.
pub fn holder(tx: &ReadTx, credential: &[u8]) -> Result<Option<AccountId>> {
    if credential.len() > webauthn::CREDENTIAL_MAX {
        return Ok(None);
    }
    let sql = "SELECT p.account FROM passkey AS p JOIN account AS a ON a.id = p.account
               WHERE p.credential = $1 AND a.state = 'active' ORDER BY p.account LIMIT 1";
    Ok(tx.row(sql, params![&URL_SAFE_NO_PAD.encode(credential)], |row| row.id(0))?)
}

/// Keeps a passkey that was made; its number. Locks: the account's. A refusal has to be committed, too: the challenge is
/// spent. Errors: `Exists(Credential)` when it is kept already, `Refused` when there are too many or the name is none.
pub fn add(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    question: &Question,
    made: &Made,
) -> Result<std::result::Result<i64, NotShown>> {
    if !spend(tx, account, &question.challenge, by.now)? {
        return Ok(Err(NotShown::Spent));
    }
    let registered = match webauthn::registered(&question.expected(), &made.client_data, &made.attestation) {
        Ok(registered) => registered,
        Err(fault) => return Ok(Err(NotShown::Answer(fault))),
    };
    let name = made.name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.contains(char::is_control) {
        return Err(Error::Refused("A name has one to 100 letters."));
    }
    if list(tx, account)?.len() >= PASSKEYS_MAX {
        return Err(Error::Refused("There are too many passkeys. Take some away that you do not need any more."));
    }
    let Registered { credential, key, count, copied, verified: _ } = registered;
    let credential = URL_SAFE_NO_PAD.encode(credential);
    // §7.1 step 22: it belongs to nobody yet.
    let sql = "SELECT id FROM passkey WHERE credential = $1 LIMIT 1";
    if tx.row(sql, params![&credential], |row| row.int(0))?.is_some() {
        return Err(Error::Exists(What::Credential));
    }
    let id = new_id();
    tx.execute(
        "INSERT INTO passkey (account, id, credential, handle, key, count, copied, name, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![account, id, &credential, &made.handle, &key, i64::from(count), copied, name, by.now],
    )?;
    methods::note(tx, by, account, &format!("- passkey {name}"))?;
    Ok(Ok(id))
}

/// Looks at what an authenticator answered, and notes its use. Locks: the account's. What it answers with is to be committed
/// also when it is a refusal.
pub fn verify(
    tx: &mut WriteTx,
    account: AccountId,
    question: &Question,
    answer: &Answer,
    now: Timestamp,
) -> Result<std::result::Result<Shown, NotShown>> {
    if !spend(tx, account, &question.challenge, now)? {
        return Ok(Err(NotShown::Spent));
    }
    if answer.credential.len() > webauthn::CREDENTIAL_MAX {
        return Ok(Err(NotShown::Unknown));
    }
    let found = tx.row(
        "SELECT id, handle, key, count, copied FROM passkey WHERE account = $1 AND credential = $2",
        params![account, &URL_SAFE_NO_PAD.encode(&answer.credential)],
        |row| Ok((row.int(0)?, row.text(1)?, row.bytes(2)?, row.int(3)?, row.bool(4)?)),
    )?;
    let Some((id, handle, key, count, copied)) = found else { return Ok(Err(NotShown::Unknown)) };
    // §7.2 step 6: where it says whose it is, that must be so; who comes without any other name must say it.
    let theirs = answer.handle.as_ref().map(|handle| URL_SAFE_NO_PAD.encode(handle));
    if theirs.as_ref().map_or(question.verified, |theirs| *theirs != handle) {
        return Ok(Err(NotShown::Handle));
    }
    if accounts::by_id(tx, account)?.is_none_or(|account| account.state != State::Active) {
        return Ok(Err(NotShown::Account));
    }
    let count = u32::try_from(count).map_err(|_| Error::Corrupt("the counter of a passkey is none".into()))?;
    let known = Known { key: &key, count, copied };
    let asserted =
        webauthn::asserted(&question.expected(), known, &answer.client_data, &answer.data, &answer.signature);
    let Asserted { count, verified } = match asserted {
        Ok(asserted) => asserted,
        Err(fault) => return Ok(Err(NotShown::Answer(fault))),
    };
    let sql = "UPDATE passkey SET count = $3, last_used = $4 WHERE account = $1 AND id = $2";
    tx.execute(sql, params![account, id, i64::from(count), now])?;
    Ok(Ok(Shown { id, copied, verified }))
}

/// Takes a passkey away, and ends the sessions that it opened; whether there was one. Locks: the account's.
pub fn remove(tx: &mut WriteTx, by: &By, account: AccountId, id: i64) -> Result<bool> {
    let sql = "DELETE FROM passkey WHERE account = $1 AND id = $2 RETURNING name";
    let Some(name) = tx.returning(sql, params![account, id], |row| row.text(0))?.pop() else { return Ok(false) };
    methods::note(tx, by, account, &format!("+ passkey {name}"))?;
    sessions::remove_opened_by(tx, account, id, by.now)?;
    cuts::tell(tx, account, id, by.now)?;
    Ok(true)
}

/// Takes all of an account's away; how many there were. Locks: the account's.
pub fn remove_all(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<usize> {
    let all = list(tx, account)?;
    for passkey in &all {
        remove(tx, by, account, passkey.id)?;
    }
    Ok(all.len())
}

/// Spends a challenge; whether it was not spent before.
fn spend(tx: &mut WriteTx, account: AccountId, challenge: &[u8], now: Timestamp) -> Result<bool> {
    let spent = tx.execute(
        "INSERT INTO passkey_challenge (account, hash, expires) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        params![account, &hashed(&[b"challenge ", challenge].concat()), now.plus(KEPT)],
    )?;
    Ok(spent == 1)
}

/// All of an account that goes.
pub(crate) fn forget(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM passkey WHERE account = $1", params![account])?;
    tx.execute("DELETE FROM passkey_challenge WHERE account = $1", params![account])?;
    Ok(())
}

/// Challenges that are good no longer anyway.
pub(crate) fn forget_spent(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    Ok(tx.execute("DELETE FROM passkey_challenge WHERE expires < $1", params![now])?)
}

/// Octets of a handle.
const HANDLE_LEN: usize = 32;
/// A spent challenge is known for longer than it could be answered, whatever the clocks of two nodes say.
const KEPT: Duration = Duration::from_secs(2 * GOOD_FOR.as_secs());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_is_the_issuers_host() {
        for (issuer, origin, id) in [
            ("https://mail.example.test", "https://mail.example.test", "mail.example.test"),
            ("https://mail.example.test/", "https://mail.example.test", "mail.example.test"),
            ("https://localhost:8443", "https://localhost:8443", "localhost"),
        ] {
            assert_eq!(Party::of_issuer(issuer), Party { origin: origin.into(), id: id.into() });
        }
    }
}
