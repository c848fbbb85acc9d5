//! Small blobs that were read lately, unpacked and verified.
//!
//! A client fetches a message's header, then its parts, and its owner's other devices the same again: each time the same
//! octets would be read, unpacked and hashed. The bytes of a blob never change, so nothing here can be out of date.
//!
//! Invariants:
//! 1. What is kept was verified against its hash when it was read.
//! 2. All of it together takes at most [`OCTETS_MAX`] octets. There are two generations: when the younger has its half, it
//!    becomes the older, and what was in that and not asked for since is let go.

use crate::BlobId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The shelf.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<i64, Arc<Vec<u8>>>,
    octets: usize,
    old: HashMap<i64, Arc<Vec<u8>>>,
}

impl Recent {
    pub(super) fn find(&self, blob: BlobId) -> Option<Arc<Vec<u8>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.young.get(&blob.0) {
            return Some(Arc::clone(found));
        }
        let found = all.old.remove(&blob.0)?;
        all.put(blob, &found);
        Some(found)
    }

    /// Keeps the bytes of a blob, unless there are many.
    pub(super) fn keep(&self, blob: BlobId, bytes: &Arc<Vec<u8>>) {
        if bytes.len() <= KEPT_MAX {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).put(blob, bytes);
        }
    }
}

impl Generations {
    fn put(&mut self, blob: BlobId, bytes: &Arc<Vec<u8>>) {
        let cost = bytes.capacity() + COST_EACH;
        if self.octets + cost > OCTETS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.octets = 0;
        }
        if self.young.insert(blob.0, Arc::clone(bytes)).is_none() {
            self.octets += cost;
        }
    }
}

/// Octets of all that is kept.
const OCTETS_MAX: usize = 64 << 20;
/// What one costs besides its octets.
const COST_EACH: usize = 96;
/// A larger blob is not kept.
const KEPT_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let recent = Recent::default();
        let bytes = Arc::new(vec![7; KEPT_MAX]);
        let half = i64::try_from(OCTETS_MAX / 2 / (KEPT_MAX + COST_EACH)).expect("few");
        for id in 1..=half {
            recent.keep(BlobId(id), &bytes);
            assert!(recent.find(BlobId(1)).is_some());
        }
        recent.keep(BlobId(half + 1), &bytes);
        assert!(recent.find(BlobId(2)).is_some(), "from the older generation to the younger");
        for id in half + 2..=2 * half {
            recent.keep(BlobId(id), &bytes);
        }
        assert!(recent.find(BlobId(2)).is_some() && recent.find(BlobId(3)).is_none());
        let all = recent.0.lock().expect("nobody panicked");
        assert!((all.young.len() + all.old.len()) * KEPT_MAX <= OCTETS_MAX);
        drop(all);
        recent.keep(BlobId(0), &Arc::new(vec![0; KEPT_MAX + 1]));
        assert!(recent.find(BlobId(0)).is_none());
    }
}
