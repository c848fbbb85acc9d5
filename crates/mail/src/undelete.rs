//! Looking for what can be brought back: from which mailboxes, also deleted ones, and which messages.

use std::collections::BTreeMap;

use postroad_store::{AccountId, ReadTx, Timestamp, params};

use crate::expunge::{self, Removed};
use crate::journal::Operation;
use crate::{MailboxId, MailboxName, MessageId, Result, sql};

/// A mailbox from which messages can be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The mailbox; after a deletion its number is nobody else's.
    pub mailbox: MailboxId,
    /// The name that it has, or had when it was deleted.
    pub name: MailboxName,
    /// Whether it is gone: its messages go into another one then.
    pub is_deleted: bool,
    /// How many messages can be brought back.
    pub messages: u64,
    /// Their bytes.
    pub size: u64,
    /// When the last of them was removed.
    pub latest: Timestamp,
}

/// The mailboxes of an account from which messages can be brought back, the latest removal first. One statement, and
/// one more for each deleted mailbox.
pub fn sources(tx: &ReadTx, account: AccountId) -> Result<Vec<Source>> {
    let rows = tx.rows(
        "SELECT x.mailbox, COUNT(*), CAST(SUM(x.size) AS BIGINT), MAX(x.at), MIN(m.name), MIN(m.selectable)
         FROM expunged AS x LEFT JOIN mailbox AS m ON m.account = x.account AND m.id = x.mailbox
         WHERE x.account = $1 AND x.restorable = 1
         GROUP BY x.mailbox ORDER BY MAX(x.at) DESC, x.mailbox",
        params![account],
        |row| {
            let name = row.text_or_null(4)?.map(MailboxName::stored);
            let is_deleted = row.int_or_null(5)? != Some(1);
            let mailbox = MailboxId(row.int(0)?);
            Ok((mailbox, sql::unsigned(row, 1)?, sql::unsigned(row, 2)?, row.id(3)?, name, is_deleted))
        },
    )?;
    let mut sources = Vec::with_capacity(rows.len());
    for (mailbox, messages, size, latest, name, is_deleted) in rows {
        let name = match name {
            Some(name) => name,
            None => former_name(tx, account, mailbox)?,
        };
        sources.push(Source { mailbox, name, is_deleted, messages, size, latest });
    }
    Ok(sources)
}

/// The name that a mailbox had when it was deleted: the journal keeps it in the row's `before`, behind uidvalidity
/// and role.
fn former_name(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<MailboxName> {
    let before = tx.row(
        "SELECT before FROM journal WHERE account = $1 AND mailbox = $2 AND what = $3 ORDER BY modseq DESC LIMIT 1",
        params![account, mailbox, Operation::Delete.name()],
        |row| row.bytes(0),
    )?;
    let before = String::from_utf8_lossy(&before.unwrap_or_default()).into_owned();
    let name = before.lines().next().and_then(|line| line.splitn(3, '\t').nth(2)).unwrap_or_default();
    Ok(MailboxName::parse(name).unwrap_or_else(|_| MailboxName::inbox()))
}

/// [`expunge::removed`] with each message's encoded summary, for listings that people choose from. Two statements.
pub fn removed(tx: &ReadTx, account: AccountId, mailbox: MailboxId, limit: usize) -> Result<Vec<(Removed, Vec<u8>)>> {
    let removed = expunge::removed(tx, account, mailbox, limit)?;
    let messages: Vec<i64> = removed.iter().map(|entry| entry.message.0).collect();
    let summaries: BTreeMap<MessageId, Vec<u8>> = tx
        .rows(
            "SELECT id, summary FROM message WHERE account = $1 AND id {in:$2}",
            params![account, &messages],
            |row| Ok((MessageId(row.int(0)?), row.bytes(1)?)),
        )?
        .into_iter()
        .collect();
    let with = |entry: Removed| {
        let summary = summaries.get(&entry.message).cloned().unwrap_or_default();
        (entry, summary)
    };
    Ok(removed.into_iter().map(with).collect())
}
