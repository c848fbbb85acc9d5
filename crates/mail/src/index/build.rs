//! Building the index: [`gather`] makes signatures in a read transaction, [`file`] writes them, [`pack`] makes a segment of
//! those that lie alone, [`clear`] takes away what another version left. Each is one short job: mail waits for none.

use std::collections::HashSet;
use std::ops::Range;

use postroad_message::SummaryView;
use postroad_search::slices::{self, DOCUMENTS};
use postroad_search::walk::address_text;
use postroad_search::{Field, Signature, VERSION, Walk};
use postroad_store::{AccountId, BlobId, Param, ReadTx, WriteTx, new_id, params};

use super::{read_ids, write_ids};
use crate::{Result, sql};

/// Messages that one [`gather`] reads.
const MESSAGES_PER_JOB: usize = 256;
/// Messages of which one [`gather`] looks whether they have a signature.
const LOOKED_AT_PER_JOB: usize = 8_192;
/// Octets that one [`gather`] reads, a message at least.
const OCTETS_PER_JOB: u64 = 2 * 1024 * 1024;
/// Octets of text of one message that are indexed; a message with more may have everything.
const TEXT_MAX: u64 = 16 * 1024 * 1024;
/// Texts of a message across the border of two pieces: longer than any letter group.
const KEEP: usize = 64;
/// Messages up to this size lie in the database as a rule and are read whole.
const SMALL: u64 = postroad_store::BLOB_INLINE_MAX as u64;
/// A message may become visible so much later than its id says (in microseconds, as ids count them): clocks of nodes differ.
const LATE: i64 = 60_000_000 << 10;
/// The same on SQLite, where ids are given while nobody else writes: only a clock that was set back.
const LATE_ON_SQLITE: i64 = 2_000_000 << 10;

/// Signatures of messages that have none yet.
#[derive(Debug)]
pub struct Gathered {
    /// Whose.
    pub account: AccountId,
    /// By id, rising.
    pub documents: Vec<(i64, Signature)>,
    /// All before are signed.
    upto: i64,
    /// The account as it was.
    modseq: i64,
    /// There are more messages: go on with [`gather`] from here.
    pub more: bool,
    /// Another version left something: [`clear`] first.
    pub stale: bool,
}

/// Accounts that changed since the index looked at them.
pub fn due(tx: &ReadTx, limit: usize) -> Result<Vec<AccountId>> {
    Ok(tx.rows(
        "SELECT a.id FROM account AS a LEFT JOIN search_state AS s ON s.account = a.id
         WHERE a.state <> 'deleted' AND (s.account IS NULL OR s.modseq < a.modseq OR s.version <> $1)
         ORDER BY a.id LIMIT $2",
        params![VERSION, sql::limit(limit)],
        |row| row.id(0),
    )?)
}

/// Makes signatures of the next messages without one, behind `behind` (what an earlier call gathered and nobody filed yet).
pub fn gather(tx: &ReadTx, account: AccountId, behind: Option<&Gathered>) -> Result<Gathered> {
    let state = tx.row("SELECT version, upto FROM search_state WHERE account = $1", params![account], |row| {
        Ok((row.int(0)?, row.int(1)?))
    })?;
    let modseq = tx.row("SELECT modseq FROM account WHERE id = $1", params![account], |row| row.int(0))?.unwrap_or(0);
    let (version, upto) = state.unwrap_or((VERSION, 0));
    let mut gathered = Gathered { account, documents: Vec::new(), upto, modseq, more: false, stale: false };
    if version != VERSION {
        gathered.stale = true;
        return Ok(gathered);
    }
    let from = behind.map_or(upto, |behind| behind.upto);
    let unknown = unknown(tx, account, from, &mut gathered)?;
    let rows = tx.rows(
        "SELECT m.id, m.blob, m.size, m.summary FROM message AS m WHERE m.account = $1 AND m.id {in:$2} ORDER BY m.id",
        params![account, &unknown],
        |row| Ok((row.int(0)?, row.id(1)?, sql::unsigned(row, 2)?, row.bytes(3)?)),
    )?;
    let mut octets = 0;
    let count = rows.len();
    for (at, (id, blob, size, summary)) in rows.into_iter().enumerate() {
        let (signature, unpacked) = sign(tx, blob, size, &summary);
        gathered.documents.push((id, signature));
        octets += size.min(TEXT_MAX) + unpacked;
        if octets >= OCTETS_PER_JOB && at + 1 < count {
            gathered.upto = id;
            gathered.more = true;
            break;
        }
    }
    Ok(gathered)
}

