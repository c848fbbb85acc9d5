//! What was removed goes for good once the retention has passed; deleted accounts go in batches.

use postroad_store::{AccountId, BlobId, ReadTx, Timestamp, WriteTx, params};

use crate::accounts::{self, State};
use crate::{Error, Result, What, sql};

/// How long removed messages stay restorable unless the settings say otherwise.
pub const RETENTION_DAYS: u32 = 30;
/// Most removed entries that one sweep takes.
pub const SWEEP_BATCH: usize = 1_000;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Removed entries forgotten.
    pub entries: u64,
    /// Messages whose content was given up.
    pub messages: u64,
    /// There is more to do now.
    pub more: bool,
}

/// Accounts that have something to sweep.
pub fn due(tx: &ReadTx, before: Timestamp, limit: usize) -> Result<Vec<AccountId>> {
    let accounts = tx.rows(
        "SELECT a.id FROM account AS a
         WHERE a.state = 'deleted'
            OR EXISTS (SELECT 1 FROM expunged AS x WHERE x.account = a.id AND x.at < $1)
         ORDER BY a.id LIMIT $2",
        params![before, sql::limit(limit)],
        |row| row.id(0),
    )?;
    Ok(accounts)
}

/// Forgets what was removed from an account before `before`, at most [`SWEEP_BATCH`] entries; of a deleted
/// account everything, and at last the account itself. Locks: the account's. Not an operation of the
/// account: nothing that anybody can see changes.
pub fn sweep(tx: &mut WriteTx, account: AccountId, before: Timestamp) -> Result<Swept> {
    let row = accounts::by_id(tx, account)?.ok_or(Error::NotFound(What::Account))?;
    match row.state {
        State::Active | State::Suspended => forget(tx, account, before),
        State::Deleted => purge(tx, account),
    }
}

fn forget(tx: &mut WriteTx, account: AccountId, before: Timestamp) -> Result<Swept> {
    let batch = tx.rows(
        "SELECT mailbox, uid, message FROM expunged WHERE account = $1 AND at < $2 ORDER BY at LIMIT $3",
        params![account, before, sql::limit(SWEEP_BATCH)],
        |row| Ok(((row.int(0)? << 32) | row.int(1)?, row.int(2)?)),
    )?;
    if batch.is_empty() {
        return Ok(Swept::default());
    }
    let (places, messages): (Vec<i64>, Vec<i64>) = batch.into_iter().unzip();
    tx.execute(
        "UPDATE mailbox SET forgotten = {greatest:mailbox.forgotten, t.top} FROM (
             SELECT x.mailbox AS id, max(x.modseq) AS top FROM {ints:$2} AS r JOIN expunged AS x
                 ON x.account = $1 AND x.mailbox = (r.value >> 32) AND x.uid = (r.value & 4294967295)
             GROUP BY x.mailbox) AS t
         WHERE mailbox.account = $1 AND mailbox.id = t.id",
        params![account, &places],
    )?;
    tx.execute(
        "DELETE FROM expunged WHERE account = $1 AND (mailbox, uid) IN (
             SELECT (r.value >> 32), (r.value & 4294967295) FROM {ints:$2} AS r)",
        params![account, &places],
    )?;
    let gone = tx.rows(
        "SELECT m.id, m.blob FROM message AS m WHERE m.account = $1 AND m.id {in:$2}
         AND NOT EXISTS (SELECT 1 FROM entry AS e WHERE e.account = $1 AND e.message = m.id)
         AND NOT EXISTS (SELECT 1 FROM expunged AS x WHERE x.account = $1 AND x.message = m.id)",
        params![account, &messages],
        |row| Ok((row.int(0)?, row.id(1)?)),
    )?;
    let swept = give_up(tx, account, &gone)?;
    Ok(Swept { entries: places.len() as u64, messages: swept, more: places.len() == SWEEP_BATCH })
}

/// Removes contents and lets their blobs go; one statement for each blob, bounded by the batch.
fn give_up(tx: &mut WriteTx, account: AccountId, gone: &[(i64, BlobId)]) -> Result<u64> {
    if gone.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = gone.iter().map(|(id, _)| *id).collect();
    tx.execute(
        "DELETE FROM thread_key WHERE account = $1 AND thread IN (
             SELECT m.thread FROM message AS m WHERE m.account = $1 AND m.id {in:$2}
             AND NOT EXISTS (SELECT 1 FROM message AS o
                             WHERE o.account = $1 AND o.thread = m.thread AND NOT (o.id {in:$2})))",
        params![account, &ids],
    )?;
    tx.execute("DELETE FROM message WHERE account = $1 AND id {in:$2}", params![account, &ids])?;
    for (_, blob) in gone {
        tx.blob_release(*blob, 1)?;
    }
    Ok(gone.len() as u64)
}

/// Takes one batch out of a deleted account.
fn purge(tx: &mut WriteTx, account: AccountId) -> Result<Swept> {
    let batch = tx.rows(
        "SELECT id, blob FROM message WHERE account = $1 ORDER BY id LIMIT $2",
        params![account, sql::limit(SWEEP_BATCH)],
        |row| Ok((row.int(0)?, row.id(1)?)),
    )?;
    if !batch.is_empty() {
        let ids: Vec<i64> = batch.iter().map(|(id, _)| *id).collect();
        let mut entries = 0;
        for table in ["entry", "expunged"] {
            entries += tx.execute(
                &format!("DELETE FROM {table} WHERE account = $1 AND message {{in:$2}}"),
                params![account, &ids],
            )?;
        }
        let messages = give_up(tx, account, &batch)?;
        return Ok(Swept { entries, messages, more: true });
    }
    for table in ["entry", "expunged", "thread_key", "keyword", "subscription", "mailbox", "credential", "address"] {
        tx.execute(&format!("DELETE FROM {table} WHERE account = $1"), params![account])?;
    }
    tx.execute(
        "DELETE FROM journal WHERE account = $1 AND modseq IN (
             SELECT j.modseq FROM journal AS j WHERE j.account = $1 ORDER BY j.modseq LIMIT $2)",
        params![account, sql::limit(SWEEP_BATCH * 10)],
    )?;
    let left =
        tx.one("SELECT EXISTS (SELECT 1 FROM journal WHERE account = $1)", params![account], |row| row.bool(0))?;
    if !left {
        tx.execute("DELETE FROM account WHERE id = $1", params![account])?;
    }
    Ok(Swept { entries: 0, messages: 0, more: left })
}
