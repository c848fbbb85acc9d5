//! Several messages come into one mailbox in one operation: what imports and APPEND with several messages share.
//!
//! All or nothing, in a constant number of statements (on PostgreSQL; SQLite inserts row by row).

use std::collections::{HashMap, HashSet};

use postroad_store::{AccountId, BlobId, ModSeq, Param, WriteTx, new_id, params};

use crate::deliver::{self, MAX_THREAD_KEYS};
use crate::journal::{self, Note, Operation};
use crate::keywords::{self, Spelled};
use crate::{
    Arrival, Bound, By, Error, Filing, Flags, Keyword, Keywords, MailboxId, MessageId, Result, ThreadId, UidSet, What,
    selected, sql,
};

/// A message that comes with others.
#[derive(Debug, Clone, Copy)]
pub struct One<'a> {
    /// What arrived.
    pub arrival: &'a Arrival,
    /// How it is filed.
    pub filing: &'a Filing,
}

/// Where the messages of an operation lie now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// The mailbox's uidvalidity.
    pub uidvalidity: u32,
    /// Their uids, in the order they were given in.
    pub uids: UidSet,
    /// Their contents' ids, likewise.
    pub(crate) messages: Vec<MessageId>,
}

/// Files messages in a mailbox in one operation, in their order: what [`deliver::deliver`] does for each. With `quota`
/// off the account may become fuller than its quota. `incoming` is not empty.
///
/// `Err(OverQuota | Suspended | NotFound | Limit)` has written nothing.
pub(crate) fn file(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    incoming: &[One<'_>],
    quota: bool,
) -> Result<Filed> {
    let spelled = keywords::spell(tx, account, mailbox, &union_of_keywords(incoming))?;
    let modseq = claim(tx, account, mailbox, incoming, quota)?;
    let (first, uidvalidity) = place(tx, account, mailbox, modseq, incoming)?;
    keywords::learn(tx, account, mailbox, modseq, &spelled)?;
    let messages: Vec<MessageId> = incoming.iter().map(|_| MessageId(new_id())).collect();
    let threads = join_threads(tx, account, incoming, &messages)?;
    let blobs: Vec<_> = incoming.iter().map(|one| &one.arrival.blob).collect();
    tx.blob_put_all(&blobs)?;
    insert_messages(tx, by, account, incoming, &messages, &threads)?;
    let place = Place { account, mailbox, modseq, first };
    insert_entries(tx, by, &place, incoming, &messages, &spelled)?;
    let last = first + u32::try_from(incoming.len()).unwrap_or(u32::MAX) - 1;
    let uids = UidSet::range(first, last);
    let note = Note { mailbox: Some(mailbox), uids: &uids, ..Note::plain(Operation::Append) };
    journal::end(tx, by, account, modseq, &note)?;
    Ok(Filed { uidvalidity, uids, messages })
}

/// APPEND with several messages (RFC 3502): all of them in one operation, or none.
///
/// `Err(OverQuota | Suspended | NotFound | Limit)` has written nothing.
pub fn append_all(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    incoming: &[One<'_>],
) -> Result<Filed> {
    if incoming.is_empty() {
        return Err(Error::Message("no message came"));
    }
    file(tx, by, account, mailbox, incoming, true)
}

/// Whether `count` messages of `size` bytes together would be taken now. [`append_all`] decides. Two statements.
pub fn would_take(tx: &postroad_store::ReadTx, account: AccountId, count: u64, size: u64) -> Result<()> {
    deliver::would_take(tx, account, size)?;
    let quota = crate::quota::of(tx, account)?;
    match quota.limit_messages {
        Some(limit) if quota.used_messages.saturating_add(count) > limit => Err(Error::OverQuota),
        Some(_) | None => Ok(()),
    }
}

/// Where entries go.
struct Place {
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    first: u32,
}

fn union_of_keywords(incoming: &[One<'_>]) -> Vec<Keyword> {
    let mut seen = HashSet::new();
    let all = incoming.iter().flat_map(|one| &one.filing.keywords);
    all.filter(|keyword| seen.insert(keyword.folded())).cloned().collect()
}

/// Begins the operation and counts the messages, when account and mailbox take them. One statement.
fn claim(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    incoming: &[One<'_>],
    quota: bool,
) -> Result<ModSeq> {
    let bytes = incoming.iter().fold(0u64, |sum, one| sum.saturating_add(one.arrival.size));
    let room = if quota {
        "AND (quota_messages = 0 OR used_messages + $3 <= quota_messages)
         AND (quota_bytes = 0 OR used_bytes + $4 <= quota_bytes)"
    } else {
        ""
    };
    let text = format!(
        "UPDATE account SET modseq = modseq + 1, used_messages = used_messages + $3, used_bytes = used_bytes + $4
         WHERE id = $1 AND state = 'active' {room}
           AND EXISTS (SELECT 1 FROM mailbox b WHERE b.account = $1 AND b.id = $2 AND b.selectable = 1
                                                 AND b.uidnext + $3 <= 4294967295)
         RETURNING modseq"
    );
    let claimed =
        tx.returning(&text, params![account, mailbox, sql::limit(incoming.len()), sql::number(bytes)], |row| {
            row.id(0)
        })?;
    if let Some(modseq) = claimed.first() {
        return Ok(*modseq);
    }
    match crate::mailboxes::by_id(tx, account, mailbox)? {
        Some(row) if row.selectable && u64::from(row.uidnext) + incoming.len() as u64 > u64::from(u32::MAX) => {
            Err(Error::Limit(Bound::Uids))
        }
        Some(row) if row.selectable => {
            deliver::would_take(tx, account, bytes)?;
            Err(Error::OverQuota)
        }
        Some(_) | None => Err(Error::NotFound(What::Mailbox)),
    }
}

/// Takes uids and counts the entries: the first uid, and the uidvalidity. One statement.
fn place(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    incoming: &[One<'_>],
) -> Result<(u32, u32)> {
    let sum = |count: fn(Flags) -> i64| incoming.iter().map(|one| count(one.filing.flags)).sum::<i64>();
    let size = incoming.iter().fold(0u64, |sum, one| sum.saturating_add(one.arrival.size));
    let placed = tx
        .returning(
            "UPDATE mailbox SET uidnext = uidnext + $3, messages = messages + $3, unseen = unseen + $4,
                                deleted = deleted + $5, size = size + $6, highest_modseq = $7
             WHERE account = $1 AND id = $2 RETURNING uidnext - $3, uidvalidity",
            params![
                account,
                mailbox,
                sql::limit(incoming.len()),
                sum(selected::unseen),
                sum(selected::deleted_count),
                sql::number(size),
                modseq
            ],
            |row| Ok((sql::small(row, 0)?, sql::small(row, 1)?)),
        )?
        .pop();
    placed.ok_or(Error::NotFound(What::Mailbox))
}

/// The conversations of messages that come one after the other, by the rule for one. Two statements.
fn join_threads(
    tx: &mut WriteTx,
    account: AccountId,
    incoming: &[One<'_>],
    messages: &[MessageId],
) -> Result<Vec<ThreadId>> {
    let keys = |one: &One<'_>| -> Vec<i64> {
        one.arrival.thread_keys.iter().take(MAX_THREAD_KEYS).map(|key| key.cast_signed()).collect()
    };
    let mut all: Vec<i64> = incoming.iter().flat_map(keys).collect();
    all.sort_unstable();
    all.dedup();
    let mut threads: HashMap<i64, i64> = HashMap::new();
    if !all.is_empty() {
        let rows = tx.rows(
            "SELECT key, thread FROM thread_key WHERE account = $1 AND key {in:$2}",
            params![account, &all],
            |row| Ok((row.int(0)?, row.int(1)?)),
        )?;
        threads.extend(rows);
    }
    let mut new: Vec<[Param<'_>; 3]> = Vec::new();
    let mut joined = Vec::with_capacity(incoming.len());
    for (one, message) in incoming.iter().zip(messages) {
        let keys = keys(one);
        let thread = keys.iter().filter_map(|key| threads.get(key)).min().copied().unwrap_or(message.0);
        for key in keys {
            if threads.insert(key, *threads.get(&key).unwrap_or(&thread)).is_none() {
                new.push([Param::from(account), Param::from(key), Param::from(thread)]);
            }
        }
        joined.push(ThreadId(thread));
    }
    tx.insert_rows("INSERT INTO thread_key (account, key, thread)", &new, "ON CONFLICT (account, key) DO NOTHING")?;
    Ok(joined)
}

fn insert_messages(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    incoming: &[One<'_>],
    messages: &[MessageId],
    threads: &[ThreadId],
) -> Result<()> {
    let rows: Vec<[Param<'_>; 8]> = incoming
        .iter()
        .zip(messages.iter().zip(threads))
        .map(|(one, (message, thread))| {
            let blob: BlobId = one.arrival.blob.id();
            [
                Param::from(account),
                Param::from(*message),
                Param::from(blob),
                Param::from(sql::number(one.arrival.size)),
                Param::from(one.filing.received.unwrap_or(by.now)),
                Param::from(*thread),
                Param::from(one.filing.trace),
                Param::from(&one.arrival.summary_bytes),
            ]
        })
        .collect();
    tx.insert_rows("INSERT INTO message (account, id, blob, size, received, thread, trace, summary)", &rows, "")?;
    Ok(())
}

fn insert_entries(
    tx: &mut WriteTx,
    by: &By,
    place: &Place,
    incoming: &[One<'_>],
    messages: &[MessageId],
    spelled: &Spelled,
) -> Result<()> {
    let keywords: Vec<Keywords> = incoming
        .iter()
        .map(|one| spelled.all.iter().filter(|own| one.filing.keywords.contains(own)).cloned().collect())
        .collect();
    let rows: Vec<[Param<'_>; 9]> = (place.first..)
        .zip(incoming)
        .zip(messages.iter().zip(&keywords))
        .map(|((uid, one), (message, keywords))| {
            [
                Param::from(place.account),
                Param::from(place.mailbox),
                Param::from(uid),
                Param::from(*message),
                Param::from(one.filing.flags.bits()),
                Param::from(keywords.as_stored()),
                Param::from(place.modseq),
                Param::from(by.now),
                Param::from(sql::number(one.arrival.size)),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO entry (account, mailbox, uid, message, flags, keywords, modseq, saved, size)",
        &rows,
        "",
    )?;
    Ok(())
}