/// The next messages behind `from` without a signature, by id; how far this looked, and whether there is more, is noted in
/// `gathered`. Most of those looked at have one, as those that may come late are looked for again and again: of them no row is
/// read.
fn unknown(tx: &ReadTx, account: AccountId, from: i64, gathered: &mut Gathered) -> Result<Vec<i64>> {
    let mut ids = tx.rows(
        "SELECT m.id FROM message AS m WHERE m.account = $1 AND m.id > $2
         AND m.id NOT IN (SELECT r.message FROM search_recent AS r WHERE r.account = $1 AND r.message > $2)
         ORDER BY m.id LIMIT $3",
        params![account, from, sql::limit(LOOKED_AT_PER_JOB)],
        |row| row.int(0),
    )?;
    gathered.more = ids.len() == LOOKED_AT_PER_JOB;
    gathered.upto = ids.last().copied().unwrap_or(from);
    if !ids.is_empty() {
        let known = known(tx, account, from)?;
        ids.retain(|id| !known.contains(id));
    }
    if ids.len() > MESSAGES_PER_JOB {
        ids.truncate(MESSAGES_PER_JOB);
        gathered.upto = ids[MESSAGES_PER_JOB - 1];
        gathered.more = true;
    }
    Ok(ids)
}

/// Messages behind `from` that are in segments.
fn known(tx: &ReadTx, account: AccountId, from: i64) -> Result<HashSet<i64>> {
    let lists = tx.rows(
        "SELECT messages FROM search_segment WHERE account = $1 AND version = $2 AND last > $3",
        params![account, VERSION, from],
        |row| row.bytes(0),
    )?;
    Ok(lists.iter().flat_map(|list| read_ids(list)).filter(|id| *id > from).collect())
}

impl Gathered {
    /// These and the next ones.
    pub fn and(&mut self, next: Gathered) {
        self.documents.extend(next.documents);
        self.upto = next.upto;
        self.modseq = next.modseq;
        self.more = next.more;
        self.stale |= next.stale;
    }

    /// As many as a segment has.
    pub fn is_full(&self) -> bool {
        self.documents.len() >= DOCUMENTS
    }
}

/// The signature of a message, and the octets that were unpacked for it beside its own. What cannot be read may have
/// everything: then its text decides, or the error is seen there.
fn sign(tx: &ReadTx, blob: BlobId, size: u64, summary: &[u8]) -> (Signature, u64) {
    let mut signature = Signature::new();
    let Ok(view) = SummaryView::new(summary) else { return (Signature::full(), 0) };
    let (Ok(root), Ok(envelope)) = (view.structure(), view.envelope()) else { return (Signature::full(), 0) };
    // What SEARCH decides by the summary, where it is put together in other ways than in the header.
    let lists = [
        (Field::From, &envelope.from),
        (Field::To, &envelope.to),
        (Field::Cc, &envelope.cc),
        (Field::Bcc, &envelope.bcc),
    ];
    for (field, list) in lists {
        list.iter().for_each(|one| signature.add_field(field, &address_text(one)));
    }
    signature.add_field(Field::Subject, &envelope.subject_text());
    let mut walk = Walk::new(&root, true, true, KEEP);
    let mut whole = None;
    let mut octets = 0;
    while let Some(range) = walk.wants() {
        octets += range.end - range.start;
        if octets > TEXT_MAX {
            return (Signature::full(), walk.unpacked());
        }
        let Ok(piece) = piece(tx, blob, size, range, &mut whole) else { return (Signature::full(), walk.unpacked()) };
        walk.take(&piece, &mut |_, text| signature.add(text));
    }
    (signature, walk.unpacked())
}

/// Octets of a message; one that is small is read once.
fn piece(
    tx: &ReadTx,
    blob: BlobId,
    size: u64,
    range: Range<u64>,
    whole: &mut Option<Vec<u8>>,
) -> postroad_store::Result<Vec<u8>> {
    if size > SMALL {
        return tx.blob_read(blob, range);
    }
    let bytes = match whole {
        Some(bytes) => bytes,
        None => whole.insert(tx.blob_read(blob, 0..size)?),
    };
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    Ok(bytes[at(range.start)..at(range.end)].to_vec())
}

/// Those of which no segment was made since they were gathered: several nodes look for what is to be done. One statement.
fn not_in_segments<'a>(
    tx: &ReadTx,
    account: AccountId,
    documents: &'a [(i64, Signature)],
) -> Result<Vec<&'a (i64, Signature)>> {
    let Some(first) = documents.iter().map(|(id, _)| *id).min() else { return Ok(Vec::new()) };
    let known = known(tx, account, first.saturating_sub(1))?;
    Ok(documents.iter().filter(|(id, _)| !known.contains(id)).collect())
}

