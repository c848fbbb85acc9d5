//! The bytes of one message, read by ranges; shared with SEARCH.

use std::ops::Range;

use postroad_store::{BlobId, ReadTx};

use crate::error::Error;
use crate::session::Session;

/// A message's bytes; the last piece read is kept.
#[derive(Debug)]
pub(crate) struct Octets {
    blob: BlobId,
    size: u64,
    start: u64,
    piece: Vec<u8>,
}

impl Octets {
    /// Of a message of `size` octets.
    pub(crate) fn new(blob: BlobId, size: u64) -> Octets {
        Octets { blob, size, start: 0, piece: Vec::new() }
    }

    /// The octets in `range`, all of them. Ask for at most [`PIECE`] at once.
    pub(crate) fn read(&mut self, tx: &ReadTx, range: Range<u64>) -> Result<&[u8], Error> {
        let end = self.start + self.piece.len() as u64;
        if range.start < self.start || range.end > end {
            // Small messages lie in the database: one look for all their parts.
            let wide = if self.size <= SMALL { 0..self.size } else { range.clone() };
            self.start = wide.start;
            self.piece = tx.blob_read(self.blob, wide)?;
        }
        let from = usize::try_from(range.start - self.start).unwrap_or(usize::MAX);
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let found = self.piece.get(from..from.saturating_add(length));
        found.ok_or_else(|| Error::bug("a message is shorter than its summary says"))
    }

    /// The next piece of `range`.
    pub(crate) fn next(&mut self, tx: &ReadTx, range: &Range<u64>) -> Result<&[u8], Error> {
        let end = range.end.min(range.start.saturating_add(PIECE));
        self.read(tx, range.start..end)
    }
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
