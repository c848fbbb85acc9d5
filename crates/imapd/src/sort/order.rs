//! Putting messages in order (RFC 5256 §3).
//!
//! The first criterion decides nearly always, so it becomes a number that sorts like it; the texts themselves
//! and the further criteria are looked at only among equals. What is equal in all stays in the order of the
//! mailbox, also under REVERSE.

use std::cmp::Ordering;

use postroad_imap::command::SortCriterion;

use crate::collation::Collation;
use crate::search::Found;
use crate::sort::column::{Column, Kind};
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

    /// A number that is in the same order, as far as it goes.
    fn rank(&self, at: usize) -> u64 {
        match self {
            Keys::Numbers(numbers) => numbers[at].cast_unsigned() ^ (1 << 63),
            Keys::Texts(texts) => prefix(texts[at]),
        }
    }
}

/// The first eight octets. Texts have no NUL that would make a shorter one equal to a longer one; if they
/// had, the texts themselves decide.
fn prefix(text: &[u8]) -> u64 {
    let mut head = [0; 8];
    let length = text.len().min(8);
    head[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(head)
}

fn turned(reverse: bool, order: Ordering) -> Ordering {
    if reverse { order.reverse() } else { order }
}

/// Uids, which rise, in the order of the criteria.
pub(crate) fn order(uids: &[u32], criteria: &[By<'_>]) -> Vec<u32> {
    let keys: Vec<(bool, Keys<'_>)> = criteria.iter().map(|by| (by.reverse, by.of_all(uids))).collect();
    let Some((reverse, first)) = keys.first() else { return uids.to_vec() };
    let flip = if *reverse { u64::MAX } else { 0 };
    let mut places: Vec<(u64, u32)> = (0u32..).zip(uids).map(|(at, _)| (first.rank(at as usize) ^ flip, at)).collect();
    places.sort_unstable_by(|(rank_a, a), (rank_b, b)| {
        let further = || {
            keys.iter()
                .map(|(reverse, keys)| turned(*reverse, keys.compare(*a as usize, *b as usize)))
                .find(|order| order.is_ne())
        };
        rank_a.cmp(rank_b).then_with(|| further().unwrap_or_else(|| a.cmp(b)))
    });
    places.into_iter().map(|(_, at)| uids[at as usize]).collect()
}

/// How two messages are to each other: to put one into an order that is there.
pub(crate) fn compare(a: u32, b: u32, criteria: &[By<'_>]) -> Ordering {
    let decided = criteria.iter().map(|by| by.compare(a, b)).find(|order| order.is_ne());
    decided.unwrap_or_else(|| a.cmp(&b))
}
