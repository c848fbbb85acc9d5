//! Entries are copied and moved from one account to another: the same bytes, another content.
//!
//! What an account holds is its own: the copy is a content of the account that gets it, counted against its quota, in
//! its conversations, with a summary of its own and one more reference to the blob. Both accounts' journals have a row, with
//! the same author.
//!
//! What it never does: look at rights; who may is the protocol's to know, and which flags go along comes in as [`Keep`].

use std::collections::{HashMap, HashSet};

use postroad_message::Summary;
use postroad_store::{AccountId, BlobId, ModSeq, Param, ReadTx, Timestamp, TraceId, WriteTx, new_id, params};

use crate::copy::{Copied, Target, admit};
use crate::deliver::MAX_THREAD_KEYS;
use crate::expunge::{self, After};
use crate::journal::{self, Note, Operation};
use crate::keywords::{self, Spelled};
use crate::selected::{self, Before, Place, Tally};
use crate::{Bound, By, Error, Flags, Keyword, Keywords, MailboxId, MessageId, Result, UidSet, accounts};

/// Most entries that go to another account in one operation.
pub const MAX_ACROSS: usize = 10_000;

/// A mailbox, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The account.
    pub account: AccountId,
    /// Its mailbox.
    pub mailbox: MailboxId,
}

/// Which flags go along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// These system flags.
    pub flags: Flags,
    /// Keywords too.
    pub keywords: bool,
}

impl Keep {
    /// All.
    pub const ALL: Keep = Keep { flags: Flags::ALL, keywords: true };
}

/// Copies entries into a mailbox of another account. Nine statements, and six for each [`STRETCH`] of entries. Locks: both
/// accounts'.
///
/// Errors: `NotFound(Mailbox)` for the target, `OverQuota`, `Suspended`, `Limit(Across)`, `Limit(Uids)`, `Limit(Keywords)`.
pub fn copy(tx: &mut WriteTx, by: &By, from: End, uids: &UidSet, to: End, keep: Keep) -> Result<Copied> {
    let entries = selected::entries(tx, from.account, from.mailbox, uids)?;
    transfer(tx, by, from, &entries, to, keep)
}

/// Moves entries into a mailbox of another account: as [`copy`], and they are removed where they were, restorable until the
/// retention has passed.
pub fn move_to(tx: &mut WriteTx, by: &By, from: End, uids: &UidSet, to: End, keep: Keep) -> Result<Copied> {
    let entries = selected::entries(tx, from.account, from.mailbox, uids)?;
    let moved = transfer(tx, by, from, &entries, to, keep)?;
    if entries.is_empty() {
        return Ok(moved);
    }
    let modseq = journal::begin(tx, from.account)?;
    expunge::take_out(tx, by, from.account, from.mailbox, &moved.source, modseq, After::Restorable)?;
    expunge::give_back(tx, from.account, from.mailbox, modseq)?;
    selected::count(tx, from.account, from.mailbox, modseq, Tally::of(&entries).negative())?;
    let before = selected::flags_before(&entries);
    let note =
        Note { mailbox: Some(from.mailbox), uids: &moved.source, before: &before, ..Note::plain(Operation::Move) };
    journal::end(tx, by, from.account, modseq, &note)?;
    Ok(moved)
}

fn transfer(tx: &mut WriteTx, by: &By, from: End, entries: &[Before], to: End, keep: Keep) -> Result<Copied> {
    if entries.len() > MAX_ACROSS {
        return Err(Error::Limit(Bound::Across));
    }
    let target = Target::find(tx, to.account, to.mailbox, entries.len())?;
    let source = selected::uids(entries);
    if entries.is_empty() {
        return Ok(Copied { modseq: None, uidvalidity: target.uidvalidity, source, target: UidSet::new() });
    }
    let spelled = keywords::spell(tx, to.account, to.mailbox, &used_keywords(entries, keep))?;
    let modseq = claim(tx, from, &source, to)?;
    keywords::learn(tx, to.account, to.mailbox, modseq, &spelled)?;
    let mut work = Transfer { by, from, to, keep, modseq, spelled, made: HashMap::new(), next: target.uidnext };
    let mut tally = Tally::default();
    for stretch in entries.chunks(STRETCH) {
        let placed = work.stretch(tx, stretch)?;
        tally = Tally {
            messages: tally.messages + placed.messages,
            unseen: tally.unseen + placed.unseen,
            deleted: tally.deleted + placed.deleted,
            size: tally.size + placed.size,
        };
    }
    admit(tx, to.account, &target, modseq, tally)?;
    let placed = UidSet::range(target.uidnext, work.next - 1);
    let before = format!("of account {} mailbox {}\n", from.account.0, from.mailbox.0);
    let note = Note {
        other: Some(to.mailbox),
        other_uids: &placed,
        before: before.as_bytes(),
        ..Note::plain(Operation::Copy)
    };
    journal::end(tx, by, to.account, modseq, &note)?;
    Ok(Copied { modseq: Some(modseq), uidvalidity: target.uidvalidity, source, target: placed })
}

