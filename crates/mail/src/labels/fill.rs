//! All Mail is filled with what an account had before its labels were switched on.

use std::collections::BTreeMap;

use postroad_store::{AccountId, ReadTx, WriteTx, params};

use super::Homes;
use super::steps::{self, Sibling, by_mailbox};
use crate::copy::{Target, admit, admit_marks};
use crate::expunge::After;
use crate::journal::{self, Note, Operation};
use crate::keywords;
use crate::selected::{Before, Tally};
use crate::{By, Error, Flags, Keyword, Keywords, MailboxId, MessageId, Result, UidSet, What, sql};

/// Messages that one call looks at, at most.
pub const FILL_BATCH: usize = 1_000;

/// What a call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// Messages that were looked at.
    pub looked: u64,
    /// There are more.
    pub more: bool,
}

/// Looks at the next messages: those that lie in an ordinary mailbox come into All Mail, in the order in which they came to the
/// account, with the flags that any of their entries has; what lies in Trash or Junk besides is taken out there, and of two
/// entries in one mailbox the newer stays. A few statements for each mailbox that they lie in. Locks: the account's.
///
/// Errors: `NotFound` where labels are off.
pub fn fill(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<Filled> {
    let row = tx.row("SELECT looked, whole FROM label_account WHERE account = $1", params![account], |row| {
        Ok((row.int(0)?, row.int(1)? != 0))
    })?;
    let looked = match row {
        None => return Err(Error::NotFound(What::Mailbox)),
        Some((_, true)) => return Ok(Filled { looked: 0, more: false }),
        Some((looked, false)) => looked,
    };
    let homes = Homes::find(tx, account)?.ok_or(Error::NotFound(What::Mailbox))?;
    let ids = tx.rows(
        "SELECT id FROM message WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3",
        params![account, looked, sql::limit(FILL_BATCH)],
        |row| row.int(0),
    )?;
    if let Some(last) = ids.last() {
        gather(tx, by, account, &homes, &ids)?;
        tx.execute("UPDATE label_account SET looked = $2 WHERE account = $1", params![account, *last])?;
    }
    let more = ids.len() == FILL_BATCH;
    if !more {
        let modseq = journal::begin(tx, account)?;
        tx.execute("UPDATE label_account SET whole = 1 WHERE account = $1", params![account])?;
        let note = Note { before: b"labels\tfilling\n", ..Note::plain(Operation::Account) };
        journal::write(tx, by, account, modseq, &note)?;
    }
    Ok(Filled { looked: ids.len() as u64, more })
}

/// Brings these messages to what labels promise.
fn gather(tx: &mut WriteTx, by: &By, account: AccountId, homes: &Homes, ids: &[i64]) -> Result<()> {
    let mut messages: BTreeMap<MessageId, Vec<Sibling>> = BTreeMap::new();
    for one in entries_of(tx, account, ids)? {
        messages.entry(one.message).or_default().push(one);
    }
    let (mut gone, mut to_all, mut to_starred) = (Vec::new(), Vec::new(), Vec::new());
    let mut wanted: BTreeMap<(MailboxId, Flags, Keywords), Vec<Before>> = BTreeMap::new();
    for entries in messages.into_values() {
        let starred = homes.starred.is_some_and(|home| entries.iter().any(|one| one.mailbox == home));
        let (flags, words) = union(homes, &entries, starred);
        let (kept, spare) = sorted_out(homes, entries);
        gone.extend(spare);
        let Some(first) = kept.first().filter(|first| !homes.is_outside(first.mailbox)) else { continue };
        let has = |home: MailboxId| kept.iter().any(|one| one.mailbox == home);
        let entry = (first.message, Before { flags, keywords: words.clone(), ..first.before.clone() });
        if flags.contains(Flags::FLAGGED) && !homes.starred.is_some_and(has) {
            to_starred.push(entry.clone());
        }
        if !has(homes.all) {
            to_all.push(entry);
        }
        for one in kept.iter().filter(|one| one.shared() != flags || one.before.keywords != words) {
            wanted.entry((one.mailbox, flags, words.clone())).or_default().push(one.before.clone());
        }
    }
    for (mailbox, entries) in by_mailbox(gone.iter()) {
        steps::take(tx, by, account, mailbox, &entries, After::Elsewhere)?;
    }
    for ((mailbox, flags, words), mut entries) in wanted {
        entries.sort_unstable_by_key(|entry| entry.uid);
        steps::set_flags(tx, by, account, mailbox, &entries, (flags, &words))?;
    }
    put(tx, by, account, &to_all, homes.all)?;
    match homes.starred {
        Some(starred) => put(tx, by, account, &to_starred, starred),
        None => Ok(()),
    }
}

/// The entries of messages. One statement, and one for each mailbox that they are in.
fn entries_of(tx: &ReadTx, account: AccountId, ids: &[i64]) -> Result<Vec<Sibling>> {
    let ids = ids.to_vec();
    let rows = tx.rows(
        "SELECT message, mailbox, uid FROM entry {by:entry_message} WHERE account = $1 AND message {in:$2}",
        params![account, &ids],
        |row| Ok(Sibling::unmarked(0, row.id(0)?, row.id(1)?, sql::small(row, 2)?)),
    )?;
    steps::marked(tx, account, rows)
}

/// The entries of a message that stay, and those that go: with a label it is neither in Trash nor in Junk, and it is once in
/// each mailbox.
fn sorted_out(homes: &Homes, mut entries: Vec<Sibling>) -> (Vec<Sibling>, Vec<Sibling>) {
    entries.sort_unstable_by_key(|one| (homes.is_outside(one.mailbox), one.mailbox, std::cmp::Reverse(one.before.uid)));
    let inside = entries.first().is_some_and(|first| !homes.is_outside(first.mailbox));
    let (mut kept, mut gone): (Vec<Sibling>, Vec<Sibling>) = (Vec::new(), Vec::new());
    for one in entries {
        let stays = match (inside, homes.is_outside(one.mailbox)) {
            (true, true) => false,
            (true, false) => kept.last().is_none_or(|last| last.mailbox != one.mailbox),
            (false, _) => kept.is_empty(),
        };
        if stays { &mut kept } else { &mut gone }.push(one);
    }
    (kept, gone)
}

/// The flags and keywords that any entry outside of Trash and Junk has.
fn union(homes: &Homes, entries: &[Sibling], starred: bool) -> (Flags, Keywords) {
    let mut flags = if starred { Flags::FLAGGED } else { Flags::NONE };
    let mut words: Option<Keywords> = None;
    for one in entries.iter().filter(|one| !homes.is_outside(one.mailbox)) {
        flags = flags | one.shared();
        words = Some(match words {
            None => one.before.keywords.clone(),
            Some(words) if words == one.before.keywords => words,
            Some(words) => {
                let all = words.iter().chain(one.before.keywords.iter());
                all.map(|word| Keyword::stored(word.to_owned())).collect()
            }
        });
    }
    (flags, words.unwrap_or_default())
}

/// Puts messages into a mailbox, in the order of their ids, with the flags that all their entries have by now. Six statements, one more
/// for keywords.
fn put(tx: &mut WriteTx, by: &By, account: AccountId, messages: &[(MessageId, Before)], to: MailboxId) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let target = Target::find(tx, account, to, messages.len())?;
    let modseq = journal::begin(tx, account)?;
    let ids: Vec<i64> = messages.iter().map(|(message, _)| message.0).collect();
    tx.execute(
        "INSERT INTO entry (account, mailbox, uid, message, saved, size)
         SELECT CAST($1 AS BIGINT), CAST($3 AS BIGINT), $4 + row_number() OVER (ORDER BY e.message) - 1, e.message,
                CAST($5 AS BIGINT), e.size
         FROM (SELECT message, min(size) AS size
               FROM entry {by:entry_message} WHERE account = $1 AND message {in:$2} GROUP BY message) AS e",
        params![account, &ids, to, i64::from(target.uidnext), by.now],
    )?;
    let placed: Vec<Before> = messages.iter().map(|(_, one)| one.clone()).collect();
    admit_marks(tx, account, &target, modseq, &placed)?;
    keywords::carry(tx, account, to, modseq, messages.iter().flat_map(|(_, one)| one.keywords.iter()))?;
    admit(tx, account, &target, modseq, Tally::of(&placed))?;
    let last = target.uidnext + u32::try_from(messages.len()).unwrap_or(u32::MAX) - 1;
    let other_uids = UidSet::range(target.uidnext, last);
    let note = Note { other: Some(to), other_uids: &other_uids, before: b"labels\n", ..Note::plain(Operation::Copy) };
    journal::write(tx, by, account, modseq, &note)
}
