//! Several messages come into one mailbox in one operation: what imports and APPEND with several messages share.
//!
//! All or nothing, in a constant number of statements (on PostgreSQL; SQLite inserts row by row).

use std::collections::{HashMap, HashSet};

use postroad_store::{AccountId, ModSeq, WriteTx, new_id};

use crate::journal::{self, Note, Operation};
use crate::keywords::{self, Spelled};
use crate::rows::{self, Placed, Quota, Under};
use crate::selected::Tally;
use crate::{
    Arrival, Bound, By, Error, Filing, Keyword, Keywords, MailboxId, MessageId, Result, ThreadId, UidSet, What,
    deliver, sql,
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

/// Files messages in a mailbox in one operation, in their order: what [`deliver::deliver`] does for each. `incoming` is not
/// empty.
///
/// `Err(OverQuota | Suspended | NotFound | Limit)` has written nothing.
pub(crate) fn file(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    incoming: &[One<'_>],
    quota: Quota,
) -> Result<Filed> {
    let spelled = keywords::spell(tx, account, mailbox, &union_of_keywords(incoming))?;
    let modseq = claim(tx, account, mailbox, incoming, quota)?;
    let (first, uidvalidity) = rows::take_uids(tx, account, mailbox, modseq, tally(incoming))?;
    keywords::learn(tx, account, mailbox, modseq, &spelled)?;
    let messages: Vec<MessageId> = incoming.iter().map(|_| MessageId(new_id())).collect();
    let keys: Vec<Vec<i64>> = incoming.iter().map(|one| rows::stored_keys(&one.arrival.thread_keys)).collect();
    let threads = rows::join_threads(tx, account, &keys, &messages)?;
    let blobs: Vec<_> = incoming.iter().map(|one| &one.arrival.blob).collect();
    tx.blob_put_all(&blobs)?;
    insert_contents(tx, by, account, incoming, &messages, &threads)?;
    let under = Under { account, mailbox, modseq, saved: by.now };
    insert_entries(tx, under, first, incoming, &messages, &spelled)?;
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
    file(tx, by, account, mailbox, incoming, Quota::Kept)
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
    quota: Quota,
) -> Result<ModSeq> {
    let bytes = incoming.iter().fold(0u64, |sum, one| sum.saturating_add(one.arrival.size));
    let counted = (sql::limit(incoming.len()), sql::number(bytes));
    if let Some(modseq) = rows::claim(tx, account, Some(mailbox), counted, quota)? {
        return Ok(modseq);
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

/// What they add to the mailbox's counters.
fn tally(incoming: &[One<'_>]) -> Tally {
    incoming.iter().fold(Tally::default(), |sum, one| sum + Tally::one(one.filing.flags, sql::number(one.arrival.size)))
}

fn insert_contents(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    incoming: &[One<'_>],
    messages: &[MessageId],
    threads: &[ThreadId],
) -> Result<()> {
    let contents: Vec<_> = incoming
        .iter()
        .zip(messages.iter().zip(threads))
        .map(|(one, (id, thread))| deliver::content(by, one.arrival, one.filing, one.arrival.blob.id(), *id, *thread))
        .collect();
    rows::insert_contents(tx, account, &contents)
}

fn insert_entries(
    tx: &mut WriteTx,
    under: Under,
    first: u32,
    incoming: &[One<'_>],
    messages: &[MessageId],
    spelled: &Spelled,
) -> Result<()> {
    let spellings: HashMap<String, &Keyword> = spelled.all.iter().map(|own| (own.folded(), own)).collect();
    let own = |keyword: &Keyword| spellings.get(&keyword.folded()).copied().cloned();
    let keywords: Vec<Keywords> =
        incoming.iter().map(|one| one.filing.keywords.iter().filter_map(own).collect()).collect();
    let entries: Vec<Placed<'_>> = (first..)
        .zip(incoming)
        .zip(messages.iter().zip(&keywords))
        .map(|((uid, one), (message, keywords))| Placed {
            uid,
            message: *message,
            flags: one.filing.flags,
            keywords,
            size: sql::number(one.arrival.size),
        })
        .collect();
    rows::insert_entries(tx, under, &entries)
}
