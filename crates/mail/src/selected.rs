//! The entries an operation is about, read before it changes them: for counters, answers and the journal.

use std::collections::BTreeMap;
use std::ops::{Add, ControlFlow};

use postroad_store::{AccountId, ModSeq, Param, ReadTx, WriteTx, params};

use crate::pages::{self, Having};
use crate::view::Glance;
use crate::{Error, Flags, Keywords, MailboxId, Result, UidSet, What, sql};

/// An entry before the operation.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    pub(crate) uid: u32,
    pub(crate) flags: Flags,
    pub(crate) keywords: Keywords,
    pub(crate) modseq: ModSeq,
    pub(crate) size: i64,
}

/// Most uids that are named one by one in a question.
pub(crate) const LIST_MAX: usize = 20_000;

/// Which uids a statement is about, in a form for which both databases go by the primary key whatever they
/// believe to know of the table: a single range, or a list. (Joining a table of ranges is left to a planner's
/// statistics, and those are wrong right after an import.)
pub(crate) enum Place {
    Range(u32, u32),
    List(Vec<i64>),
}

impl Place {
    /// A set of uids that all exist, or few.
    pub(crate) fn of(uids: &UidSet) -> Place {
        match uids.ranges() {
            [(low, high)] => Place::Range(*low, *high),
            [] | [..] => Place::List(uids.iter().map(i64::from).collect()),
        }
    }

    /// The condition on `column`, whose parameters begin with number `first`.
    pub(crate) fn clause(&self, column: &str, first: usize) -> String {
        match self {
            Place::Range(..) => format!("{column} BETWEEN ${first} AND ${}", first + 1),
            Place::List(_) => format!("{column} {{in:${first}}}"),
        }
    }

    /// The parameters of [`Place::clause`].
    pub(crate) fn params<'a>(&'a self, mut others: Vec<Param<'a>>) -> Vec<Param<'a>> {
        match self {
            Place::Range(low, high) => others.extend([Param::from(*low), Param::from(*high)]),
            Place::List(uids) => others.push(Param::from(uids)),
        }
        others
    }
}

impl From<Glance<'_>> for Before {
    fn from(entry: Glance<'_>) -> Before {
        Before {
            uid: entry.uid,
            flags: entry.flags,
            keywords: Keywords::stored(entry.keywords.to_owned()),
            modseq: entry.modseq,
            size: sql::number(entry.size),
        }
    }
}

impl Before {
    /// The same as of another operation.
    pub(crate) fn glance(&self, modseq: ModSeq) -> Glance<'_> {
        let size = u64::try_from(self.size).unwrap_or(0);
        Glance { uid: self.uid, flags: self.flags, keywords: self.keywords.as_stored(), modseq, size }
    }
}

