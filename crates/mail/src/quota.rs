//! What an account holds and may hold (RFC 9208).

use postroad_store::{AccountId, ReadTx};

use crate::{Error, Result, What, accounts};

/// Usage and limits. A message's content counts once, however many mailboxes it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes held.
    pub used_bytes: u64,
    /// Bytes allowed; `None`: no limit.
    pub limit_bytes: Option<u64>,
    /// Messages held.
    pub used_messages: u64,
    /// Messages allowed; `None`: no limit.
    pub limit_messages: Option<u64>,
}

/// An account's usage and limits. One statement.
pub fn of(tx: &ReadTx, account: AccountId) -> Result<Quota> {
    let account = accounts::by_id(tx, account)?.ok_or(Error::NotFound(What::Account))?;
    let limit = |value: u64| (value != 0).then_some(value);
    Ok(Quota {
        used_bytes: account.used_bytes,
        limit_bytes: limit(account.quota_bytes),
        used_messages: account.used_messages,
        limit_messages: limit(account.quota_messages),
    })
}
