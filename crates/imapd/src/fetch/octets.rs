//! The bytes of one message, read by ranges; shared with SEARCH.

use std::ops::Range;

use postroad_mail::Entry;
use postroad_store::{BlobBytes, BlobId, ReadTx};

use crate::error::Error;
use crate::session::Session;

/// A message's bytes; the last piece read is kept.
#[derive(Debug)]
pub(crate) struct Octets {
    blob: BlobId,
    size: u64,
    start: u64,
    piece: Piece,
    /// Small ones are kept for whoever asks again.
    asked_again: bool,
}

/// Some of the bytes.
#[derive(Debug)]
enum Piece {
    Own(Vec<u8>),
    Shared(BlobBytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Own(bytes) => bytes,
            Piece::Shared(bytes) => bytes,
        }
    }
}

impl Octets {
    /// Of a message of `size` octets that a client asks for.
    pub(crate) fn new(blob: BlobId, size: u64) -> Octets {
        Octets { blob, size, start: 0, piece: Piece::Own(Vec::new()), asked_again: true }
    }

    /// With all of them, if they are at hand.
    pub(crate) fn at_hand(&mut self, bytes: Option<BlobBytes>) {
        if let Some(bytes) = bytes {
            self.piece = Piece::Shared(bytes);
        }
    }

    /// Of one among many that are looked through.
    pub(crate) fn passing(blob: BlobId, size: u64) -> Octets {
        Octets { asked_again: false, ..Octets::new(blob, size) }
    }

    /// The octets in `range`, all of them. Ask for at most [`PIECE`] at once.
    pub(crate) fn read(&mut self, tx: &ReadTx, range: Range<u64>) -> Result<&[u8], Error> {
        let end = self.start + self.piece.bytes().len() as u64;
        if range.start < self.start || range.end > end {
            // Small messages lie in the database: one look for all their parts.
            let wide = if self.size <= SMALL { 0..self.size } else { range.clone() };
            self.start = wide.start;
            self.piece = match self.size <= SMALL && self.asked_again {
                true => Piece::Shared(tx.blob_whole(self.blob)?),
                false => Piece::Own(tx.blob_read(self.blob, wide)?),
            };
        }
        let from = usize::try_from(range.start - self.start).unwrap_or(usize::MAX);
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let found = self.piece.bytes().get(from..from.saturating_add(length));
        found.ok_or_else(|| Error::bug("a message is shorter than its summary says"))
    }

    /// The next piece of `range`.
    pub(crate) fn next(&mut self, tx: &ReadTx, range: &Range<u64>) -> Result<&[u8], Error> {
        let end = range.end.min(range.start.saturating_add(PIECE));
        self.read(tx, range.start..end)
    }
}

/// The bytes of the small ones among messages that are about to be told, in this order, as many as `room` octets: each in its
/// place, nothing for what is not at hand.
pub(crate) fn together(tx: &ReadTx, entries: &[Entry], room: u64) -> Result<Vec<Option<BlobBytes>>, Error> {
    let blob =
        |entry: &Entry| entry.facts.as_ref().filter(|_| entry.size <= SMALL).map(|facts| (facts.blob, entry.size));
    let small: Vec<(BlobId, u64)> = entries.iter().filter_map(blob).collect();
    let mut found = tx.blobs_whole(&small, room)?.into_iter();
    Ok(entries.iter().map(|entry| blob(entry).and_then(|_| found.next().flatten())).collect())
}

/// Messages are about to be looked through, in this order: where that spares journeys to the database, the first of them are read now.
pub(crate) fn ahead<'a>(tx: &ReadTx, entries: impl Iterator<Item = &'a Entry>) -> Result<(), Error> {
    let small = entries.filter(|entry| entry.size <= SMALL);
    Ok(tx.blobs_ahead(small.filter_map(|entry| Some((entry.facts.as_ref()?.blob, entry.size))))?)
}

/// Octets read at once.
pub(crate) const PIECE: u64 = 256 * 1024;

/// Messages up to this size, which lie in the database as a rule, are read whole.
const SMALL: u64 = postroad_store::BLOB_INLINE_MAX as u64;

/// What a job may still read from blobs, in octets.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    /// The budget of one job: whether what it reads is told or only looked at.
    pub(crate) fn new() -> Budget {
        Budget(READ_PER_JOB)
    }

    pub(crate) fn spend(&mut self, octets: u64) {
        self.0 = self.0.saturating_sub(octets);
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// Whether the job under way should stop.
pub(crate) fn exhausted(session: &Session, budget: &Budget) -> bool {
    budget.is_spent() || session.over_budget()
}

/// Octets that one job reads from blobs.
const READ_PER_JOB: u64 = 1024 * 1024;
