//! Sets of uids as ranges.

use std::fmt;
use std::ops::RangeInclusive;

/// A set of uids, kept as disjoint, non-adjacent, rising inclusive ranges, so that `1:100000` costs as
/// much as `7`. Uid 0 does not exist and is dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// No uid.
    pub const EMPTY: UidSet = UidSet { ranges: Vec::new() };

    /// No uid.
    pub fn new() -> UidSet {
        UidSet::default()
    }

    /// Every uid there can be.
    pub fn all() -> UidSet {
        UidSet { ranges: vec![(1, u32::MAX)] }
    }

    /// One uid.
    pub fn single(uid: u32) -> UidSet {
        UidSet::from_ranges([(uid, uid)])
    }

    /// The uids from `low` to `high`, both included (in either order: RFC 9051 §9, `seq-range`).
    pub fn range(low: u32, high: u32) -> UidSet {
        UidSet::from_ranges([(low, high)])
    }

    /// The union of ranges in any order, overlapping or not; `(9, 5)` means `(5, 9)`.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> UidSet {
        let mut all: Vec<(u32, u32)> =
            ranges.into_iter().map(|(a, b)| (a.min(b).max(1), a.max(b))).filter(|(low, high)| low <= high).collect();
        all.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::with_capacity(all.len());
        for (low, high) in all {
            match ranges.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                Some(_) | None => ranges.push((low, high)),
            }
        }
        UidSet { ranges }
    }

    /// The ranges: rising, disjoint, not adjacent, both ends included.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Whether there is no uid in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many uids are in it.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(low, high)| u64::from(high - low) + 1).sum()
    }

    /// Whether `uid` is in it; logarithmic in the number of ranges.
    pub fn contains(&self, uid: u32) -> bool {
        let at = self.ranges.partition_point(|(_, high)| *high < uid);
        self.ranges.get(at).is_some_and(|(low, _)| *low <= uid)
    }

    /// The smallest uid.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|(low, _)| *low)
    }

    /// The largest uid.
    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|(_, high)| *high)
    }

    /// All uids, rising. Bound it yourself: a set may hold 2^32 - 1.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|&(low, high)| RangeInclusive::new(low, high))
    }

    /// Adds one uid; cheapest at the end.
    pub fn insert(&mut self, uid: u32) {
        if uid == 0 {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if uid > last.1 => {
                if uid == last.1 + 1 {
                    last.1 = uid;
                } else {
                    self.ranges.push((uid, uid));
                }
            }
            Some(_) => {
                if !self.contains(uid) {
                    self.ranges.push((uid, uid));
                    *self = UidSet::from_ranges(std::mem::take(&mut self.ranges));
                }
            }
            None => self.ranges.push((uid, uid)),
        }
    }

    /// The union.
    pub fn union(&self, other: &UidSet) -> UidSet {
        UidSet::from_ranges(self.ranges.iter().chain(&other.ranges).copied())
    }

    /// What is in both. Costs what the smaller set and the result are large, if they are few in many.
    pub fn intersection(&self, other: &UidSet) -> UidSet {
        let mut ranges = Vec::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.ranges.get(i), other.ranges.get(j)) {
            if a.1 < b.0 {
                i += ending_before(&self.ranges[i..], b.0);
                continue;
            }
            if b.1 < a.0 {
                j += ending_before(&other.ranges[j..], a.0);
                continue;
            }
            ranges.push((a.0.max(b.0), a.1.min(b.1)));
            if a.1 <= b.1 {
                i += 1;
            } else {
                j += 1;
            }
        }
        UidSet { ranges }
    }

    /// What is here and not in `other`.
    pub fn difference(&self, other: &UidSet) -> UidSet {
        self.intersection(&other.complement())
    }

    /// Every uid that is not in it.
    pub fn complement(&self) -> UidSet {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut next = Some(1u32);
        for &(low, high) in &self.ranges {
            if let Some(next) = next
                && next < low
            {
                ranges.push((next, low - 1));
            }
            next = high.checked_add(1);
        }
        if let Some(next) = next {
            ranges.push((next, u32::MAX));
        }
        UidSet { ranges }
    }

    /// The inverse of `Display`: `1:3,7`. `None` when it is no such text; `*` is not a uid.
    pub fn parse(text: &str) -> Option<UidSet> {
        if text.is_empty() {
            return Some(UidSet::new());
        }
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (low, high) = part.split_once(':').unwrap_or((part, part));
            ranges.push((number(low)?, number(high)?));
        }
        Some(UidSet::from_ranges(ranges))
    }
}

/// How many of these ranges, of which the first does, end before `uid`.
fn ending_before(ranges: &[(u32, u32)], uid: u32) -> usize {
    match ranges.get(1) {
        Some(next) if next.1 < uid => ranges.partition_point(|(_, high)| *high < uid),
        Some(_) | None => 1,
    }
}

/// A uid in text: digits only.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> UidSet {
        let mut set = UidSet::new();
        let mut rest = Vec::new();
        for uid in uids {
            if set.last().is_none_or(|last| uid > last) {
                set.insert(uid);
            } else {
                rest.push((uid, uid));
            }
        }
        if rest.is_empty() {
            return set;
        }
        UidSet::from_ranges(set.ranges.into_iter().chain(rest))
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (low, high)) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if low == high {
                write!(f, "{comma}{low}")?;
            } else {
                write!(f, "{comma}{low}:{high}")?;
            }
        }
        Ok(())
    }
}
