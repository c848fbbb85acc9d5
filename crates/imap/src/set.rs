//! Sets of message numbers, which no one ever expands.
//!
//! RFC 9051 §9 `sequence-set`. A client's set ([`SequenceSet`]) has ranges in any order and `*`; what the
//! server works with ([`NumberSet`]) is sorted and merged. All operations cost by the number of ranges.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

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
#[derive(Clone, PartialEq, Eq)]
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
    pub fn parse(text: &[u8], limit: usize) -> Result<SequenceSet, SetError> {
        let mut ranges = Vec::new();
        for part in text.split(|&byte| byte == b',') {
            if ranges.len() == limit {
                return Err(SetError::TooMany);
            }
            let mut ends = part.splitn(2, |&byte| byte == b':');
            let first = seq_number(ends.next().unwrap_or_default())?;
            let last = ends.next().map_or(Ok(first), seq_number)?;
            ranges.push((first, last));
        }
        Ok(SequenceSet(ranges))
    }

    /// Puts `largest` for `*`; `None` (an empty mailbox) makes ranges with `*` empty. The numbers may be
    /// beyond `largest`: `5:*` with largest 3 is `3:5` (RFC 9051 §9 `seq-range`).
    pub fn resolve(&self, largest: Option<u32>) -> NumberSet {
        NumberSet::from_ranges(self.0.iter().filter_map(|&(first, last)| {
            let first = first.or(largest)?;
            let last = last.or(largest)?;
            Some(first.min(last)..=first.max(last))
        }))
    }

    /// The largest number named, `None` when there is only `*`.
    pub fn largest_named(&self) -> Option<u32> {
        self.0.iter().flat_map(|&(first, last)| [first, last]).flatten().max()
    }

    /// Whether `*` occurs.
    pub fn has_star(&self) -> bool {
        self.0.iter().any(|(first, last)| first.is_none() || last.is_none())
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |end: Option<u32>| end.map_or_else(|| "*".to_owned(), |number| number.to_string());
        for (index, &(first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{}", end(first))?;
            } else {
                write!(f, "{comma}{}:{}", end(first), end(last))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `seq-number = nz-number / "*"`.
fn seq_number(text: &[u8]) -> Result<Option<u32>, SetError> {
    if text == b"*" {
        return Ok(None);
    }
    // `+5` is a number to Rust and not to IMAP.
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(SetError::Syntax);
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    match number {
        Some(0) | None => Err(SetError::Syntax),
        Some(number) => Ok(Some(number)),
    }
}

/// A set of numbers from 1: sorted ranges that neither touch nor overlap.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NumberSet(pub(crate) Vec<(u32, u32)>);

impl NumberSet {
    /// The empty set.
    pub fn new() -> NumberSet {
        NumberSet(Vec::new())
    }

    /// Of ranges in any order; 0 is left out.
    pub fn from_ranges(ranges: impl IntoIterator<Item = RangeInclusive<u32>>) -> NumberSet {
        let mut ranges: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|range| ((*range.start()).max(1), *range.end()))
            .filter(|(first, last)| first <= last)
            .collect();
        ranges.sort_unstable();
        let mut set = NumberSet::new();
        for (first, last) in ranges {
            set.append(first, last);
        }
        set
    }

    /// Of numbers that rise.
    pub fn from_sorted(numbers: impl IntoIterator<Item = u32>) -> NumberSet {
        let mut set = NumberSet::new();
        for number in numbers {
            set.insert(number);
        }
        set
    }

    /// Of numbers in any order.
    pub fn from_unsorted(numbers: impl IntoIterator<Item = u32>) -> NumberSet {
        NumberSet::from_ranges(numbers.into_iter().map(|number| number..=number))
    }

    /// Adds one number, 0 excepted; at its end in constant time.
    pub fn insert(&mut self, number: u32) {
        if number == 0 {
            return;
        }
        if self.0.last().is_none_or(|&(first, _)| first <= number) {
            return self.append(number, number);
        }
        let after = self.0.partition_point(|&(_, last)| last < number);
        let (first, _) = self.0[after];
        if first <= number {
            return;
        }
        self.0.insert(after, (number, number));
        self.join_at(after + 1);
        self.join_at(after);
    }

    /// Merges range `index` into the one before it when they touch.
    fn join_at(&mut self, index: usize) {
        if index == 0 || index >= self.0.len() {
            return;
        }
        if self.0[index - 1].1.checked_add(1) == Some(self.0[index].0) {
            self.0[index - 1].1 = self.0[index].1;
            self.0.remove(index);
        }
    }

    /// Adds a range that begins no earlier than the last one does.
    fn append(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some(end) if first <= end.1.saturating_add(1) => end.1 = end.1.max(last),
            Some(_) | None => self.0.push((first, last)),
        }
    }

    /// Whether the number is in it.
    pub fn contains(&self, number: u32) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < number);
        self.0.get(at).is_some_and(|&(first, _)| first <= number)
    }

    /// How many numbers.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest number.
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|&(first, _)| first)
    }

    /// The largest number.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|&(_, last)| last)
    }

    /// The ranges, rising.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        self.0.iter().map(|&(first, last)| first..=last)
    }

    /// The numbers, rising. Lazy: take care to bound it.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(first, last)| first..=last)
    }

    /// What is in both.
    pub fn intersection(&self, other: &NumberSet) -> NumberSet {
        let (mut left, mut right) = (0, 0);
        let mut both = NumberSet::new();
        while let (Some(&a), Some(&b)) = (self.0.get(left), other.0.get(right)) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                both.append(first, last);
            }
            if a.1 < b.1 {
                left += 1;
            } else {
                right += 1;
            }
        }
        both
    }

    /// What is in either.
    pub fn union(&self, other: &NumberSet) -> NumberSet {
        NumberSet::from_ranges(self.ranges().chain(other.ranges()))
    }

    /// What is in this and not in the other.
    pub fn difference(&self, other: &NumberSet) -> NumberSet {
        let mut rest = NumberSet::new();
        let mut right = 0;
        for &(first, last) in &self.0 {
            let mut from = Some(first);
            while let (Some(start), Some(&(hole, hole_end))) = (from, other.0.get(right)) {
                if hole_end < start {
                    right += 1;
                    continue;
                }
                if hole > last {
                    break;
                }
                if hole > start {
                    rest.append(start, hole - 1);
                }
                from = hole_end.checked_add(1).filter(|&next| next <= last);
            }
            if let Some(start) = from {
                rest.append(start, last);
            }
        }
        rest
    }

    /// Those of `existing` (rising) that are in the set, in their order; cost is ranges x log existing + output.
    pub fn select(&self, existing: &[u32]) -> Vec<u32> {
        let mut found = Vec::new();
        let mut rest = existing;
        for &(first, last) in &self.0 {
            rest = &rest[rest.partition_point(|&number| number < first)..];
            let end = rest.partition_point(|&number| number <= last);
            found.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
            if rest.is_empty() {
                break;
            }
        }
        found
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &(first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl FromStr for NumberSet {
    type Err = SetError;

    /// Parses a set without `*`, of any length; the empty text is the empty set.
    fn from_str(text: &str) -> Result<NumberSet, SetError> {
        if text.is_empty() {
            return Ok(NumberSet::new());
        }
        let set = SequenceSet::parse(text.as_bytes(), usize::MAX)?;
        if set.has_star() {
            return Err(SetError::Syntax);
        }
        Ok(set.resolve(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> NumberSet {
        text.parse().expect("a set")
    }

    #[test]
    fn sets_resolve_and_normalise() {
        for (input, largest, expected) in [
            ("1", Some(9), "1"),
            ("*", Some(9), "9"),
            ("*", None, ""),
            ("1:*", Some(9), "1:9"),
            ("1:*", None, ""),
            ("5:*", Some(3), "3:5"),
            ("*:5", Some(3), "3:5"),
            ("9:2", Some(9), "2:9"),
            ("2,4:7,9,12:*", Some(15), "2,4:7,9,12:15"),
            ("2,1", Some(9), "1:2"),
            ("3:5,1:4,8,7", Some(9), "1:5,7:8"),
            ("1:4294967295", Some(9), "1:4294967295"),
            ("4294967295,4294967294", Some(9), "4294967294:4294967295"),
        ] {
            let parsed = SequenceSet::parse(input.as_bytes(), 100).expect(input);
            assert_eq!(parsed.to_string(), input);
            assert_eq!(parsed.resolve(largest).to_string(), expected, "{input}");
        }
        for bad in ["", "0", ",", "1,", ",1", "1:", ":1", "1:2:3", "+1", "-1", "a", "4294967296", "1 2", "**", "$"] {
            assert_eq!(SequenceSet::parse(bad.as_bytes(), 100), Err(SetError::Syntax), "{bad}");
        }
        assert_eq!(SequenceSet::parse(b"1,2,3", 2), Err(SetError::TooMany));
    }

    #[test]
    fn sets_count_without_expanding() {
        let all = set("1:4294967295");
        assert_eq!(all.count(), u64::from(u32::MAX));
        assert!(all.contains(u32::MAX) && !all.contains(0));
        assert_eq!(all.select(&[3, 7, u32::MAX]), [3, 7, u32::MAX]);
        assert_eq!(all.difference(&set("5")).to_string(), "1:4,6:4294967295");
        assert_eq!(all.difference(&set("4294967295")).to_string(), "1:4294967294");
    }

    #[test]
    fn sets_combine() {
        for (a, b, both, either, rest) in [
            ("1:5", "3:9", "3:5", "1:9", "1:2"),
            ("1,3,5", "2,4", "", "1:5", "1,3,5"),
            ("1:10", "2:3,5,9:12", "2:3,5,9:10", "1:12", "1,4,6:8"),
            ("", "1", "", "1", ""),
            ("1:3,7:9", "1:9", "1:3,7:9", "1:9", ""),
            ("1:3,7:9", "2:8", "2:3,7:8", "1:9", "1,9"),
        ] {
            assert_eq!(set(a).intersection(&set(b)).to_string(), both);
            assert_eq!(set(a).union(&set(b)).to_string(), either);
            assert_eq!(set(a).difference(&set(b)).to_string(), rest, "{a} without {b}");
        }
    }

    #[test]
    fn sets_take_numbers_in_any_order() {
        let mut grown = NumberSet::new();
        for number in [5, 1, 3, 2, 9, 4, 0, 3, 8, 6, 10, 7] {
            grown.insert(number);
        }
        assert_eq!(grown.to_string(), "1:10");
        assert_eq!(NumberSet::from_unsorted([9, 1, 8, 3]).to_string(), "1,3,8:9");
        assert_eq!(set("2:4,8:*".replace('*', "9").as_str()).select(&[1, 3, 4, 5, 9]), [3, 4, 9]);
    }
}
