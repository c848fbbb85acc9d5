//! Certificates of clients: pinned to accounts by their fingerprints, or believed for the addresses in them when an authority
//! vouches for them.
//!
//! Standards: RFC 4422 appendix A (EXTERNAL), RFC 5280 §4.2.1.6 (rfc822Name).

use postroad_sasl::ClientCertificate;
use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx, new_id, params};

use super::{Authenticated, MAX_APP_NAME_BYTES, Refused, candidates, may_have_passwords};
use crate::journal::{self, Note, Operation};
use crate::{Bound, By, Error, Result, Service, What};

/// Most certificates pinned to an account.
pub const MAX_CERTIFICATES: usize = 50;

/// A certificate is pinned to one account.
pub(crate) const TABLES: &str = "
CREATE TABLE login_certificate (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    name {text} NOT NULL,
    fingerprint {bytes} NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (account, id)
) {clustered};
CREATE UNIQUE INDEX login_certificate_fingerprint ON login_certificate (fingerprint);
";

/// A pinned certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its number, of the same source as those of passwords.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// SHA-256 of the certificate.
    pub fingerprint: Vec<u8>,
    /// When it was pinned.
    pub created: Timestamp,
}

/// Lets a certificate open an account. Errors: `Refused` for no name, `Exists(Credential)` when the certificate or the name is
/// taken, `Limit(AppPasswords)`.
pub fn pin(tx: &mut WriteTx, by: &By, account: AccountId, name: &str, fingerprint: &[u8; 32]) -> Result<i64> {
    may_have_passwords(tx, account)?;
    if name.is_empty() || name.len() > MAX_APP_NAME_BYTES || name.contains(char::is_control) {
        return Err(Error::Refused("a certificate has a name of at most 200 bytes without control characters"));
    }
    let others = pins(tx, account)?;
    if others.len() >= MAX_CERTIFICATES {
        return Err(Error::Limit(Bound::AppPasswords));
    }
    if others.iter().any(|other| other.name == name) || pinned(tx, fingerprint)?.is_some() {
        return Err(Error::Exists(What::Credential));
    }
    let modseq = journal::begin(tx, account)?;
    let id = new_id();
    tx.execute(
        "INSERT INTO login_certificate (account, id, name, fingerprint, created) VALUES ($1, $2, $3, $4, $5)",
        params![account, id, name, &fingerprint[..], by.now],
    )?;
    let before = format!("- {name}\n");
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) })?;
    Ok(id)
}

/// The certificates of an account, the oldest first.
pub fn pins(tx: &ReadTx, account: AccountId) -> Result<Vec<Pin>> {
    let pins = tx.rows(
        "SELECT id, name, fingerprint, created FROM login_certificate WHERE account = $1 ORDER BY id",
        params![account],
        |row| Ok(Pin { id: row.int(0)?, name: row.text(1)?, fingerprint: row.bytes(2)?, created: row.id(3)? }),
    )?;
    Ok(pins)
}

/// Takes a certificate away, by its number.
pub fn unpin(tx: &mut WriteTx, by: &By, account: AccountId, id: i64) -> Result<()> {
    let pin = pins(tx, account)?.into_iter().find(|pin| pin.id == id).ok_or(Error::NotFound(What::Credential))?;
    let modseq = journal::begin(tx, account)?;
    tx.execute("DELETE FROM login_certificate WHERE account = $1 AND id = $2", params![account, id])?;
    let before = format!("+ {}\n", pin.name);
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) })
}

/// All certificates of an account that goes.
pub(crate) fn forget_account(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM login_certificate WHERE account = $1", params![account])?;
    Ok(())
}

/// Whether a certificate opens some account.
pub(crate) fn is_pinned(tx: &ReadTx, fingerprint: &[u8]) -> Result<bool> {
    let found = tx.one(
        "SELECT EXISTS (SELECT 1 FROM login_certificate WHERE fingerprint = $1)",
        params![fingerprint],
        |row| row.bool(0),
    )?;
    Ok(found)
}

/// Whose certificate it is, and its number.
fn pinned(tx: &ReadTx, fingerprint: &[u8; 32]) -> Result<Option<(AccountId, i64, String)>> {
    let found = tx.row(
        "SELECT c.account, c.id, x.address FROM login_certificate AS c JOIN account AS x ON x.id = c.account
         WHERE c.fingerprint = $1 AND x.state <> 'deleted'",
        params![&fingerprint[..]],
        |row| Ok((row.id(0)?, row.int(1)?, row.text(2)?)),
    )?;
    Ok(found)
}

/// Whom a certificate opens for `login`; without a login, whom it names itself.
pub fn by_certificate(
    tx: &ReadTx,
    login: &str,
    certificate: &ClientCertificate,
    service: Service,
) -> Result<std::result::Result<Authenticated, Refused>> {
    let pin = pinned(tx, &certificate.fingerprint)?;
    let named = if certificate.trusted { certificate.addresses.as_slice() } else { &[] };
    let named = named.iter().take(NAMES_MAX).filter(|address| address.contains('@'));
    let asked = match (login, &pin) {
        ("", Some((_, _, address))) => candidates(tx, address)?,
        ("", None) => {
            let owners = named.clone().map(|address| candidates(tx, address)).collect::<Result<Vec<_>>>()?;
            let mut owners = owners.into_iter().filter(|owner| owner.account().is_some());
            match (owners.next(), owners.next()) {
                (Some(only), None) => only,
                // One that names several has to be told which.
                (Some(first), Some(other)) if first.account() == other.account() => first,
                (Some(_) | None, _) => return Ok(Err(Refused::Wrong)),
            }
        }
        (login, _) => candidates(tx, login)?,
    };
    let Some(account) = asked.account() else { return Ok(Err(Refused::Wrong)) };
    let credential = match pin {
        Some((owner, id, _)) if owner == account => id,
        Some(_) | None => {
            let mut opens = false;
            for address in named {
                opens |= candidates(tx, address)?.account() == Some(account);
            }
            match opens {
                true => 0,
                false => return Ok(Err(Refused::Wrong)),
            }
        }
    };
    Ok(asked.vouched(credential, None, service))
}

/// Most addresses of a certificate that are looked up.
const NAMES_MAX: usize = 8;
