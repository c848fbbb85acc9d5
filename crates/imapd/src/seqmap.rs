//! The map between message sequence numbers and UIDs, as one client knows it.
//!
//! What it is: a sorted list of runs of consecutive UIDs. A mailbox of a million messages that lost a
//! thousand is a thousand runs. A map never changes in place once it is shared: a view holds it in an
//! `Arc` and replaces it, so that a failed job goes back to the one from before for nothing.
//! What it never does: look at the database.
//! Standards: RFC 9051 §2.3.1.2 (sequence numbers), RFC 3501 §2.3.1.2.

use postroad_imap::NumberSet;
use postroad_mail::UidSet;

/// A run of consecutive UIDs that are also consecutive sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// The first UID.
    first: u32,
    /// How many UIDs; never 0.
    count: u32,
    /// How many messages come before this run.
    before: u32,
}

impl Run {
    fn last(&self) -> u32 {
        self.first + (self.count - 1)
    }
}

/// Sequence numbers 1..=n and the UID of each, strictly rising.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SeqMap {
    runs: Vec<Run>,
}

impl SeqMap {
    /// No messages.
    pub(crate) const EMPTY: SeqMap = SeqMap { runs: Vec::new() };

    /// The map of a mailbox with these UIDs.
    pub(crate) fn from_set(uids: &UidSet) -> SeqMap {
        let mut before = 0;
        let runs = uids.ranges().iter().map(|&(first, last)| {
            let run = Run { first, count: last - first + 1, before };
            before += run.count;
            run
        });
        SeqMap { runs: runs.collect() }
    }

    /// How many messages the client knows.
    pub(crate) fn len(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.before + run.count)
    }

    /// The highest UID, 0 when empty.
    pub(crate) fn last_uid(&self) -> u32 {
        self.runs.last().map_or(0, Run::last)
    }

    /// The sequence number of a UID.
    pub(crate) fn seq(&self, uid: u32) -> Option<u32> {
        let at = self.runs.partition_point(|run| run.first <= uid).checked_sub(1)?;
        let run = self.runs[at];
        let offset = uid - run.first;
        (offset < run.count).then(|| run.before + offset + 1)
    }

    /// The UIDs of a set of sequence numbers; numbers beyond the last mean nothing.
    pub(crate) fn uids_of(&self, seqs: &NumberSet) -> UidSet {
        let mut ranges = Vec::new();
        for range in seqs.ranges() {
            let (low, high) = (*range.start(), (*range.end()).min(self.len()));
            let start = self.runs.partition_point(|run| run.before + run.count < low);
            let parts = self.runs[start..].iter().take_while(|run| run.before < high);
            ranges.extend(parts.map(|run| {
                let from = run.first + low.saturating_sub(run.before + 1);
                let to = run.first + ((high - run.before).min(run.count) - 1);
                (from, to)
            }));
        }
        UidSet::from_ranges(ranges)
    }

    /// The UIDs of a set that are in this map. Costs what the set is large, not what the mailbox is.
    pub(crate) fn within(&self, uids: &UidSet) -> UidSet {
        let mut ranges = Vec::new();
        for &(low, high) in uids.ranges() {
            let start = self.runs.partition_point(|run| run.last() < low);
            let runs = self.runs[start..].iter().take_while(|run| run.first <= high);
            ranges.extend(runs.map(|run| (run.first.max(low), run.last().min(high))));
        }
        UidSet::from_ranges(ranges)
    }

    /// All UIDs.
    pub(crate) fn uids(&self) -> UidSet {
        UidSet::from_ranges(self.runs.iter().map(|run| (run.first, run.last())))
    }

    /// The map without these UIDs, and the sequence numbers they had in this map, rising.
    pub(crate) fn without(&self, gone: &UidSet) -> (SeqMap, Vec<u32>) {
        let uids = self.uids();
        let seqs = self.within(gone).iter().filter_map(|uid| self.seq(uid)).collect();
        (SeqMap::from_set(&uids.difference(gone)), seqs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_answers_both_ways() {
        let uids = [1, 2, 3, 7, 9, 10, 4_294_967_295];
        let map = SeqMap::from_set(&uids.into_iter().collect());
        assert_eq!(map.len(), 7);
        assert_eq!(map.last_uid(), u32::MAX);
        for (at, uid) in uids.into_iter().enumerate() {
            let seq = at as u32 + 1;
            assert_eq!(map.uids_of(&NumberSet::from_sorted([seq])), UidSet::single(uid));
            assert_eq!(map.seq(uid), Some(seq));
        }
        assert_eq!((map.seq(0), map.seq(8)), (None, None));
        assert_eq!(map.uids().iter().collect::<Vec<_>>(), uids);
        let seqs = NumberSet::from_ranges([2..=4, 6..=9]);
        assert_eq!(map.uids_of(&seqs).iter().collect::<Vec<_>>(), [2, 3, 7, 10, u32::MAX]);
        assert!(map.uids_of(&NumberSet::from_ranges([8..=9])).is_empty());
    }

    #[test]
    fn removal_agrees_with_a_plain_list() {
        // A small generator of numbers, so that the cases are the same in every run.
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for _ in 0..500 {
            let uids: Vec<u32> = (1..60).filter(|_| next() % 3 != 0).collect();
            let gone: Vec<u32> = (1..60).filter(|_| next() % 4 == 0).collect();
            let map = SeqMap::from_set(&uids.iter().copied().collect());
            let (kept, seqs) = map.without(&gone.iter().copied().collect());
            let named = UidSet::from_ranges([(next() as u32 % 70, next() as u32 % 70), (40, 41)]);
            let within: Vec<u32> = uids.iter().copied().filter(|uid| named.contains(*uid)).collect();
            assert_eq!(map.within(&named).iter().collect::<Vec<_>>(), within, "{named} in {uids:?}");
            let plain: Vec<u32> = uids.iter().copied().filter(|uid| !gone.contains(uid)).collect();
            let plain_seqs: Vec<u32> =
                (1u32..).zip(&uids).filter(|(_, uid)| gone.contains(uid)).map(|(seq, _)| seq).collect();
            assert_eq!(kept.uids().iter().collect::<Vec<_>>(), plain);
            assert!((1..).zip(&plain).all(|(seq, uid)| kept.seq(*uid) == Some(seq)));
            assert_eq!(seqs, plain_seqs);
        }
    }
}
