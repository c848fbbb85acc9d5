//! Putting messages in order (RFC 5256 §3).
//!
//! Criteria become numbers that sort like them: a date, or eight octets of a text. What these leave together
//! is looked at again by the next eight octets, or the next criterion, so that the texts of a message are
//! looked up a few times and not for each comparison. What is equal in all stays in the order of the mailbox,
//! also under REVERSE.

use std::cmp::Ordering;

use postroad_imap::command::SortCriterion;

use crate::collation::Collation;
use crate::search::Found;
use crate::sort::column::{Column, Kind, TEXT_MAX};
use crate::sort::load::Loading;

/// A criterion with what decides it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    reverse: bool,
    keys: Source<'a>,
}

/// Where keys come from.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Column(Kind, &'a Column),
    /// How well messages match; the best comes first.
    Scores(&'a Found),
    /// What cannot be known decides nothing.
    Nothing,
}

impl<'a> By<'a> {
    /// The criteria over columns that were loaded. `found` has the scores, where they are known.
    pub(crate) fn all(
        criteria: &[SortCriterion],
        collation: Collation,
        loading: &'a Loading,
        found: Option<&'a Found>,
    ) -> Vec<By<'a>> {
        let by = |criterion: &SortCriterion| {
            let keys = match (Kind::of(criterion.key, collation), found) {
                (Some(kind), _) => Source::Column(kind, loading.column(kind)),
                (None, Some(found)) => Source::Scores(found),
                (None, None) => Source::Nothing,
            };
            By { reverse: criterion.reverse, keys }
        };
        criteria.iter().map(by).collect()
    }

    fn of_all<'b>(&self, uids: &'b [u32]) -> Keys<'b>
    where
        'a: 'b,
    {
        match self.keys {
            Source::Column(Kind::Number(_), column) => Keys::Numbers(column.numbers(uids)),
            Source::Column(Kind::Text(..) | Kind::Links, column) => Keys::Texts(column.texts(uids)),
            Source::Scores(found) => Keys::Numbers(uids.iter().map(|uid| -i64::from(found.relevancy(*uid))).collect()),
            Source::Nothing => Keys::Numbers(vec![0; uids.len()]),
        }
    }

    fn compare(&self, a: u32, b: u32) -> Ordering {
        let order = match self.keys {
            Source::Column(Kind::Number(_), column) => column.number(a).cmp(&column.number(b)),
            Source::Column(Kind::Text(..) | Kind::Links, column) => column.text(a).cmp(column.text(b)),
            Source::Scores(found) => found.relevancy(b).cmp(&found.relevancy(a)),
            Source::Nothing => Ordering::Equal,
        };
        turned(self.reverse, order)
    }
}

/// The keys of messages, as a criterion has them.
enum Keys<'a> {
    Numbers(Vec<i64>),
    Texts(Vec<&'a [u8]>),
}

impl Keys<'_> {
    fn compare(&self, a: usize, b: usize) -> Ordering {
        match self {
            Keys::Numbers(numbers) => numbers[a].cmp(&numbers[b]),
            Keys::Texts(texts) => texts[a].cmp(texts[b]),
        }
    }

    /// A number that is in the same order, as far as it goes: of a text the eight octets from `from` on.
    fn rank(&self, at: usize, from: usize) -> u64 {
        match self {
            Keys::Numbers(numbers) => numbers[at].cast_unsigned() ^ (1 << 63),
            Keys::Texts(texts) => {
                let rest = texts[at].get(from..).unwrap_or_default();
                let mut head = [0; STEP];
                let length = rest.len().min(STEP);
                head[..length].copy_from_slice(&rest[..length]);
                u64::from_be_bytes(head)
            }
        }
    }

    fn is_equal(&self, a: usize, b: usize) -> bool {
        match self {
            Keys::Numbers(_) => true,
            Keys::Texts(texts) => texts[a] == texts[b],
        }
    }
}

fn turned(reverse: bool, order: Ordering) -> Ordering {
    if reverse { order.reverse() } else { order }
}

/// Uids, which rise, in the order of the criteria.
pub(crate) fn order(uids: &[u32], criteria: &[By<'_>]) -> Vec<u32> {
    let keys: Vec<(bool, Keys<'_>)> = criteria.iter().map(|by| (by.reverse, by.of_all(uids))).collect();
    let mut places: Vec<(u64, u32)> = (0u32..).zip(uids).map(|(at, _)| (0, at)).collect();
    put_in_order(&mut places, &keys);
    places.into_iter().map(|(_, at)| uids[at as usize]).collect()
}

/// Puts places, which rise, in the order of the keys that are there. The numbers beside them are for this alone.
fn put_in_order(places: &mut [(u64, u32)], keys: &[(bool, Keys<'_>)]) {
    // Runs that are not told apart yet, with the criterion that may, and how much of its texts was looked at.
    let mut runs = vec![(0..places.len(), 0, 0)];
    while let Some((run, criterion, from)) = runs.pop() {
        let part = &mut places[run.clone()];
        // What is equal in everything is in the order of the mailbox already.
        let Some((reverse, by)) = keys.get(criterion) else { continue };
        // Behind the end of all texts only NULs can tell them apart.
        if part.len() <= FEW || from > TEXT_MAX {
            compare_all(part, &keys[criterion..]);
            continue;
        }
        let flip = if *reverse { u64::MAX } else { 0 };
        part.iter_mut().for_each(|(rank, at)| *rank = by.rank(*at as usize, from) ^ flip);
        part.sort_unstable();
        let mut start = run.start;
        for equal in part.chunk_by(|(a, _), (b, _)| a == b) {
            let (range, first) = (start..start + equal.len(), equal[0].1 as usize);
            start = range.end;
            if equal.len() > 1 {
                let same = equal.iter().all(|(_, at)| by.is_equal(first, *at as usize));
                runs.push(if same { (range, criterion + 1, 0) } else { (range, criterion, from + STEP) });
            }
        }
    }
}

/// By comparing one with another.
fn compare_all(part: &mut [(u64, u32)], keys: &[(bool, Keys<'_>)]) {
    part.sort_unstable_by(|(_, a), (_, b)| {
        let mut decided = keys.iter().map(|(reverse, by)| turned(*reverse, by.compare(*a as usize, *b as usize)));
        decided.find(|order| order.is_ne()).unwrap_or_else(|| a.cmp(b))
    });
}

/// How two messages are to each other: to put one into an order that is there.
pub(crate) fn compare(a: u32, b: u32, criteria: &[By<'_>]) -> Ordering {
    let decided = criteria.iter().map(|by| by.compare(a, b)).find(|order| order.is_ne());
    decided.unwrap_or_else(|| a.cmp(&b))
}

/// Octets of a text that are looked at together.
const STEP: usize = 8;
/// So many are compared one with another.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_nul_come_to_an_end() {
        let all: Vec<Vec<u8>> = (0..200).map(|n| [&b"ab"[..n % 3], &[0; 20][..n % 13]].concat()).collect();
        let texts: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        for reverse in [false, true] {
            let mut places: Vec<(u64, u32)> = (0..200).map(|at| (0, at)).collect();
            put_in_order(&mut places, &[(reverse, Keys::Texts(texts.clone()))]);
            let mut plain: Vec<u32> = (0..200).collect();
            plain.sort_by(|a, b| turned(reverse, all[*a as usize].cmp(&all[*b as usize])).then(a.cmp(b)));
            assert_eq!(places.into_iter().map(|(_, at)| at).collect::<Vec<_>>(), plain);
        }
    }
}
