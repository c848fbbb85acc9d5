//! Entries are copied and moved from one account to another: the same bytes, another content.
//!
//! What an account holds is its own: the copy is a content of the account that gets it, counted against its quota, in
//! its conversations, with a summary of its own and one more reference to the blob. Both accounts' journals have a row, with
//! the same author.
//!
//! What it never does: look at rights; who may is the protocol's to know, and which flags go along comes in as [`Keep`].

use std::collections::{HashMap, HashSet};

use postroad_message::Summary;
use postroad_store::{AccountId, BlobId, ModSeq, ReadTx, Timestamp, TraceId, WriteTx, new_id, params};

use crate::copy::{Copied, Target, admit};
use crate::expunge::{self, After};
use crate::journal::{self, Note, Operation};
use crate::keywords::{self, Spelled};
use crate::rows::{self, Content, Placed, Quota, Under};
use crate::selected::{self, Before, Place, Tally};
use crate::{Bound, By, Error, Flags, Keyword, Keywords, MailboxId, MessageId, Result, ThreadId, UidSet, accounts};

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

/// Copies entries into a mailbox of another account. Eleven statements, and six for each [`STRETCH`] of entries. Locks: both
/// accounts', taken in one order whichever way the entries go; so are the rows that count references to contents, which other
/// accounts may share.
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
    let blobs = contents_of(tx, from, &source)?;
    tx.blob_retain_all(&blobs)?;
    let mut work = Transfer { by, from, to, keep, modseq, spelled, made: HashMap::new(), next: target.uidnext };
    let mut tally = Tally::default();
    for stretch in entries.chunks(STRETCH) {
        let placed = work.stretch(tx, stretch)?;
        tally = tally + placed;
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
    let counted = tx.one(&text, &params, |row| Ok((row.int(0)?, row.int(1)?)))?;
    match rows::claim(tx, to.account, None, counted, Quota::Kept)? {
        Some(modseq) => Ok(modseq),
        None if accounts::existing(tx, to.account)?.state == accounts::State::Suspended => Err(Error::Suspended),
        None => Err(Error::OverQuota),
    }
}

/// The contents' blobs, one for each content. One statement.
fn contents_of(tx: &ReadTx, from: End, uids: &UidSet) -> Result<Vec<BlobId>> {
    let place = Place::of(uids);
    let text = format!(
        "SELECT m.blob FROM (SELECT DISTINCT e.message FROM entry AS e WHERE e.account = $1 AND e.mailbox = $2 AND {}) AS gone
         JOIN message AS m ON m.account = $1 AND m.id = gone.message",
        place.clause("e.uid", 3)
    );
    let params = place.params(vec![from.account.into(), from.mailbox.into()]);
    Ok(tx.rows(&text, &params, |row| row.id(0))?)
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

/// A content that is to be made again.
struct Original {
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
        let mut tally = Tally::default();
        let mut made: Vec<(MessageId, Keywords)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let message = messages.get(&entry.uid).and_then(|old| self.made.get(old)).copied();
            let message = message.ok_or_else(|| Error::Corrupt(format!("entry {} without content", entry.uid)))?;
            made.push((message, self.keywords(entry)));
        }
        let mut rows = Vec::with_capacity(entries.len());
        for (entry, (message, keywords)) in entries.iter().zip(&made) {
            let flags = entry.flags.without(Flags::ALL.without(self.keep.flags));
            tally = tally + Tally::one(flags, entry.size);
            rows.push(Placed { uid: self.next, message: *message, flags, keywords, size: entry.size });
            self.next += 1;
        }
        let under =
            Under { account: self.to.account, mailbox: self.to.mailbox, modseq: self.modseq, saved: self.by.now };
        rows::insert_entries(tx, under, &rows)?;
        Ok(tally)
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

    fn contents(&self, tx: &ReadTx, messages: &[MessageId]) -> Result<Vec<Original>> {
        let ids: Vec<i64> = messages.iter().map(|message| message.0).collect();
        let rows = tx.rows(
            "SELECT id, blob, size, received, trace, summary FROM message
             WHERE account = $1 AND id {in:$2} ORDER BY id",
            params![self.from.account, &ids],
            |row| {
                Ok(Original {
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
    fn make(&mut self, tx: &mut WriteTx, contents: &[Original]) -> Result<()> {
        if contents.is_empty() {
            return Ok(());
        }
        let ids: Vec<MessageId> = contents.iter().map(|_| MessageId(new_id())).collect();
        let keys: Vec<Vec<i64>> = contents.iter().map(Original::keys).collect();
        let threads = rows::join_threads(tx, self.to.account, &keys, &ids)?;
        let places = ids.iter().zip(&threads);
        let rows: Vec<_> = contents.iter().zip(places).map(|(old, (id, thread))| old.again(*id, *thread)).collect();
        rows::insert_contents(tx, self.to.account, &rows)?;
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

impl Original {
    /// A summary that cannot be read has no keys: the message is a conversation of its own.
    fn keys(&self) -> Vec<i64> {
        let keys = Summary::decode(&self.summary).map(|summary| summary.thread_keys());
        rows::stored_keys(&keys.unwrap_or_default())
    }

    fn again(&self, id: MessageId, thread: ThreadId) -> Content<'_> {
        Content {
            id,
            blob: self.blob,
            size: self.size,
            received: self.received,
            thread,
            trace: self.trace,
            summary: &self.summary,
        }
    }
}

/// Entries whose summaries are in memory together.
pub const STRETCH: usize = 250;
