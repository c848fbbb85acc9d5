//! All that opens an account beside its password, for its owner's page and the command line, and taking it away.

use postroad_mail::credentials::{self, Credential};
use postroad_mail::{By, Error};
use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx};

use crate::grants::{self, Grant};
use crate::passkeys::{self, Passkey};
use crate::sessions::{self, Session};
use crate::{Result, cuts};

/// What opens an account.
#[derive(Debug, Clone)]
pub struct Held {
    /// Sessions of the pages.
    pub sessions: Vec<Session>,
    /// What programs were granted.
    pub grants: Vec<Grant>,
    /// App passwords.
    pub passwords: Vec<Credential>,
    /// Passkeys.
    pub passkeys: Vec<Passkey>,
}

/// All that opens an account.
pub fn held(tx: &ReadTx, account: AccountId, now: Timestamp) -> Result<Held> {
    let mut passwords = credentials::list(tx, account)?;
    passwords.retain(|password| password.name.is_some());
    let (sessions, grants) = (sessions::list(tx, account, now)?, grants::list(tx, account, now)?);
    Ok(Held { sessions, grants, passwords, passkeys: passkeys::list(tx, account)? })
}

/// Takes one away by its number, whatever it is; whether there was one. Open connections hear of it. Locks: the account's.
pub fn take_away(tx: &mut WriteTx, by: &By, account: AccountId, id: i64) -> Result<bool> {
    let held = held(tx, account, by.now)?;
    if held.sessions.iter().any(|session| session.id == id) {
        sessions::remove(tx, account, id, by.now)?;
        return Ok(true);
    }
    if held.grants.iter().any(|grant| grant.id == id) {
        grants::remove(tx, account, id, by.now)?;
        return Ok(true);
    }
    if held.passwords.iter().any(|password| password.id == id) {
        remove_app_password(tx, by, account, id)?;
        return Ok(true);
    }
    passkeys::remove(tx, by, account, id)
}

/// Takes an app password away, and ends the connections that it opened. Errors: `NotFound`.
pub fn remove_app_password(tx: &mut WriteTx, by: &By, account: AccountId, id: i64) -> Result<(), Error> {
    credentials::remove(tx, by, account, id)?;
    cuts::tell(tx, account, id, by.now)
}