/// The entries of `uids` that exist, by uid. One statement.
pub(crate) fn entries(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Before>> {
    let mut found = Vec::new();
    pages::each(tx, account, mailbox, uids, Having::All, |entry| {
        found.push(Before::from(entry));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// The entries of `uids` that exist and have `\Deleted`, by uid. Reads no pages without any. One statement.
pub(crate) fn deleted(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Before>> {
    let mut found = Vec::new();
    pages::each(tx, account, mailbox, uids, Having::Deleted, |entry| {
        if entry.flags.contains(Flags::DELETED) {
            found.push(Before::from(entry));
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// The restorable entries of `uids` that were removed, by uid; their modseq is that of the removal. One statement, one more for
/// several ranges that may hold more than [`LIST_MAX`] uids.
pub(crate) fn restorable(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Before>> {
    let (place, filter) = place(tx, account, mailbox, uids)?;
    let text = format!(
        "SELECT uid, flags, keywords, modseq, size FROM expunged
         WHERE account = $1 AND mailbox = $2 AND {} AND restorable = 1 ORDER BY uid",
        place.clause("uid", 3)
    );
    let mut found = Vec::new();
    tx.each(&text, &place.params(vec![Param::from(account), Param::from(mailbox)]), |row| {
        let uid = sql::small(row, 0)?;
        if !filter || uids.contains(uid) {
            found.push(Before {
                uid,
                flags: Flags::from_bits(row.int(1)?),
                keywords: Keywords::stored(row.text(2)?),
                modseq: row.id(3)?,
                size: row.int(4)?,
            });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Where to look for a client's set, and whether the rows found must be filtered by it. Several ranges of
/// which one is open (`1,5,9:*`) are cut to what there is; were it still too much for a list, everything
/// between the first and the last is looked at.
fn place(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<(Place, bool)> {
    let most = LIST_MAX as u64;
    if uids.ranges().len() == 1 || uids.count() <= most {
        return Ok((Place::of(uids), false));
    }
    let top = tx.one(
        "SELECT max(uid) FROM expunged WHERE account = $1 AND mailbox = $2",
        params![account, mailbox],
        |row| row.int_or_null(0),
    )?;
    let top = u32::try_from(top.unwrap_or(0)).unwrap_or(u32::MAX);
    let uids = uids.intersection(&UidSet::range(0, top));
    if uids.count() <= most {
        return Ok((Place::of(&uids), false));
    }
    Ok((Place::Range(uids.first().unwrap_or(1), uids.last().unwrap_or(1)), true))
}

/// What entries add to a mailbox's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) messages: i64,
    pub(crate) unseen: i64,
    pub(crate) deleted: i64,
    pub(crate) size: i64,
}

impl Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally {
            messages: self.messages + other.messages,
            unseen: self.unseen + other.unseen,
            deleted: self.deleted + other.deleted,
            size: self.size + other.size,
        }
    }
}

impl Tally {
    /// An entry with these flags.
    pub(crate) fn one(flags: Flags, size: i64) -> Tally {
        Tally { messages: 1, unseen: unseen(flags), deleted: deleted_count(flags), size }
    }

    pub(crate) fn of(entries: &[Before]) -> Tally {
        entries.iter().fold(Tally::default(), |tally, entry| tally + Tally::one(entry.flags, entry.size))
    }

    pub(crate) fn negative(self) -> Tally {
        Tally { messages: -self.messages, unseen: -self.unseen, deleted: -self.deleted, size: -self.size }
    }
}

/// What an entry with these flags adds to `unseen`.
pub(crate) fn unseen(flags: Flags) -> i64 {
    i64::from(!flags.contains(Flags::SEEN))
}

/// What an entry with these flags adds to `deleted`.
pub(crate) fn deleted_count(flags: Flags) -> i64 {
    i64::from(flags.contains(Flags::DELETED))
}

/// Adds to a mailbox's counters and raises its highest modseq. One statement.
pub(crate) fn count(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    tally: Tally,
) -> Result<()> {
    let touched = tx.execute(
        "UPDATE mailbox SET messages = messages + $3, unseen = unseen + $4, deleted = deleted + $5,
                            size = size + $6, highest_modseq = $7
         WHERE account = $1 AND id = $2",
        params![account, mailbox, tally.messages, tally.unseen, tally.deleted, tally.size, modseq],
    )?;
    if touched == 1 { Ok(()) } else { Err(Error::NotFound(What::Mailbox)) }
}

/// The uids of entries.
pub(crate) fn uids(entries: &[Before]) -> UidSet {
    entries.iter().map(|entry| entry.uid).collect()
}

/// Flags as they were, for the journal: a line `bits keywords… uids` for each combination.
pub(crate) fn flags_before(entries: &[Before]) -> Vec<u8> {
    let mut groups: BTreeMap<(Flags, &Keywords), UidSet> = BTreeMap::new();
    for alike in entries.chunk_by(|a, b| a.flags == b.flags && a.keywords == b.keywords) {
        let uids = groups.entry((alike[0].flags, &alike[0].keywords)).or_default();
        alike.iter().for_each(|entry| uids.insert(entry.uid));
    }
    let lines = groups
        .into_iter()
        .map(|((flags, keywords), uids)| format!("{}\t{}\t{uids}\n", flags.bits(), keywords.as_stored().trim()));
    lines.collect::<String>().into_bytes()
}
