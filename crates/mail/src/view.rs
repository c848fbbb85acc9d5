//! Looking into a mailbox, in sets.

use std::ops::ControlFlow;

use postroad_store::{AccountId, BlobId, ModSeq, ReadTx, Row, Timestamp, WriteTx, params};

use crate::pages::{self, Having};
use crate::selected::{self, Before, LIST_MAX, Place};
use crate::{Error, Flags, Keywords, Mailbox, MailboxId, MessageId, Result, ThreadId, UidSet, What, sql};

/// Which entries, and how much of each.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// These uids; ranges may reach beyond what exists.
    pub uids: &'a UidSet,
    /// How much of each.
    pub want: Want,
    /// Only entries with a higher modseq (FETCH CHANGEDSINCE, RFC 7162 §3.1.4.1). All others of `uids` are looked at too:
    /// [`crate::changes::touched_since`] says which need not be.
    pub changed_since: Option<ModSeq>,
    /// At most this many, the lowest uids first: the caller goes on behind the last uid it got.
    pub limit: usize,
}

/// How much of each entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// What the entry itself has: flags, modseq, size, saved.
    Flags,
    /// And received time, thread and blob of its content: another row.
    Facts,
    /// And the summary's bytes.
    Summary,
}

/// A message's place in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its uid.
    pub uid: u32,
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Keywords,
    /// The operation that last changed it.
    pub modseq: ModSeq,
    /// When it came into this mailbox (RFC 8514 SAVEDATE).
    pub saved: Timestamp,
    /// Its content.
    pub message: MessageId,
    /// The content's size in bytes (RFC822.SIZE).
    pub size: u64,
    /// More of the content, when [`Want::Facts`] or more was asked for.
    pub facts: Option<Facts>,
}

/// What the content's row has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// INTERNALDATE.
    pub received: Timestamp,
    /// The conversation.
    pub thread: ThreadId,
    /// The bytes: `tx.blob_read`.
    pub blob: BlobId,
    /// `Summary::decode` reads it; empty unless [`Want::Summary`] was asked for.
    pub summary: Vec<u8>,
}

/// Entries of a mailbox, by uid. Two statements for each [`LIST_MAX`] entries of the answer.
pub fn entries(tx: &ReadTx, account: AccountId, mailbox: MailboxId, query: &Query<'_>) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut from = 1;
    loop {
        let rest = query.uids.intersection(&UidSet::range(from, u32::MAX));
        let room = (query.limit - found.len()).min(LIST_MAX);
        if room == 0 || rest.is_empty() {
            return Ok(found);
        }
        let mut marks = Vec::new();
        glance(tx, account, mailbox, &Query { uids: &rest, limit: room, ..query.clone() }, |entry| {
            marks.push(Before::from(entry));
            ControlFlow::Continue(())
        })?;
        let last = marks.last().filter(|_| marks.len() == room).and_then(|entry| entry.uid.checked_add(1));
        with_rows(tx, account, mailbox, query.want, marks, &mut found)?;
        match last {
            Some(next) => from = next,
            None => return Ok(found),
        }
    }
}

/// What changes of an entry, and its size: what listings of flags are made of.
#[derive(Debug, Clone, Copy)]
pub struct Glance<'a> {
    /// Its uid.
    pub uid: u32,
    /// System flags.
    pub flags: Flags,
    /// Keywords, with spaces around each; empty without.
    pub keywords: &'a str,
    /// The operation that last changed it.
    pub modseq: ModSeq,
    /// The content's size in bytes.
    pub size: u64,
}

