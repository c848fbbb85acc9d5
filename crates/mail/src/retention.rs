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

/// Accounts from which something was removed at `since` or later: only there what can be brought back may have become too
/// much. One look into an index for each account.
pub fn removed_since(tx: &ReadTx, since: Timestamp) -> Result<Vec<AccountId>> {
    let accounts = tx.rows(
        "SELECT a.id FROM account AS a WHERE a.state <> 'deleted'
         AND EXISTS (SELECT 1 FROM expunged AS x WHERE x.account = a.id AND x.at >= $1)
         ORDER BY a.id",
        params![since],
        |row| row.id(0),
    )?;
    Ok(accounts)
}

/// Octets of messages that are in no mailbox any more and wait for the end of their retention: they do not count against the
/// quota. Looks at each removed entry.
pub fn kept_octets(tx: &ReadTx, account: AccountId) -> Result<u64> {
    let octets = tx.one(
        "SELECT CAST(COALESCE(sum(m.size), 0) AS BIGINT) FROM message AS m WHERE m.account = $1
         AND m.id IN (SELECT x.message FROM expunged AS x WHERE x.account = $1)
         AND NOT EXISTS (SELECT 1 FROM entry AS e WHERE e.account = $1 AND e.message = m.id)",
        params![account],
        |row| row.int(0),
    )?;
    Ok(u64::try_from(octets).unwrap_or(0))
}

/// How much of what was removed an account may keep: what the settings say, else its quota once more. `None`: any amount.
pub fn kept_limit(account: &accounts::Account, setting: Option<u64>) -> Option<u64> {
    setting.or((account.quota_bytes != 0).then_some(account.quota_bytes))
}