/// Each keyword of the entries once, when they go along.
fn used_keywords(entries: &[Before], keep: Keep) -> Vec<Keyword> {
    let mut seen = HashSet::new();
    let all = entries.iter().filter(|_| keep.keywords).flat_map(|entry| entry.keywords.iter());
    all.filter(|text| seen.insert(text.to_ascii_lowercase())).map(|text| Keyword::stored(text.to_owned())).collect()
}

/// Begins the operation of the account that gets them, and counts the contents. Two statements, one more to say why not.
fn claim(tx: &mut WriteTx, from: End, uids: &UidSet, to: End) -> Result<ModSeq> {
    let place = Place::of(uids);
    let text = format!(
        "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(m.size), 0) AS BIGINT)
         FROM (SELECT DISTINCT e.message FROM entry AS e WHERE e.account = $1 AND e.mailbox = $2 AND {}) AS gone
         JOIN message AS m ON m.account = $1 AND m.id = gone.message",
        place.clause("e.uid", 3)
    );
    let params = place.params(vec![from.account.into(), from.mailbox.into()]);
    let (messages, bytes) = tx.one(&text, &params, |row| Ok((row.int(0)?, row.int(1)?)))?;
    let claimed = tx.returning(
        "UPDATE account SET modseq = modseq + 1, used_messages = used_messages + $2, used_bytes = used_bytes + $3
         WHERE id = $1 AND state = 'active' AND (quota_messages = 0 OR used_messages + $2 <= quota_messages)
           AND (quota_bytes = 0 OR used_bytes + $3 <= quota_bytes)
         RETURNING modseq",
        params![to.account, messages, bytes],
        |row| row.id(0),
    )?;
    match claimed.first() {
        Some(modseq) => Ok(*modseq),
        None if accounts::existing(tx, to.account)?.state == accounts::State::Suspended => Err(Error::Suspended),
        None => Err(Error::OverQuota),
    }
}

/// What goes over, stretch by stretch.
struct Transfer<'a> {
    by: &'a By,
    from: End,
    to: End,
    keep: Keep,
    modseq: ModSeq,
    spelled: Spelled,
    /// The new content for each old one: an entry may refer to the same as another.
    made: HashMap<MessageId, MessageId>,
    /// The next uid.
    next: u32,
}

/// A content to be made.
struct Content {
    old: MessageId,
    blob: BlobId,
    size: i64,
    received: Timestamp,
    trace: Option<TraceId>,
    summary: Vec<u8>,
}