/// Writes what was gathered. Locks: [`super::LOCK`]. Four statements, two thousand rows when it makes a segment.
pub fn file(tx: &mut WriteTx, gathered: &Gathered) -> Result<()> {
    let account = gathered.account;
    let documents = not_in_segments(tx, account, &gathered.documents)?;
    let (full, rest) = documents.split_at(if documents.len() >= DOCUMENTS { DOCUMENTS } else { 0 });
    if !full.is_empty() {
        segment(tx, account, full)?;
    }
    let bytes: Vec<(i64, Vec<u8>)> = rest.iter().map(|(id, signature)| (*id, signature.to_bytes())).collect();
    let rows: Vec<[Param<'_>; 4]> = bytes
        .iter()
        .map(|(id, bytes)| [Param::from(account), Param::from(*id), Param::from(VERSION), Param::from(bytes)])
        .collect();
    tx.insert_rows(
        "INSERT INTO search_recent (account, message, version, signature)",
        &rows,
        "ON CONFLICT (account, message) DO NOTHING",
    )?;
    // While there is more, the account stays due; at the end those that may come late are looked for again.
    let late = if tx.is_postgres() { LATE } else { LATE_ON_SQLITE };
    let (upto, modseq) =
        if gathered.more { (gathered.upto, -1) } else { (gathered.upto.saturating_sub(late).max(0), gathered.modseq) };
    tx.execute(
        "INSERT INTO search_state (account, version, upto, modseq) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account) DO UPDATE SET upto = excluded.upto, modseq = excluded.modseq",
        params![account, VERSION, upto, modseq],
    )?;
    Ok(())
}

/// Signatures that lie alone and are enough for a segment.
#[derive(Debug)]
pub struct Packed {
    account: AccountId,
    documents: Vec<(i64, Signature)>,
    gone: Vec<i64>,
}

/// The signatures for the next segment; `None`: there are not enough.
pub fn pack(tx: &ReadTx, account: AccountId) -> Result<Option<Packed>> {
    let count =
        tx.one("SELECT CAST(count(*) AS BIGINT) FROM search_recent WHERE account = $1", params![account], |row| {
            row.int(0)
        })?;
    if count < DOCUMENTS as i64 {
        return Ok(None);
    }
    let rows = tx.rows(
        "SELECT r.message, r.signature, EXISTS (SELECT 1 FROM message AS m WHERE m.account = $1 AND m.id = r.message)
         FROM search_recent AS r WHERE r.account = $1 AND r.version = $2 ORDER BY r.message LIMIT $3",
        params![account, VERSION, DOCUMENTS as i64],
        |row| Ok((row.int(0)?, row.bytes(1)?, row.bool(2)?)),
    )?;
    let mut packed = Packed { account, documents: Vec::new(), gone: Vec::new() };
    for (id, bytes, exists) in rows {
        match (exists, Signature::from_bytes(&bytes)) {
            (true, Some(signature)) => packed.documents.push((id, signature)),
            (true | false, _) => packed.gone.push(id),
        }
    }
    Ok(Some(packed))
}

/// Makes the segment. Locks: [`super::LOCK`].
pub fn file_packed(tx: &mut WriteTx, packed: &Packed) -> Result<()> {
    segment(tx, packed.account, &not_in_segments(tx, packed.account, &packed.documents)?)?;
    // Also those that are in a segment of another node.
    let mut done: Vec<i64> = packed.documents.iter().map(|(id, _)| *id).collect();
    done.extend(&packed.gone);
    super::forget_messages(tx, packed.account, &done)
}

fn segment(tx: &mut WriteTx, account: AccountId, documents: &[&(i64, Signature)]) -> Result<()> {
    if documents.is_empty() {
        return Ok(());
    }
    let id = new_id();
    let ids: Vec<i64> = documents.iter().map(|(id, _)| *id).collect();
    let signatures: Vec<&Signature> = documents.iter().map(|(_, signature)| signature).collect();
    let pages = slices::pages(&signatures);
    let rows: Vec<[Param<'_>; 4]> = (0i64..)
        .zip(&pages)
        .map(|(page, slices)| [Param::from(account), Param::from(page), Param::from(id), Param::from(slices)])
        .collect();
    tx.insert_rows("INSERT INTO search_page (account, page, segment, slices)", &rows, "")?;
    tx.execute(
        "INSERT INTO search_segment (account, segment, version, last, messages) VALUES ($1, $2, $3, $4, $5)",
        params![account, id, VERSION, ids.iter().max().copied().unwrap_or(0), &write_ids(&ids)],
    )?;
    super::forget_messages(tx, account, &ids)
}

/// Takes away a segment, or single signatures, of another version; once nothing is left the account begins anew. Whether
/// there may be more. Locks: [`super::LOCK`].
pub fn clear(tx: &mut WriteTx, account: AccountId) -> Result<bool> {
    let stale = tx.row(
        "SELECT segment FROM search_segment WHERE account = $1 AND version <> $2 LIMIT 1",
        params![account, VERSION],
        |row| row.int(0),
    )?;
    if let Some(segment) = stale {
        super::forget_segment(tx, account, segment)?;
        return Ok(true);
    }
    tx.execute("DELETE FROM search_recent WHERE account = $1 AND version <> $2", params![account, VERSION])?;
    tx.execute(
        "UPDATE search_state SET version = $2, upto = 0, modseq = -1 WHERE account = $1 AND version <> $2",
        params![account, VERSION],
    )?;
    Ok(false)
}
