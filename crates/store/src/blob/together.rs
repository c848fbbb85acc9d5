//! Small blobs that are read together: those of one part of a listing.
//!
//! One statement for all of them, in both databases, and few buffers: the work for a blob is that of finding its row and of
//! unpacking it. What is read goes to those that were read lately, so that nothing of it is read twice where a listing stops
//! in the middle of a part.

use super::chunk::Encoding;
use super::{BlobBytes, whole_behind};
use crate::{BlobId, ReadTx, Result, Row, params};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

impl ReadTx {
    /// All bytes of several small blobs (with their sizes), checksums verified, as [`ReadTx::blob_whole`] gives them: of the first
    /// that have at most `room` octets together; nothing for one that is not here, lies elsewhere or is damaged, of which
    /// `blob_whole` says why. One statement, none where all are at hand.
    pub fn blobs_whole(&self, blobs: &[(BlobId, u64)], mut room: u64) -> Result<Vec<Option<BlobBytes>>> {
        let recent = &self.blobs().recent;
        let mut found = recent.find_all(blobs.iter().map(|(blob, _)| *blob));
        let missing = found.iter().zip(blobs).filter(|(found, _)| found.is_none()).map_while(|(_, (blob, size))| {
            room = room.checked_sub(*size)?;
            Some((*blob, *size))
        });
        let missing: Vec<(BlobId, u64)> = missing.collect();
        if missing.len() < 2 {
            return Ok(found);
        }
        let read = self.read_together(&missing)?;
        recent.keep(read.iter().map(|(blob, bytes)| (*blob, bytes)));
        for (place, (blob, _)) in found.iter_mut().zip(blobs).filter(|(place, _)| place.is_none()) {
            let read = read.binary_search_by_key(blob, |(id, _)| *id).ok().and_then(|at| read.get(at));
            *place = read.map(|(_, bytes)| bytes.clone());
        }
        Ok(found)
    }

    /// Those that are here and sound, by their ids.
    fn read_together(&self, blobs: &[(BlobId, u64)]) -> Result<Vec<(BlobId, BlobBytes)>> {
        let mut shelf = Shelf { left: blobs.iter().map(|(_, size)| *size as usize).sum(), ..Shelf::default() };
        let ids: Vec<i64> = blobs.iter().map(|(blob, _)| blob.0).collect();
        // The list is gone through from its beginning, and each row found by its key.
        self.each(
            "SELECT b.id, b.size, b.encoding, b.hash, b.data FROM {ints:$1} AS l CROSS JOIN blob AS b
             WHERE b.id = l.value AND b.data IS NOT NULL",
            params![&ids],
            |row| {
                shelf.take(row)?;
                Ok(ControlFlow::Continue(()))
            },
        )?;
        let mut read = shelf.all();
        read.sort_by_key(|(blob, _)| *blob);
        Ok(read)
    }
}

/// Where blobs are unpacked: behind each other, some [`SHELF`] octets in a buffer.
#[derive(Default)]
struct Shelf {
    full: Vec<(BlobId, BlobBytes)>,
    buffer: Vec<u8>,
    within: Vec<(BlobId, Range<usize>)>,
    /// Octets that are still to come.
    left: usize,
}

impl Shelf {
    fn take(&mut self, row: &Row<'_>) -> Result<()> {
        let (Some(hash), Some(data)) = (row.raw_or_null(3)?, row.raw_or_null(4)?) else { return Ok(()) };
        let size = row.int(1)?.cast_unsigned();
        if size > SMALL {
            return Ok(());
        }
        if self.buffer.len() + size as usize > self.buffer.capacity() {
            self.close();
            self.buffer.reserve_exact(self.left.min(SHELF).max(size as usize));
        }
        self.left = self.left.saturating_sub(size as usize);
        let before = self.buffer.len();
        let encoding = Encoding::from_column(row.int(2)?);
        if encoding.and_then(|encoding| whole_behind(data, encoding, hash, size, &mut self.buffer)).is_ok() {
            self.within.push((row.id(0)?, before..self.buffer.len()));
        }
        Ok(())
    }

    /// What was unpacked lies where it lies, and room that the next one did not fit into is given back.
    fn close(&mut self) {
        self.buffer.shrink_to_fit();
        let buffer = Arc::new(std::mem::take(&mut self.buffer));
        let shared = self.within.drain(..).map(|(blob, range)| (blob, BlobBytes::within(&buffer, range)));
        self.full.extend(shared);
    }

    fn all(mut self) -> Vec<(BlobId, BlobBytes)> {
        self.close();
        self.full
    }
}

/// Octets of one buffer: it goes when the last of the blobs in it does.
const SHELF: usize = 64 * 1024;
/// What claims to be larger is read by itself.
const SMALL: u64 = super::BLOB_INLINE_MAX as u64;
