//! Many messages come into one mailbox in one operation: imports.
//!
//! What an import brought is remembered by a hash of its source, in the same transaction, so that an import that was
//! broken off at any moment goes on where it stopped and never files a message twice. What is remembered goes with
//! the content of the message, so what was removed here does not come back until the retention has passed.

use std::borrow::Borrow;
use std::collections::HashSet;

use postroad_store::{AccountId, BlobId, Param, ReadTx, WriteTx, params};

use crate::batch::{self, One};
use crate::rows::Quota;
use crate::{Arrival, By, Filing, MailboxId, MessageId, Result, UidSet};

/// Most messages of one operation.
pub const MAX_BATCH: usize = 1_000;

/// Where a message of an import comes from: a hash of its bytes in the file and of how many equal ones came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(pub [u8; 16]);

/// A message that an import brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// What it is recognised by.
    pub source: Source,
    /// Its octets: `tx.blob_read`; `None` when its owner has removed it from all mailboxes.
    pub blob: Option<BlobId>,
}

/// A message of an import.
#[derive(Debug)]
pub struct Incoming {
    /// Its bytes, safe on disk.
    pub arrival: Arrival,
    /// Flags, keywords and date.
    pub filing: Filing,
    /// What it is recognised by.
    pub source: Source,
    /// Its lines end with CRLF in the file; else with LF, or the bytes are stored as they were (`Summary` and IMAP
    /// show them so).
    pub crlf: bool,
}

/// Those of `sources` that an import brought into the mailbox before. With `present`, only those whose message still
/// lies in the mailbox. One statement.
pub fn known(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    sources: &[Source],
    present: bool,
) -> Result<HashSet<Source>> {
    let first: Vec<i64> = sources.iter().map(|source| source.halves().0).collect();
    let text = known_sql(tx.is_postgres(), present);
    let rows = tx.rows(&text, params![account, mailbox, &first], |row| Ok(Source::joined(row.int(0)?, row.int(1)?)))?;
    Ok(rows.into_iter().collect())
}

/// `$1` the account, `$2` the mailbox, `$3` the first halves of sources.
fn known_sql(postgres: bool, present: bool) -> String {
    let there = "AND EXISTS (SELECT 1 FROM entry AS e {by:entry_message}
                             WHERE e.account = $1 AND e.message = i.message AND e.mailbox = $2)";
    let there = if present { there } else { "" };
    let here = "FROM imported AS i WHERE i.account = $1 AND i.mailbox = $2";
    match postgres {
        // Its statistics are of a mailbox that was empty: left to itself it reads all that was imported, for each batch.
        // What has OFFSET is done as it is written, once for each source.
        true => format!(
            "SELECT f.source, f.rest FROM {{ints:$3}} AS l
             CROSS JOIN LATERAL (SELECT i.source, i.rest {here} AND i.source = l.value {there} OFFSET 0) AS f"
        ),
        false => format!("SELECT i.source, i.rest {here} AND i.source {{in:$3}} {there}"),
    }
}

/// Where the octets of what an import brought are: those of `sources` that it brought into the mailbox. One statement.
pub fn located(tx: &ReadTx, account: AccountId, mailbox: MailboxId, sources: &[Source]) -> Result<Vec<Located>> {
    let first: Vec<i64> = sources.iter().map(|source| source.halves().0).collect();
    let text = located_sql(tx.is_postgres());
    Ok(tx.rows(&text, params![account, mailbox, &first], |row| {
        let blob = row.int_or_null(2)?.map(BlobId);
        let there = row.bool(3)?;
        Ok(Located { source: Source::joined(row.int(0)?, row.int(1)?), blob: blob.filter(|_| there) })
    })?)
}

/// Parameters as those of [`known_sql`].
fn located_sql(postgres: bool) -> String {
    let wanted = "i.source, i.rest, m.blob,
        EXISTS (SELECT 1 FROM entry AS e {by:entry_message} WHERE e.account = $1 AND e.message = i.message) AS there
        FROM imported AS i LEFT JOIN message AS m ON m.account = i.account AND m.id = i.message
        WHERE i.account = $1 AND i.mailbox = $2 AND i.source";
    match postgres {
        true => format!(
            "SELECT f.source, f.rest, f.blob, f.there FROM {{ints:$3}} AS l
             CROSS JOIN LATERAL (SELECT {wanted} = l.value OFFSET 0) AS f"
        ),
        false => format!("SELECT {wanted} {{in:$3}}"),
    }
}

