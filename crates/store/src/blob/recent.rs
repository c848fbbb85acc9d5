//! Small blobs that were read lately, unpacked and verified.
//!
//! A client fetches a message's header, then its parts, and its owner's other devices the same again: each time the same
//! octets would be read, unpacked and hashed. The bytes of a blob never change, so nothing here can be out of date.
//!
//! Invariants:
//! 1. What is kept was verified when it was read.
//! 2. All of it together takes at most [`OCTETS_MAX`] octets. There are two generations: when the younger has its half, it
//!    becomes the older, and what was in that and not asked for since is let go. What was read together lies in one buffer and goes
//!    together: what is asked for again is taken out of it.

use super::BlobBytes;
use crate::BlobId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The shelf.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<i64, BlobBytes>,
    octets: usize,
    old: HashMap<i64, BlobBytes>,
}

impl Recent {
    pub(super) fn find(&self, blob: BlobId) -> Option<BlobBytes> {
        self.all().find(blob)
    }

    /// Those of several that are here, each in its place.
    pub(super) fn find_all(&self, blobs: impl Iterator<Item = BlobId>) -> Vec<Option<BlobBytes>> {
        let mut all = self.all();
        blobs.map(|blob| all.find(blob)).collect()
    }

    /// Keeps the bytes of blobs, except those of large ones.
    pub(super) fn keep<'a>(&self, blobs: impl IntoIterator<Item = (BlobId, &'a BlobBytes)>) {
        let mut all = self.all();
        let small = blobs.into_iter().filter(|(_, bytes)| bytes.len() <= KEPT_MAX);
        small.for_each(|(blob, bytes)| all.put(blob, bytes.clone()));
    }

    fn all(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn find(&mut self, blob: BlobId) -> Option<BlobBytes> {
        if let Some(found) = self.young.get(&blob.0) {
            return Some(found.clone());
        }
        let found = self.old.remove(&blob.0)?.alone();
        self.put(blob, found.clone());
        Some(found)
    }

    fn put(&mut self, blob: BlobId, bytes: BlobBytes) {
        let cost = bytes.len() + COST_EACH;
        if self.octets + cost > OCTETS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.octets = 0;
        }
        if self.young.insert(blob.0, bytes).is_none() {
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
    use std::sync::Arc;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let recent = Recent::default();
        let bytes = BlobBytes::from(vec![7; KEPT_MAX]);
        let half = i64::try_from(OCTETS_MAX / 2 / (KEPT_MAX + COST_EACH)).expect("few");
        for id in 1..=half {
            recent.keep([(BlobId(id), &bytes)]);
            assert!(recent.find(BlobId(1)).is_some());
        }
        recent.keep([(BlobId(half + 1), &bytes)]);
        assert!(recent.find(BlobId(2)).is_some(), "from the older generation to the younger");
        for id in half + 2..=2 * half {
            recent.keep([(BlobId(id), &bytes)]);
        }
        assert!(recent.find(BlobId(2)).is_some() && recent.find(BlobId(3)).is_none());
        let all = recent.0.lock().expect("nobody panicked");
        assert!((all.young.len() + all.old.len()) * KEPT_MAX <= OCTETS_MAX);
        drop(all);
        recent.keep([(BlobId(0), &BlobBytes::from(vec![0; KEPT_MAX + 1]))]);
        assert!(recent.find(BlobId(0)).is_none());
    }
    #[test]
    fn what_is_asked_for_again_leaves_the_buffer_that_it_was_read_into() {
        let recent = Recent::default();
        let buffer = Arc::new(vec![1, 2, 2, 3, 3, 3]);
        let all =
            [BlobBytes::within(&buffer, 0..1), BlobBytes::within(&buffer, 1..3), BlobBytes::within(&buffer, 3..6)];
        recent.keep((1..).map(BlobId).zip(&all));
        assert_eq!(
            recent.find_all([3, 9, 1].into_iter().map(BlobId)),
            [Some(all[2].clone()), None, Some(all[0].clone())]
        );
        drop(all);
        assert_eq!(Arc::strong_count(&buffer), 4);
        let large = BlobBytes::from(vec![0; KEPT_MAX]);
        let mut id = 10;
        while recent.all().old.is_empty() {
            recent.keep([(BlobId(id), &large)]);
            id += 1;
        }
        assert_eq!(recent.find(BlobId(2)).as_deref(), Some(&[2, 2][..]));
        assert_eq!(Arc::strong_count(&buffer), 3, "it has a buffer of its own now");
    }
}
