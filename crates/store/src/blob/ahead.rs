//! Blobs that are read ahead within a look, many with one statement: a database that is asked over a network is asked once
//! for the messages of a listing, not once for each.
//!
//! What is read ahead is verified as always, and given out once; what nobody asked for goes with the look.

use super::{chunk, whole};
use crate::{BlobId, ReadTx, Result, params};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// What a look has read ahead.
#[derive(Default)]
pub(crate) struct Ahead(RefCell<HashMap<i64, Vec<u8>>>);

impl Ahead {
    pub(super) fn take(&self, blob: BlobId) -> Option<Vec<u8>> {
        self.0.borrow_mut().remove(&blob.0)
    }

    /// Another look begins.
    pub(crate) fn forget(&mut self) {
        *self.0.get_mut() = HashMap::new();
    }
}

impl ReadTx {
    /// Reads the first of these blobs (with their sizes) that are about to be read whole, as far as that is cheaper than one
    /// by one: on PostgreSQL, and as many as have at most [`AHEAD_MAX`] octets together. One statement or none. What is wrong with
    /// one of them is said when it is read.
    pub fn blobs_ahead(&self, blobs: impl IntoIterator<Item = (BlobId, u64)>) -> Result<()> {
        if !self.is_postgres() {
            return Ok(());
        }
        let mut room = AHEAD_MAX;
        let wanted: Vec<i64> = blobs
            .into_iter()
            .map_while(|(blob, size)| {
                room = room.checked_sub(size)?;
                Some(blob)
            })
            .filter(|blob| self.blobs().recent.find(*blob).is_none() && !self.ahead().0.borrow().contains_key(&blob.0))
            .map(|blob| blob.0)
            .collect();
        if wanted.len() < 2 {
            return Ok(());
        }
        let mut read = HashMap::with_capacity(wanted.len());
        self.each(
            "SELECT id, size, encoding, hash, data FROM blob WHERE id {in:$1} AND data IS NOT NULL",
            params![&wanted],
            |row| {
                let (Some(hash), Some(data)) = (row.raw_or_null(3)?, row.raw_or_null(4)?) else {
                    return Ok(ControlFlow::Continue(()));
                };
                let encoding = chunk::Encoding::from_column(row.int(2)?);
                let plain = encoding.and_then(|encoding| whole(data, encoding, hash, row.int(1)?.cast_unsigned()));
                if let Ok(plain) = plain {
                    read.insert(row.int(0)?, plain);
                }
                Ok(ControlFlow::Continue(()))
            },
        )?;
        self.ahead().0.borrow_mut().extend(read);
        Ok(())
    }
}

/// Octets that are read ahead with one statement.
const AHEAD_MAX: u64 = 512 * 1024;