/// Those of `messages` whose lines ended with CRLF in the files that they came from. One statement.
pub fn with_crlf(tx: &ReadTx, account: AccountId, messages: &[MessageId]) -> Result<HashSet<MessageId>> {
    let ids: Vec<i64> = messages.iter().map(|message| message.0).collect();
    let rows = tx.rows(
        "SELECT message FROM imported {by:imported_message} WHERE account = $1 AND message {in:$2} AND crlf = 1",
        params![account, &ids],
        |row| row.id(0),
    )?;
    Ok(rows.into_iter().collect())
}

/// Files messages in a mailbox in one operation, in their order: what [`deliver::deliver`] does for each. A constant
/// number of statements (on PostgreSQL; SQLite inserts row by row). With `quota` off the account may become fuller
/// than its quota.
///
/// `Err(OverQuota | Suspended | NotFound | Limit)` has written nothing. At most [`MAX_BATCH`] messages.
pub fn deliver_all<I: Borrow<Incoming>>(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    incoming: &[I],
    quota: bool,
) -> Result<UidSet> {
    let incoming: Vec<&Incoming> = incoming.iter().map(I::borrow).collect();
    let incoming = incoming.as_slice();
    if incoming.is_empty() {
        return Ok(UidSet::new());
    }
    assert!(incoming.len() <= MAX_BATCH, "a batch is bounded");
    let all: Vec<One<'_>> = incoming.iter().map(|one| One { arrival: &one.arrival, filing: &one.filing }).collect();
    let quota = if quota { Quota::Kept } else { Quota::Passed };
    let filed = batch::file(tx, by, account, mailbox, &all, quota)?;
    remember(tx, account, mailbox, incoming, &filed.messages)?;
    Ok(filed.uids)
}

impl Source {
    fn halves(self) -> (i64, i64) {
        let (mut first, mut rest) = ([0; 8], [0; 8]);
        first.copy_from_slice(&self.0[..8]);
        rest.copy_from_slice(&self.0[8..]);
        (i64::from_le_bytes(first), i64::from_le_bytes(rest))
    }

    fn joined(first: i64, rest: i64) -> Source {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&first.to_le_bytes());
        bytes[8..].copy_from_slice(&rest.to_le_bytes());
        Source(bytes)
    }
}

/// The sources, for the next import. One that was brought again after it had gone leads to the new message.
fn remember(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    incoming: &[&Incoming],
    messages: &[MessageId],
) -> Result<()> {
    let rows: Vec<[Param<'_>; 6]> = incoming
        .iter()
        .zip(messages)
        .map(|(one, message)| {
            let (first, rest) = one.source.halves();
            [
                Param::from(account),
                Param::from(mailbox),
                Param::from(first),
                Param::from(rest),
                Param::from(*message),
                Param::from(i64::from(one.crlf)),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO imported (account, mailbox, source, rest, message, crlf)",
        &rows,
        "ON CONFLICT (account, mailbox, source, rest) DO UPDATE SET message = excluded.message, crlf = excluded.crlf",
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_store::Locks;
    use postroad_testkit::TestStore;

    #[test]
    fn what_is_known_is_looked_up_and_not_searched_for() {
        let test = TestStore::postgres(&[crate::MIGRATIONS]);
        let sources = vec![7i64, 8];
        let looked = test.store.write_blocking(Locks::none(), move |tx| {
            let rows: Vec<[Param<'_>; 6]> =
                (0..5_000i64).map(|number| [1, 1, number, number, number, 1].map(Param::from)).collect();
            tx.insert_rows("INSERT INTO imported (account, mailbox, source, rest, message, crlf)", &rows, "")?;
            [known_sql(true, false), known_sql(true, true), located_sql(true)]
                .map(|text| {
                    let text = format!("EXPLAIN {text}");
                    tx.rows(&text, params![1i64, 1i64, &sources], |row| row.text(0))
                })
                .into_iter()
                .collect::<postroad_store::Result<Vec<_>>>()
        });
        for plan in looked.expect("it commits").value {
            let by_index = |line: &String| line.contains("Index Cond") && line.contains("source = ");
            assert!(plan.iter().any(by_index), "{plan:#?}");
        }
    }
}