impl Transfer<'_> {
    fn stretch(&mut self, tx: &mut WriteTx, entries: &[Before]) -> Result<Tally> {
        let uids = selected::uids(entries);
        let messages = self.messages_of(tx, &uids)?;
        let mut new: Vec<MessageId> =
            messages.values().filter(|message| !self.made.contains_key(message)).copied().collect();
        new.sort_unstable();
        new.dedup();
        let contents = self.contents(tx, &new)?;
        self.make(tx, &contents)?;
        let mut placed = Vec::with_capacity(entries.len());
        let mut rows: Vec<(u32, MessageId, Flags, Keywords, i64)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let message = messages.get(&entry.uid).and_then(|old| self.made.get(old)).copied();
            let message = message.ok_or_else(|| Error::Corrupt(format!("entry {} without content", entry.uid)))?;
            let flags = entry.flags.without(Flags::ALL.without(self.keep.flags));
            let keywords = self.keywords(entry);
            placed.push(Before { flags, keywords: keywords.clone(), ..entry.clone() });
            rows.push((self.next, message, flags, keywords, entry.size));
            self.next += 1;
        }
        let rows: Vec<[Param<'_>; 9]> = rows
            .iter()
            .map(|(uid, message, flags, keywords, size)| {
                [
                    self.to.account.into(),
                    self.to.mailbox.into(),
                    (*uid).into(),
                    (*message).into(),
                    flags.bits().into(),
                    keywords.as_stored().into(),
                    self.modseq.into(),
                    self.by.now.into(),
                    (*size).into(),
                ]
            })
            .collect();
        tx.insert_rows(
            "INSERT INTO entry (account, mailbox, uid, message, flags, keywords, modseq, saved, size)",
            &rows,
            "",
        )?;
        Ok(Tally::of(&placed))
    }

    fn messages_of(&self, tx: &ReadTx, uids: &UidSet) -> Result<HashMap<u32, MessageId>> {
        let place = Place::of(uids);
        let text = format!(
            "SELECT uid, message FROM entry WHERE account = $1 AND mailbox = $2 AND {}",
            place.clause("uid", 3)
        );
        let params = place.params(vec![self.from.account.into(), self.from.mailbox.into()]);
        let rows = tx.rows(&text, &params, |row| Ok((crate::sql::small(row, 0)?, row.id(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    fn contents(&self, tx: &ReadTx, messages: &[MessageId]) -> Result<Vec<Content>> {
        let ids: Vec<i64> = messages.iter().map(|message| message.0).collect();
        let rows = tx.rows(
            "SELECT id, blob, size, received, trace, summary FROM message
             WHERE account = $1 AND id {in:$2} ORDER BY id",
            params![self.from.account, &ids],
            |row| {
                Ok(Content {
                    old: row.id(0)?,
                    blob: row.id(1)?,
                    size: row.int(2)?,
                    received: row.id(3)?,
                    trace: row.int_or_null(4)?.map(TraceId),
                    summary: row.bytes(5)?,
                })
            },
        )?;
        Ok(rows)
    }

    /// Writes the contents, each in its conversation of the new account.
    fn make(&mut self, tx: &mut WriteTx, contents: &[Content]) -> Result<()> {
        if contents.is_empty() {
            return Ok(());
        }
        let ids: Vec<MessageId> = contents.iter().map(|_| MessageId(new_id())).collect();
        let threads = join(tx, self.to.account, contents, &ids)?;
        let blobs: Vec<BlobId> = contents.iter().map(|content| content.blob).collect();
        tx.blob_retain_all(&blobs)?;
        let rows: Vec<[Param<'_>; 8]> = contents
            .iter()
            .zip(ids.iter().zip(&threads))
            .map(|(content, (id, thread))| {
                [
                    self.to.account.into(),
                    (*id).into(),
                    content.blob.into(),
                    content.size.into(),
                    content.received.into(),
                    (*thread).into(),
                    content.trace.into(),
                    (&content.summary).into(),
                ]
            })
            .collect();
        tx.insert_rows("INSERT INTO message (account, id, blob, size, received, thread, trace, summary)", &rows, "")?;
        self.made.extend(contents.iter().map(|content| content.old).zip(ids));
        Ok(())
    }

    /// An entry's keywords in the spelling of the account that gets it.
    fn keywords(&self, entry: &Before) -> Keywords {
        if !self.keep.keywords || entry.keywords.is_empty() {
            return Keywords::default();
        }
        let own: HashSet<String> = entry.keywords.iter().map(str::to_ascii_lowercase).collect();
        self.spelled.all.iter().filter(|keyword| own.contains(&keyword.folded())).cloned().collect()
    }
}

/// The conversations of contents that come one after the other, by the rule of `deliver`: the oldest that shares a key. Two
/// statements.
fn join(tx: &mut WriteTx, account: AccountId, contents: &[Content], ids: &[MessageId]) -> Result<Vec<i64>> {
    // A summary that cannot be read has no keys: the message is a conversation of its own.
    let keys = |content: &Content| -> Vec<i64> {
        let keys = Summary::decode(&content.summary).map(|summary| summary.thread_keys()).unwrap_or_default();
        keys.into_iter().take(MAX_THREAD_KEYS).map(u64::cast_signed).collect()
    };
    let keys: Vec<Vec<i64>> = contents.iter().map(keys).collect();
    let all: HashSet<i64> = keys.iter().flatten().copied().collect();
    let all: Vec<i64> = all.into_iter().collect();
    let text = "SELECT key, thread FROM thread_key WHERE account = $1 AND key {in:$2}";
    let mut threads: HashMap<i64, i64> = HashMap::new();
    if !all.is_empty() {
        threads.extend(tx.rows(text, params![account, &all], |row| Ok((row.int(0)?, row.int(1)?)))?);
    }
    let (mut new, mut joined): (Vec<[Param<'_>; 3]>, Vec<i64>) = (Vec::new(), Vec::new());
    for (keys, id) in keys.into_iter().zip(ids) {
        let thread = keys.iter().filter_map(|key| threads.get(key)).min().copied().unwrap_or(id.0);
        for key in keys {
            if let std::collections::hash_map::Entry::Vacant(vacant) = threads.entry(key) {
                vacant.insert(thread);
                new.push([account.into(), key.into(), thread.into()]);
            }
        }
        joined.push(thread);
    }
    tx.insert_rows("INSERT INTO thread_key (account, key, thread)", &new, "ON CONFLICT (account, key) DO NOTHING")?;
    Ok(joined)
}

/// Entries whose summaries are in memory together.
pub const STRETCH: usize = 250;
