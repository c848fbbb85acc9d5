//! Sets of message numbers, which no one ever expands.

use std::fmt;
use std::ops::RangeInclusive;

/// What a number in a command stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// A message sequence number.
    Sequence,
    /// A unique identifier: the command began with `UID`.
    Uid,
}

/// Which messages a command means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageSet {
    /// Numbers.
    Set(SequenceSet),
    /// `$`: what the last SEARCH saved (RFC 5182).
    Saved,
}

/// Numbers as a client writes them, `*` still open: ranges in the order given. `None` is `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(pub(crate) Vec<(Option<u32>, Option<u32>)>);

/// Why text is not a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetError {
    /// Not `sequence-set`.
    Syntax,
    /// More ranges than the limit.
    TooMany,
}

impl SequenceSet {
    /// Parses `sequence-set` without `$`, at most `limit` ranges.
    pub fn parse(_text: &[u8], _limit: usize) -> Result<SequenceSet, SetError> {
        unimplemented!()
    }
    /// Puts `largest` for `*`; `None` (an empty mailbox) makes ranges with `*` empty. The numbers may be
    /// beyond `largest`: `5:*` with largest 3 is `3:5` (RFC 9051 §9 seq-range).
    pub fn resolve(&self, _largest: Option<u32>) -> NumberSet {
        unimplemented!()
    }
    /// The largest number named, `None` when there is only `*`.
    pub fn largest_named(&self) -> Option<u32> {
        unimplemented!()
    }
    /// Whether `*` occurs.
    pub fn has_star(&self) -> bool {
        unimplemented!()
    }
}

/// A set of numbers from 1: sorted ranges that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberSet(pub(crate) Vec<(u32, u32)>);

impl NumberSet {
    /// The empty set.
    pub fn new() -> NumberSet {
        NumberSet(Vec::new())
    }
    /// Of ranges in any order; 0 is left out.
    pub fn from_ranges(_ranges: impl IntoIterator<Item = RangeInclusive<u32>>) -> NumberSet {
        unimplemented!()
    }
    /// Of numbers that rise.
    pub fn from_sorted(_numbers: impl IntoIterator<Item = u32>) -> NumberSet {
        unimplemented!()
    }
    /// Of numbers in any order.
    pub fn from_unsorted(_numbers: impl IntoIterator<Item = u32>) -> NumberSet {
        unimplemented!()
    }
    /// Adds one number; at its end in constant time.
    pub fn insert(&mut self, _number: u32) {
        unimplemented!()
    }
    /// Whether the number is in it.
    pub fn contains(&self, _number: u32) -> bool {
        unimplemented!()
    }
    /// How many numbers.
    pub fn count(&self) -> u64 {
        unimplemented!()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The smallest number.
    pub fn first(&self) -> Option<u32> {
        unimplemented!()
    }
    /// The largest number.
    pub fn last(&self) -> Option<u32> {
        unimplemented!()
    }
    /// The ranges, rising.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        self.0.iter().map(|&(a, b)| a..=b)
    }
    /// The numbers, rising. Lazy: take care to bound it.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(a, b)| a..=b)
    }
    /// What is in both.
    pub fn intersection(&self, _other: &NumberSet) -> NumberSet {
        unimplemented!()
    }
    /// What is in either.
    pub fn union(&self, _other: &NumberSet) -> NumberSet {
        unimplemented!()
    }
    /// What is in this and not in the other.
    pub fn difference(&self, _other: &NumberSet) -> NumberSet {
        unimplemented!()
    }
    /// Those of `existing` (rising) that are in the set, in their order; cost is ranges x log existing + output.
    pub fn select(&self, _existing: &[u32]) -> Vec<u32> {
        unimplemented!()
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}
