//! Many messages come into one mailbox in one operation: imports.
//!
//! What an import brought is remembered by a hash of its source, in the same transaction, so that an import that was
//! broken off at any moment goes on where it stopped and never files a message twice. What is remembered goes with
//! the content of the message, so what was removed here does not come back until the retention has passed.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};

use postroad_store::{AccountId, BlobId, ModSeq, Param, ReadTx, WriteTx, new_id, params};

use crate::deliver::{self, MAX_THREAD_KEYS};
use crate::journal::{self, Note, Operation};
use crate::keywords::{self, Spelled};
use crate::{
    Arrival, Bound, By, Error, Filing, Flags, Keyword, Keywords, MailboxId, MessageId, Result, ThreadId, UidSet, What,
    selected, sql,
};

/// Most messages of one operation.
pub const MAX_BATCH: usize = 1_000;

/// Where a message of an import comes from: a hash of its bytes in the file and of how many equal ones came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(pub [u8; 16]);

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
    let spelled = keywords::spell(tx, account, mailbox, &union_of_keywords(incoming))?;
    let modseq = claim(tx, account, mailbox, incoming, quota)?;
    let first = place(tx, account, mailbox, modseq, incoming)?;
    keywords::learn(tx, account, mailbox, modseq, &spelled)?;
    let messages: Vec<MessageId> = incoming.iter().map(|_| MessageId(new_id())).collect();
    let threads = join_threads(tx, account, incoming, &messages)?;
    let blobs: Vec<_> = incoming.iter().map(|one| &one.arrival.blob).collect();
    tx.blob_put_all(&blobs)?;
    insert_messages(tx, by, account, incoming, &messages, &threads)?;
    let place = Place { account, mailbox, modseq, first };
    insert_entries(tx, by, &place, incoming, &messages, &spelled)?;
    remember(tx, account, mailbox, incoming, &messages)?;
    let last = first + (incoming.len() - 1) as u32;
    let uids = UidSet::range(first, last);
    let note = Note { mailbox: Some(mailbox), uids: &uids, ..Note::plain(Operation::Append) };
    journal::end(tx, by, account, modseq, &note)?;
    Ok(uids)
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

/// Where entries go.
struct Place {
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    first: u32,
}

fn union_of_keywords(incoming: &[&Incoming]) -> Vec<Keyword> {
    let mut seen = HashSet::new();
    let all = incoming.iter().flat_map(|one| &one.filing.keywords);
    all.filter(|keyword| seen.insert(keyword.folded())).cloned().collect()
}

/// Begins the operation and counts the messages, when account and mailbox take them. One statement.
fn claim(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    incoming: &[&Incoming],
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

/// Takes uids and counts the entries: the first uid. One statement.
fn place(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    incoming: &[&Incoming],
) -> Result<u32> {
    let sum = |count: fn(Flags) -> i64| incoming.iter().map(|one| count(one.filing.flags)).sum::<i64>();
    let size = incoming.iter().fold(0u64, |sum, one| sum.saturating_add(one.arrival.size));
    let placed = tx
        .returning(
            "UPDATE mailbox SET uidnext = uidnext + $3, messages = messages + $3, unseen = unseen + $4,
                                deleted = deleted + $5, size = size + $6, highest_modseq = $7
             WHERE account = $1 AND id = $2 RETURNING uidnext - $3",
            params![
                account,
                mailbox,
                sql::limit(incoming.len()),
                sum(selected::unseen),
                sum(selected::deleted_count),
                sql::number(size),
                modseq
            ],
            |row| sql::small(row, 0),
        )?
        .pop();
    placed.ok_or(Error::NotFound(What::Mailbox))
}

/// The conversations of messages that come one after the other, by the rule for one. Two statements.
fn join_threads(
    tx: &mut WriteTx,
    account: AccountId,
    incoming: &[&Incoming],
    messages: &[MessageId],
) -> Result<Vec<ThreadId>> {
    let keys = |one: &Incoming| -> Vec<i64> {
        one.arrival.thread_keys.iter().take(MAX_THREAD_KEYS).map(|key| key.cast_signed()).collect()
    };
    let mut all: Vec<i64> = incoming.iter().flat_map(|one| keys(one)).collect();
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
    incoming: &[&Incoming],
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
    incoming: &[&Incoming],
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
            [false, true]
                .map(|present| {
                    let text = format!("EXPLAIN {}", known_sql(true, present));
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
