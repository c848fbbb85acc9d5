//! Looking into a mailbox, in sets.

use std::ops::ControlFlow;

use postroad_store::{AccountId, BlobId, ModSeq, Param, ReadTx, Row, Timestamp, WriteTx, params};

use crate::selected::{LIST_MAX, Place};
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
    /// What the entry's own row has: flags, modseq, size, saved.
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

/// Entries of a mailbox, by uid.
///
/// One statement for a single range; for more ranges, one for each stretch of ranges that could hold
/// `limit` entries.
pub fn entries(tx: &ReadTx, account: AccountId, mailbox: MailboxId, query: &Query<'_>) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut ranges = query.uids.ranges();
    while found.len() < query.limit && !ranges.is_empty() {
        let room = query.limit - found.len();
        let (stretch, rest) = ranges.split_at(stretch(ranges, room.min(LIST_MAX)));
        ranges = rest;
        let place = Place::of(&UidSet::from_ranges(stretch.iter().copied()));
        part(tx, account, mailbox, query, &place, room, &mut found)?;
    }
    Ok(found)
}

/// An entry as it lies in its row: what listings of flags are made of.
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
/// each does not matter. Statements as [`entries`]; false when `each` broke it off.
pub fn glance(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    query: &Query<'_>,
    mut each: impl FnMut(Glance<'_>) -> ControlFlow<()>,
) -> Result<bool> {
    let (mut ranges, mut room, mut broken) = (query.uids.ranges(), query.limit, false);
    while room > 0 && !ranges.is_empty() && !broken {
        let (stretch, rest) = ranges.split_at(stretch(ranges, room.min(LIST_MAX)));
        ranges = rest;
        let place = Place::of(&UidSet::from_ranges(stretch.iter().copied()));
        let params = vec![account.into(), mailbox.into(), Param::from(sql::limit(room))];
        let (since, params, first) = match query.changed_since {
            None => ("", params, 4),
            Some(since) => ("AND modseq > $4", params.into_iter().chain([since.into()]).collect(), 5),
        };
        let text = format!(
            "SELECT uid, flags, keywords, modseq, size FROM entry
             WHERE account = $1 AND mailbox = $2 {since} AND {} ORDER BY uid LIMIT $3",
            place.clause("uid", first)
        );
        tx.each(&text, &place.params(params), |row| {
            room -= 1;
            let flow = each(Glance {
                uid: sql::small(row, 0)?,
                flags: Flags::from_bits(row.int(1)?),
                keywords: row.str(2)?,
                modseq: row.id(3)?,
                size: sql::unsigned(row, 4)?,
            });
            broken = flow.is_break();
            Ok(flow)
        })?;
    }
    Ok(!broken)
}

/// How many of the first ranges to ask for together: as many as hold at most `room` uids, at least one. So
/// the database never sorts more than `room` rows, and a large range is read in the order of its index.
fn stretch(ranges: &[(u32, u32)], room: usize) -> usize {
    let mut uids = 0u64;
    let within = ranges.iter().take_while(|(low, high)| {
        uids += u64::from(high - low) + 1;
        uids <= room as u64
    });
    within.count().max(1)
}

fn part(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    query: &Query<'_>,
    place: &Place,
    room: usize,
    found: &mut Vec<Entry>,
) -> Result<()> {
    let (columns, join) = columns(query.want);
    let params = vec![account.into(), mailbox.into(), Param::from(sql::limit(room))];
    let (since, params, place_sql) = match query.changed_since {
        None => ("", params, place.clause("e.uid", 4)),
        Some(since) => {
            let params = params.into_iter().chain([since.into()]).collect();
            ("AND e.modseq > $4", params, place.clause("e.uid", 5))
        }
    };
    let text = format!(
        "SELECT {columns} FROM entry AS e {join}
         WHERE e.account = $1 AND e.mailbox = $2 {since} AND {place_sql} ORDER BY e.uid LIMIT $3"
    );
    found.extend(tx.rows(&text, &place.params(params), |row| entry(row, query.want))?);
    Ok(())
}

/// The columns that [`entry`] reads, and the join that has them.
fn columns(want: Want) -> (&'static str, &'static str) {
    const JOIN: &str = "JOIN message AS m ON m.account = e.account AND m.id = e.message";
    match want {
        Want::Flags => ("e.uid, e.flags, e.keywords, e.modseq, e.saved, e.message, e.size", ""),
        Want::Facts => {
            ("e.uid, e.flags, e.keywords, e.modseq, e.saved, e.message, e.size, m.received, m.thread, m.blob", JOIN)
        }
        Want::Summary => (
            "e.uid, e.flags, e.keywords, e.modseq, e.saved, e.message, e.size, m.received, m.thread, m.blob, m.summary",
            JOIN,
        ),
    }
}

pub(crate) fn entry(row: &Row<'_>, want: Want) -> postroad_store::Result<Entry> {
    let facts = match want {
        Want::Flags => None,
        Want::Facts | Want::Summary => Some(Facts {
            received: row.id(7)?,
            thread: row.id(8)?,
            blob: row.id(9)?,
            summary: if want == Want::Summary { row.bytes(10)? } else { Vec::new() },
        }),
    };
    Ok(Entry {
        uid: sql::small(row, 0)?,
        flags: Flags::from_bits(row.int(1)?),
        keywords: Keywords::stored(row.text(2)?),
        modseq: row.id(3)?,
        saved: row.id(4)?,
        message: row.id(5)?,
        size: sql::unsigned(row, 6)?,
        facts,
    })
}

/// All uids of a mailbox, rising: the map from sequence numbers. One statement.
pub fn uids(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<Vec<u32>> {
    let uids = tx.rows(
        "SELECT uid FROM entry WHERE account = $1 AND mailbox = $2 ORDER BY uid",
        params![account, mailbox],
        |row| sql::small(row, 0),
    )?;
    Ok(uids)
}

/// The uids of entries that have all of `with` and none of `without` (SEARCH UNSEEN and the like). One
/// statement; of deleted ones no others are read, unseen ones are looked for from the end until all that there are were found.
pub fn uids_by_flags(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    with: Flags,
    without: Flags,
) -> Result<UidSet> {
    let among = if with.contains(Flags::DELETED) {
        "SELECT uid, flags FROM entry {by:entry_deleted} WHERE account = $1 AND mailbox = $2 AND (flags & 8) = 8"
    } else if without.contains(Flags::SEEN) {
        "SELECT uid, flags FROM entry WHERE account = $1 AND mailbox = $2 AND (flags & 1) = 0 ORDER BY uid DESC
         LIMIT (SELECT unseen FROM mailbox WHERE account = $1 AND id = $2)"
    } else {
        "SELECT uid, flags FROM entry WHERE account = $1 AND mailbox = $2"
    };
    let uids = tx.rows(
        &format!("SELECT uid FROM ({among}) AS e WHERE (flags & $3) = $3 AND (flags & $4) = 0"),
        params![account, mailbox, with.bits(), without.bits()],
        |row| sql::small(row, 0),
    )?;
    Ok(UidSet::from_ranges(uids.into_iter().map(|uid| (uid, uid))))
}

/// The last `limit` entries without `\Seen` among those at or behind `from`. One statement, which reads no others.
pub fn unseen_from(tx: &ReadTx, account: AccountId, mailbox: MailboxId, from: u32, limit: u32) -> Result<UidSet> {
    let uids = tx.rows(
        "SELECT uid FROM entry WHERE account = $1 AND mailbox = $2 AND uid >= $3 AND (flags & 1) = 0
         ORDER BY uid DESC LIMIT $4",
        params![account, mailbox, from, limit],
        |row| sql::small(row, 0),
    )?;
    Ok(UidSet::from_ranges(uids.into_iter().map(|uid| (uid, uid))))
}

/// The uid of the first entry without `\Seen` (RFC 3501 §6.3.1 `[UNSEEN]`, with its sequence number), which `counts` is
/// about. No statement when all are seen, otherwise one, which looks from the side where it will be found sooner.
pub fn first_unseen(tx: &ReadTx, account: AccountId, counts: &Mailbox) -> Result<Option<u32>> {
    if counts.unseen == 0 {
        return Ok(None);
    }
    let (order, nth) = match counts.unseen > counts.messages / 2 {
        true => ("", 1),
        // The unseen ones are the latest, as a rule: the first is the last that is met on the way down.
        false => ("DESC", counts.unseen),
    };
    let mut found = None;
    tx.each(
        &format!(
            "SELECT uid FROM entry WHERE account = $1 AND mailbox = $2 AND (flags & 1) = 0 ORDER BY uid {order} LIMIT $3"
        ),
        params![account, counts.id, nth],
        |row| {
            found = Some(sql::small(row, 0)?);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// How many entries lie before `uid`: its sequence number less one. Counts them: prefer the map.
pub fn entries_before(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uid: u32) -> Result<u32> {
    let count = tx.one(
        "SELECT CAST(count(*) AS BIGINT) FROM entry WHERE account = $1 AND mailbox = $2 AND uid < $3",
        params![account, mailbox, uid],
        |row| sql::small(row, 0),
    )?;
    Ok(count)
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