/// Shows entries of a mailbox by uid, until `Break` or the query's limit; no statement can run meanwhile. What the query wants of
/// each does not matter. One statement, which reads a row for each 128 uids; false when `each` broke it off.
pub fn glance(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    query: &Query<'_>,
    mut each: impl FnMut(Glance<'_>) -> ControlFlow<()>,
) -> Result<bool> {
    let (mut room, mut broken) = (query.limit, false);
    if room == 0 || query.uids.is_empty() {
        return Ok(true);
    }
    pages::each(tx, account, mailbox, query.uids, Having::All, |entry| {
        if query.changed_since.is_some_and(|since| entry.modseq <= since) {
            return ControlFlow::Continue(());
        }
        room -= 1;
        broken = each(entry).is_break();
        if broken || room == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(!broken)
}

/// Entries with these marks, by uid, and what their rows have besides. One statement.
pub(crate) fn with_rows(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    want: Want,
    marks: Vec<Before>,
    found: &mut Vec<Entry>,
) -> Result<()> {
    if marks.is_empty() {
        return Ok(());
    }
    let uids = selected::uids(&marks);
    let place = match (uids.first(), uids.last()) {
        // To walk over a few that are not meant is cheaper than to search for each.
        (Some(first), Some(last)) if u64::from(last - first) < 2 * uids.count() => Place::Range(first, last),
        (_, _) => Place::of(&uids),
    };
    let (columns, join) = columns(want);
    let text = format!(
        "SELECT {columns} FROM entry AS e {join} WHERE e.account = $1 AND e.mailbox = $2 AND {} ORDER BY e.uid",
        place.clause("e.uid", 3)
    );
    found.reserve(marks.len());
    let mut marks = marks.into_iter().peekable();
    tx.each(&text, &place.params(vec![account.into(), mailbox.into()]), |row| {
        let uid = sql::small(row, 0)?;
        while marks.next_if(|mark| mark.uid < uid).is_some() {}
        if let Some(mark) = marks.next_if(|mark| mark.uid == uid) {
            found.push(entry(row, want, mark)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(())
}

/// The columns that [`entry`] reads, and the join that has them.
fn columns(want: Want) -> (&'static str, &'static str) {
    const JOIN: &str = "JOIN message AS m ON m.account = e.account AND m.id = e.message";
    match want {
        Want::Flags => ("e.uid, e.saved, e.message", ""),
        Want::Facts => ("e.uid, e.saved, e.message, m.received, m.thread, m.blob", JOIN),
        Want::Summary => ("e.uid, e.saved, e.message, m.received, m.thread, m.blob, m.summary", JOIN),
    }
}

fn entry(row: &Row<'_>, want: Want, mark: Before) -> postroad_store::Result<Entry> {
    let facts = match want {
        Want::Flags => None,
        Want::Facts | Want::Summary => Some(Facts {
            received: row.id(3)?,
            thread: row.id(4)?,
            blob: row.id(5)?,
            summary: if want == Want::Summary { row.bytes(6)? } else { Vec::new() },
        }),
    };
    Ok(Entry {
        uid: mark.uid,
        flags: mark.flags,
        keywords: mark.keywords,
        modseq: mark.modseq,
        saved: row.id(1)?,
        message: row.id(2)?,
        size: u64::try_from(mark.size).unwrap_or(0),
        facts,
    })
}

/// All uids of a mailbox, rising: the map from sequence numbers. One statement.
pub fn uids(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<Vec<u32>> {
    pages::uids(tx, account, mailbox)
}

/// The uids of entries that have all of `with` and none of `without` (SEARCH UNSEEN and the like). One
/// statement; of deleted and of unseen ones no pages without any are read.
pub fn uids_by_flags(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    with: Flags,
    without: Flags,
) -> Result<UidSet> {
    let having = match (with.contains(Flags::DELETED), without.contains(Flags::SEEN)) {
        (true, _) => Having::Deleted,
        (false, true) => Having::Unseen,
        (false, false) => Having::All,
    };
    let mut found = UidSet::new();
    pages::each(tx, account, mailbox, &UidSet::all(), having, |entry| {
        if entry.flags.contains(with) && !entry.flags.intersects(without) {
            found.insert(entry.uid);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// The last `limit` entries without `\Seen` among those at or behind `from`. One statement, which reads no others.
pub fn unseen_from(tx: &ReadTx, account: AccountId, mailbox: MailboxId, from: u32, limit: u32) -> Result<UidSet> {
    let mut found: Vec<u32> = Vec::new();
    let most = limit as usize;
    pages::each_unseen(tx, account, mailbox, ("DESC", from, limit), |uids| {
        found.extend(uids.iter().rev().take(most - found.len()));
        if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(UidSet::from_ranges(found.into_iter().map(|uid| (uid, uid))))
}

/// The uid of the first entry without `\Seen` (RFC 3501 §6.3.1 `[UNSEEN]`, with its sequence number), which `counts` is
/// about. No statement when all are seen, otherwise one, which looks from the side where it will be found sooner.
pub fn first_unseen(tx: &ReadTx, account: AccountId, counts: &Mailbox) -> Result<Option<u32>> {
    if counts.unseen == 0 {
        return Ok(None);
    }
    // The unseen ones are the latest, as a rule: the first is the last that is met on the way down.
    let (order, most) = if counts.unseen > counts.messages / 2 { ("", 1) } else { ("DESC", counts.unseen) };
    let (mut first, mut met) = (None, 0);
    pages::each_unseen(tx, account, counts.id, (order, 1, most), |uids| {
        first = uids.first().copied().or(first);
        met += uids.len();
        if met >= most as usize { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(first)
}

/// How many entries lie before `uid`: its sequence number less one. Counts pages of them: prefer the map.
pub fn entries_before(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uid: u32) -> Result<u32> {
    pages::before(tx, account, mailbox, uid)
}

/// The keywords that the mailbox knows, for the FLAGS response, in the order in which it met them.
pub fn keywords(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<Vec<String>> {
    let names = tx.rows(
        "SELECT name FROM keyword WHERE account = $1 AND mailbox = $2 ORDER BY since, folded",
        params![account, mailbox],
        |row| row.text(0),
    )?;
    Ok(names)
}

/// Makes all entries old: what was recent is this session's (SELECT, not EXAMINE). Answers with the first
/// uid that was recent. No operation of the account, so it raises no modseq. At most two statements; ask
/// only when [`crate::Mailbox::has_recent`].
pub fn claim_recent(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId) -> Result<u32> {
    let (first, next) = tx
        .row(
            "SELECT first_recent, uidnext FROM mailbox WHERE account = $1 AND id = $2",
            params![account, mailbox],
            |row| Ok((sql::small(row, 0)?, sql::small(row, 1)?)),
        )?
        .ok_or(Error::NotFound(What::Mailbox))?;
    if first < next {
        tx.execute(
            "UPDATE mailbox SET first_recent = uidnext WHERE account = $1 AND id = $2",
            params![account, mailbox],
        )?;
    }
    Ok(first)
}