/// Gives up what was removed first, before its time, as long as more than `limit` octets are kept; at most
/// [`SWEEP_BATCH`] entries. Who fills an account and empties it in turn would fill the disk otherwise. Locks: the account's. Not an
/// operation of the account, as [`sweep`].
pub fn spare(tx: &mut WriteTx, account: AccountId, limit: u64) -> Result<Swept> {
    let Some(mut excess) = kept_octets(tx, account)?.checked_sub(limit).filter(|excess| *excess > 0) else {
        return Ok(Swept::default());
    };
    let oldest = tx.rows(
        "SELECT at, size FROM expunged WHERE account = $1 ORDER BY at LIMIT $2",
        params![account, sql::limit(SWEEP_BATCH)],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    let mut until = 0;
    for (at, size) in oldest {
        until = at;
        excess = excess.saturating_sub(u64::try_from(size).unwrap_or(0));
        if excess == 0 {
            break;
        }
    }
    let swept = forget(tx, account, Timestamp(until.saturating_add(1)))?;
    // Entries that were moved or copied free nothing by themselves.
    let more = swept.entries > 0 && kept_octets(tx, account)? > limit;
    Ok(Swept { more, ..swept })
}

/// Takes a batch out of the mailbox that has the oldest removal.
fn forget(tx: &mut WriteTx, account: AccountId, before: Timestamp) -> Result<Swept> {
    let oldest = tx.row(
        "SELECT mailbox FROM expunged WHERE account = $1 AND at < $2 ORDER BY at LIMIT 1",
        params![account, before],
        |row| row.int(0),
    )?;
    let Some(mailbox) = oldest else {
        return Ok(Swept::default());
    };
    let batch = tx.rows(
        "SELECT uid, message FROM expunged {by:expunged_at}
         WHERE account = $1 AND mailbox = $2 AND at < $3
         ORDER BY at LIMIT $4",
        params![account, mailbox, before, sql::limit(SWEEP_BATCH)],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    let uids: Vec<i64> = batch.iter().map(|(uid, _)| *uid).collect();
    let messages: Vec<i64> = batch.iter().map(|(_, message)| *message).collect();
    tx.execute(
        "DELETE FROM expunged WHERE account = $1 AND mailbox = $2 AND uid {in:$3}",
        params![account, mailbox, &uids],
    )?;
    // Of a deleted mailbox nothing is left but what could be restored.
    tx.execute(
        "DELETE FROM keyword WHERE account = $1 AND mailbox = $2
         AND NOT EXISTS (SELECT 1 FROM expunged AS x WHERE x.account = $1 AND x.mailbox = $2)
         AND NOT EXISTS (SELECT 1 FROM mailbox AS b WHERE b.account = $1 AND b.id = $2 AND b.selectable = 1)",
        params![account, mailbox],
    )?;
    let gone = tx.rows(
        "SELECT m.id, m.blob, m.thread FROM message AS m WHERE m.account = $1 AND m.id {in:$2}
         AND NOT EXISTS (SELECT 1 FROM entry AS e WHERE e.account = $1 AND e.message = m.id)
         AND NOT EXISTS (SELECT 1 FROM expunged AS x WHERE x.account = $1 AND x.message = m.id)",
        params![account, &messages],
        |row| Ok(Gone { id: row.int(0)?, blob: row.id(1)?, thread: row.int(2)? }),
    )?;
    give_up(tx, account, &gone)?;
    let more = tx.one(
        "SELECT EXISTS (SELECT 1 FROM expunged WHERE account = $1 AND at < $2)",
        params![account, before],
        |row| row.bool(0),
    )?;
    Ok(Swept { entries: uids.len() as u64, messages: gone.len() as u64, more })
}

/// A content that nothing refers to.
struct Gone {
    id: i64,
    blob: BlobId,
    thread: i64,
}

/// Removes contents and lets their blobs go. Five statements, one more for blobs named twice.
fn give_up(tx: &mut WriteTx, account: AccountId, gone: &[Gone]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = gone.iter().map(|gone| gone.id).collect();
    let threads: Vec<i64> = gone.iter().map(|gone| gone.thread).collect();
    tx.execute("DELETE FROM message WHERE account = $1 AND id {in:$2}", params![account, &ids])?;
    tx.execute(
        "DELETE FROM imported {by:imported_message} WHERE account = $1 AND message {in:$2}",
        params![account, &ids],
    )?;
    crate::index::forget_messages(tx, account, &ids)?;
    tx.execute(
        "DELETE FROM thread_key WHERE account = $1 AND thread {in:$2}
         AND NOT EXISTS (SELECT 1 FROM message AS m WHERE m.account = $1 AND m.id = thread_key.thread)
         AND NOT EXISTS (SELECT 1 FROM message AS m {by:message_reply}
                         WHERE m.account = $1 AND m.thread = thread_key.thread AND m.thread <> m.id)",
        params![account, &threads],
    )?;
    let blobs: Vec<BlobId> = gone.iter().map(|gone| gone.blob).collect();
    tx.blob_release_all(&blobs)?;
    Ok(())
}

/// Takes one batch out of a deleted account.
fn purge(tx: &mut WriteTx, account: AccountId) -> Result<Swept> {
    let batch = tx.rows(
        "SELECT id, blob, thread FROM message WHERE account = $1 ORDER BY id LIMIT $2",
        params![account, sql::limit(SWEEP_BATCH)],
        |row| Ok(Gone { id: row.int(0)?, blob: row.id(1)?, thread: row.int(2)? }),
    )?;
    if !batch.is_empty() {
        let ids: Vec<i64> = batch.iter().map(|gone| gone.id).collect();
        let mut entries = 0;
        for table in ["entry", "expunged"] {
            entries += tx.execute(
                &format!("DELETE FROM {table} {{by:{table}_message}} WHERE account = $1 AND message {{in:$2}}"),
                params![account, &ids],
            )?;
        }
        give_up(tx, account, &batch)?;
        return Ok(Swept { entries, messages: batch.len() as u64, more: true });
    }
    for table in [
        "entry",
        "entry_page",
        "expunged",
        "thread_key",
        "keyword",
        "subscription",
        "acl",
        "metadata",
        "quota_limit",
        "pop3_maildrop",
        "pop3_fetched",
        "remote_message",
        "remote_folder",
        "remote_link",
        "remote_collect",
        "remote_seen",
        "label_account",
        "mailbox",
        "shared_account",
        "scram_key",
        "login_certificate",
        "ntlm_key",
        "ntlm_account",
        "digest_key",
        "digest_account",
        "login_principal",
        "login_delegate",
        "credential",
        "address",
    ] {
        tx.execute(&format!("DELETE FROM {table} WHERE account = $1"), params![account])?;
    }
    crate::urlauth::forget_account(tx, account)?;
    tx.execute(
        "DELETE FROM journal WHERE account = $1 AND modseq IN (
             SELECT j.modseq FROM journal AS j WHERE j.account = $1 ORDER BY j.modseq LIMIT $2)",
        params![account, sql::limit(SWEEP_BATCH * 10)],
    )?;
    let left =
        tx.one("SELECT EXISTS (SELECT 1 FROM journal WHERE account = $1)", params![account], |row| row.bool(0))?;
    let left = left || crate::index::forget_account(tx, account)?;
    if !left {
        tx.execute("DELETE FROM account WHERE id = $1", params![account])?;
    }
    Ok(Swept { entries: 0, messages: 0, more: left })
}
