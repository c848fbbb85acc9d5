//! What an account holds and may hold (RFC 9208).
//!
//! Bytes and messages stand in the account's own row, where a delivery counts them. What else may be limited has a row in
//! `quota_limit` only where the administrator set a limit; without one the limit is that of this program.

use postroad_store::{AccountId, Param, ReadTx, WriteTx, params};

use crate::journal::{self, Note, Operation};
use crate::mailboxes::MAX_MAILBOXES;
use crate::{By, Error, Result, What, accounts, metadata, sql};

/// What all annotations of an account may count together unless the administrator says otherwise, in octets.
pub const ANNOTATIONS_DEFAULT: u64 = 1024 * 1024;
/// The most that the administrator may allow.
pub const ANNOTATIONS_MAX: u64 = 64 * 1024 * 1024;

/// The limits of an account that are not in its own row.
pub(crate) const TABLES: &str = "
CREATE TABLE quota_limit (
    account BIGINT NOT NULL,
    resource {text} NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (account, resource)
) {clustered};
";

const MAILBOXES: &str = "mailboxes";
const ANNOTATIONS: &str = "annotations";

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

/// Usage and limits of what is not mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Mailboxes, levels that are none included.
    pub used_mailboxes: u64,
    /// Mailboxes allowed.
    pub limit_mailboxes: u64,
    /// Octets of annotations and their names.
    pub used_annotations: u64,
    /// Octets allowed.
    pub limit_annotations: u64,
}

/// Limits as the administrator sets them, all at once. `None`: no limit but that of this program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of mail. With 0 there is room for none.
    pub bytes: Option<u64>,
    /// Messages, at least one.
    pub messages: Option<u64>,
    /// Mailboxes.
    pub mailboxes: Option<u64>,
    /// Octets of annotations.
    pub annotations: Option<u64>,
}

impl Quota {
    /// Of an account's row.
    pub fn of(account: &accounts::Account) -> Quota {
        let limit = |value: u64| (value != 0).then_some(value);
        Quota {
            used_bytes: account.used_bytes,
            limit_bytes: limit(account.quota_bytes),
            used_messages: account.used_messages,
            limit_messages: limit(account.quota_messages),
        }
    }

    /// How full the fuller of both is, in hundredths; 0 without limits.
    pub fn percent(&self) -> u64 {
        let part = |used: u64, limit: Option<u64>| {
            limit.map_or(0, |limit| used.saturating_mul(100).checked_div(limit).unwrap_or(100))
        };
        part(self.used_bytes, self.limit_bytes).max(part(self.used_messages, self.limit_messages))
    }
}

/// An account's usage and limits. One statement.
pub fn of(tx: &ReadTx, account: AccountId) -> Result<Quota> {
    let account = accounts::by_id(tx, account)?.ok_or(Error::NotFound(What::Account))?;
    Ok(Quota::of(&account))
}

/// Usage and limits of mailboxes and annotations. Three statements.
pub fn rest(tx: &ReadTx, account: AccountId) -> Result<Rest> {
    let count = tx.one("SELECT CAST(count(*) AS BIGINT) FROM mailbox WHERE account = $1", params![account], |row| {
        sql::unsigned(row, 0)
    })?;
    let (mailboxes, annotations) = limits(tx, account)?;
    Ok(Rest {
        used_mailboxes: count,
        limit_mailboxes: mailboxes.unwrap_or(MAX_MAILBOXES as u64),
        used_annotations: u64::try_from(metadata::used(tx, account)?).unwrap_or(0),
        limit_annotations: annotations.unwrap_or(ANNOTATIONS_DEFAULT),
    })
}

/// The limits that the administrator set for mailboxes and annotations. One statement.
fn limits(tx: &ReadTx, account: AccountId) -> Result<(Option<u64>, Option<u64>)> {
    let rows = tx.rows("SELECT resource, amount FROM quota_limit WHERE account = $1", params![account], |row| {
        Ok((row.text(0)?, sql::unsigned(row, 1)?))
    })?;
    let of = |name: &str| rows.iter().find(|(resource, _)| resource == name).map(|(_, amount)| *amount);
    Ok((of(MAILBOXES), of(ANNOTATIONS)))
}

/// How many mailboxes the administrator allows; `None`: as many as this program. One statement.
pub(crate) fn mailboxes_max(tx: &ReadTx, account: AccountId) -> Result<Option<usize>> {
    Ok(limits(tx, account)?.0.map(|most| usize::try_from(most).unwrap_or(usize::MAX)))
}

/// What annotations may count. One statement.
pub(crate) fn annotations_max(tx: &ReadTx, account: AccountId) -> Result<u64> {
    Ok(limits(tx, account)?.1.unwrap_or(ANNOTATIONS_DEFAULT))
}

/// Sets all limits of an account: those that are not named end. What is there stays, also above a limit. Five statements.
/// Locks: the account's.
///
/// Errors: `Refused` for what is no limit here.
pub fn set(tx: &mut WriteTx, by: &By, account: AccountId, new: &Limits) -> Result<()> {
    if new.messages == Some(0) {
        return Err(Error::Refused("a limit of no messages cannot be kept here; suspend the account instead"));
    }
    if new.mailboxes.is_some_and(|most| most > MAX_MAILBOXES as u64) {
        return Err(Error::Refused("an account has 5000 mailboxes at most"));
    }
    if new.annotations.is_some_and(|most| most > ANNOTATIONS_MAX) {
        return Err(Error::Refused("annotations of an account have 64 MiB at most"));
    }
    let old = accounts::existing(tx, account)?;
    let (mailboxes, annotations) = limits(tx, account)?;
    let modseq = journal::begin(tx, account)?;
    // In the row 0 means no limit; nothing fits into one octet.
    let bytes = new.bytes.map_or(0, |bytes| bytes.max(1));
    tx.execute(
        "UPDATE account SET quota_bytes = $2, quota_messages = $3 WHERE id = $1",
        params![account, sql::number(bytes), sql::number(new.messages.unwrap_or(0))],
    )?;
    tx.execute("DELETE FROM quota_limit WHERE account = $1", params![account])?;
    let rows: Vec<[Param<'_>; 3]> = [(MAILBOXES, new.mailboxes), (ANNOTATIONS, new.annotations)]
        .into_iter()
        .filter_map(|(name, amount)| Some([account.into(), name.into(), sql::number(amount?).into()]))
        .collect();
    tx.insert_rows("INSERT INTO quota_limit (account, resource, amount)", &rows, "")?;
    let shown = |limit: Option<u64>| limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    let before =
        format!("quota\t{}\t{}\t{}\t{}\n", old.quota_bytes, old.quota_messages, shown(mailboxes), shown(annotations));
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Account) })
}
