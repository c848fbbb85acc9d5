//! The rows of a message that comes into a mailbox: its conversation, its content, its entry. What delivery, APPEND of several,
//! imports and copies from another account have in common.
//!
//! All in sets: a few statements for any number of messages (on SQLite each row is a run of a prepared statement).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use postroad_store::{AccountId, BlobId, ModSeq, Param, Timestamp, TraceId, WriteTx, params};

use crate::selected::Tally;
use crate::view::Glance;
use crate::{Error, Flags, Keywords, MailboxId, MessageId, Result, ThreadId, What, pages, sql};

/// Most keys of a message that threads are found by.
pub const MAX_THREAD_KEYS: usize = 32;

/// A content's row.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    pub(crate) id: MessageId,
    pub(crate) blob: BlobId,
    pub(crate) size: i64,
    pub(crate) received: Timestamp,
    pub(crate) thread: ThreadId,
    pub(crate) trace: Option<TraceId>,
    pub(crate) summary: &'a [u8],
}

/// An entry's row, without what all entries of an operation share.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) uid: u32,
    pub(crate) message: MessageId,
    pub(crate) flags: Flags,
    pub(crate) keywords: &'a Keywords,
    pub(crate) size: i64,
}

/// What the entries of an operation share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Under {
    pub(crate) account: AccountId,
    pub(crate) mailbox: MailboxId,
    pub(crate) modseq: ModSeq,
    pub(crate) saved: Timestamp,
}

/// Whether an account's limits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quota {
    /// It is refused what does not fit.
    Kept,
    /// It may become fuller.
    Passed,
}

/// Begins the operation of an active account and counts the contents that it gets. `into`: a mailbox that can be selected and
/// has so many uids left. `None`: something of that is not so, and nothing was written. One statement.
pub(crate) fn claim(
    tx: &mut WriteTx,
    account: AccountId,
    into: Option<MailboxId>,
    (messages, bytes): (i64, i64),
    quota: Quota,
) -> Result<Option<ModSeq>> {
    let room = match quota {
        Quota::Kept => {
            "AND (quota_messages = 0 OR used_messages + $2 <= quota_messages)
             AND (quota_bytes = 0 OR used_bytes + $3 <= quota_bytes)"
        }
        Quota::Passed => "",
    };
    let mailbox = match into {
        Some(_) => {
            "AND EXISTS (SELECT 1 FROM mailbox b WHERE b.account = $1 AND b.id = $4 AND b.selectable = 1
                                                   AND b.uidnext + $2 <= 4294967295)"
        }
        None => "",
    };
    let text = format!(
        "UPDATE account SET modseq = modseq + 1, used_messages = used_messages + $2, used_bytes = used_bytes + $3
         WHERE id = $1 AND state = 'active' {room} {mailbox}
         RETURNING modseq"
    );
    let mut values: Vec<Param<'_>> = vec![account.into(), messages.into(), bytes.into()];
    values.extend(into.map(Param::from));
    Ok(tx.returning(&text, &values, |row| row.id(0))?.pop())
}

/// Takes the next uids of a mailbox for entries and counts them: the first uid, and the uidvalidity. One statement.
pub(crate) fn take_uids(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    tally: Tally,
) -> Result<(u32, u32)> {
    let placed = tx
        .returning(
            "UPDATE mailbox SET uidnext = uidnext + $3, messages = messages + $3, unseen = unseen + $4,
                                deleted = deleted + $5, size = size + $6, highest_modseq = $7
             WHERE account = $1 AND id = $2 RETURNING uidnext - $3, uidvalidity",
            params![account, mailbox, tally.messages, tally.unseen, tally.deleted, tally.size, modseq],
            |row| Ok((sql::small(row, 0)?, sql::small(row, 1)?)),
        )?
        .pop();
    placed.ok_or(Error::NotFound(What::Mailbox))
}

/// The keys of a message as they are stored: the first [`MAX_THREAD_KEYS`].
pub(crate) fn stored_keys(keys: &[u64]) -> Vec<i64> {
    keys.iter().take(MAX_THREAD_KEYS).map(|key| key.cast_signed()).collect()
}

/// The conversations of messages with these keys, which come one after the other: each joins the oldest that shares a key, or
/// is a new one named after itself; its other keys then lead there. A message's conversation never changes (RFC 8621 §4.1.1),
/// so conversations are never joined. Two statements at most.
pub(crate) fn join_threads(
    tx: &mut WriteTx,
    account: AccountId,
    keys: &[Vec<i64>],
    messages: &[MessageId],
) -> Result<Vec<ThreadId>> {
    let mut all: Vec<i64> = keys.iter().flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    let mut threads: HashMap<i64, i64> = HashMap::with_capacity(all.len());
    if !all.is_empty() {
        let text = "SELECT key, thread FROM thread_key WHERE account = $1 AND key {in:$2}";
        threads.extend(tx.rows(text, params![account, &all], |row| Ok((row.int(0)?, row.int(1)?)))?);
    }
    let mut new: Vec<[Param<'_>; 3]> = Vec::new();
    let mut joined = Vec::with_capacity(keys.len());
    for (keys, message) in keys.iter().zip(messages) {
        let thread = keys.iter().filter_map(|key| threads.get(key)).min().copied().unwrap_or(message.0);
        for key in keys {
            if let Entry::Vacant(vacant) = threads.entry(*key) {
                vacant.insert(thread);
                new.push([account.into(), (*key).into(), thread.into()]);
            }
        }
        joined.push(ThreadId(thread));
    }
    tx.insert_rows("INSERT INTO thread_key (account, key, thread)", &new, "ON CONFLICT (account, key) DO NOTHING")?;
    Ok(joined)
}

/// Writes contents. Each has a reference to its blob already.
pub(crate) fn insert_contents(tx: &mut WriteTx, account: AccountId, contents: &[Content<'_>]) -> Result<()> {
    let rows: Vec<[Param<'_>; 8]> = contents
        .iter()
        .map(|content| {
            [
                account.into(),
                content.id.into(),
                content.blob.into(),
                content.size.into(),
                content.received.into(),
                content.thread.into(),
                content.trace.into(),
                content.summary.into(),
            ]
        })
        .collect();
    tx.insert_rows("INSERT INTO message (account, id, blob, size, received, thread, trace, summary)", &rows, "")?;
    Ok(())
}

/// Writes entries, whose uids rise. Counters are the caller's. Two statements.
pub(crate) fn insert_entries(tx: &mut WriteTx, under: Under, entries: &[Placed<'_>]) -> Result<()> {
    let rows: Vec<[Param<'_>; 6]> = entries
        .iter()
        .map(|entry| {
            [
                under.account.into(),
                under.mailbox.into(),
                entry.uid.into(),
                entry.message.into(),
                under.saved.into(),
                entry.size.into(),
            ]
        })
        .collect();
    tx.insert_rows("INSERT INTO entry (account, mailbox, uid, message, saved, size)", &rows, "")?;
    let marks = entries.iter().map(|entry| Glance {
        uid: entry.uid,
        flags: entry.flags,
        keywords: entry.keywords.as_stored(),
        modseq: under.modseq,
        size: u64::try_from(entry.size).unwrap_or(0),
    });
    pages::append(tx, (under.account, under.mailbox), marks)
}
