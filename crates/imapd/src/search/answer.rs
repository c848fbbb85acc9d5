//! The answer of SEARCH and SORT: `* SEARCH`, `* SORT`, `* ESEARCH`, and what SAVE keeps.

use std::sync::Arc;

use postroad_imap::command::{Search, SearchReturn};
use postroad_imap::encode::{Results, SearchAnswer};
use postroad_imap::{NumberSet, Numbering};
use postroad_mail::UidSet;
use postroad_store::ModSeq;

use crate::error::Error;
use crate::search::Found;
use crate::session::Session;
use crate::view::{View, number_set};

/// Writes what was found. `order`: the uids as SORT has them; `None`: as the mailbox has them.
pub(crate) fn write(session: &mut Session, search: &Search, found: Found, order: Option<&[u32]>) -> Result<(), Error> {
    let uids = found.uids();
    let returns = match search.returns {
        Some(returns) => returns,
        // RFC 9051 §7.3.4 and appendix E: ESEARCH for everything once IMAP4rev2 is enabled; never before to
        // clients that did not say RETURN: iOS shows an empty mailbox then. SORT knows no such rule.
        None if session.enabled.rev2 && order.is_none() => SearchReturn { all: true, ..SearchReturn::default() },
        None => return write_plain(session, search, &found, &uids, order),
    };
    let told = told(returns, &uids, order);
    if returns.save {
        session.view_mut()?.saved = Arc::new(told.clone());
    }
    // RFC 9051 §6.4.4.1: SAVE alone is not answered.
    if !returns.is_answered() {
        return Ok(());
    }
    let view = session.view()?;
    let number = |uid: u32| numbered(view, search.numbering, uid);
    let (first, last) = match order {
        None => (uids.first(), uids.last()),
        Some(order) => (order.first().copied(), order.last().copied()),
    };
    let results = |range: std::ops::Range<usize>| match order {
        Some(order) => Results::Order(order[range].iter().filter_map(|uid| number(*uid)).collect()),
        None => Results::Set(numbers(view, search.numbering, &nth(&uids, range))),
    };
    let count = usize::try_from(uids.count()).unwrap_or(usize::MAX);
    let answer = SearchAnswer {
        min: first.filter(|_| returns.min).and_then(number),
        max: last.filter(|_| returns.max).and_then(number),
        count: returns.count.then_some(uids.count()),
        all: returns.all.then(|| results(0..count)),
        partial: returns.partial.map(|range| (range, results(range.of(count)))),
        mod_seq: found
            .with_mod_seq
            .then(|| highest(found.each.iter().filter(|(uid, _)| told.contains(*uid))))
            .flatten(),
        // RFC 6203 §4: in the order of the results.
        relevancy: returns.relevancy.then(|| {
            let range = returns.partial.map_or(0..count, |range| range.of(count));
            match order {
                Some(order) => order[range].iter().map(|uid| found.relevancy(*uid)).collect(),
                None => nth(&uids, range).iter().map(|uid| found.relevancy(uid)).collect(),
            }
        }),
    };
    let tag = session.tag_under_way().cloned().ok_or_else(|| Error::bug("a search without a tag"))?;
    session.writer().esearch(&tag, search.numbering, &answer);
    Ok(())
}

/// What ESEARCH tells of one of several mailboxes, in UIDs (RFC 7377).
pub(crate) fn of_mailbox(returns: SearchReturn, found: &Found) -> SearchAnswer {
    let uids = found.uids();
    let count = usize::try_from(uids.count()).unwrap_or(usize::MAX);
    let results = |range| Results::Set(number_set(&nth(&uids, range)));
    SearchAnswer {
        min: uids.first().filter(|_| returns.min),
        max: uids.last().filter(|_| returns.max),
        count: returns.count.then_some(uids.count()),
        all: returns.all.then(|| results(0..count)),
        partial: returns.partial.map(|range| (range, results(range.of(count)))),
        mod_seq: found.with_mod_seq.then(|| highest(found.each.iter())).flatten(),
        relevancy: returns.relevancy.then(|| {
            let told = returns.partial.map_or_else(|| uids.clone(), |range| nth(&uids, range.of(count)));
            told.iter().map(|uid| found.relevancy(uid)).collect()
        }),
    }
}

/// `* SEARCH` and `* SORT`.
fn write_plain(
    session: &mut Session,
    search: &Search,
    found: &Found,
    uids: &UidSet,
    order: Option<&[u32]>,
) -> Result<(), Error> {
    let mod_seq = found.with_mod_seq.then(|| highest(found.each.iter())).flatten();
    let view = session.view()?;
    match order {
        Some(order) => {
            let numbers: Vec<u32> = order.iter().filter_map(|uid| numbered(view, search.numbering, *uid)).collect();
            session.writer().sort(&numbers, mod_seq);
        }
        None => {
            let numbers = numbers(view, search.numbering, uids);
            session.writer().search(&numbers, mod_seq);
        }
    }
    Ok(())
}

/// A uid as the client numbers it.
pub(crate) fn numbered(view: &View, numbering: Numbering, uid: u32) -> Option<u32> {
    match numbering {
        Numbering::Uid => Some(uid),
        Numbering::Sequence => view.map().seq(uid),
    }
}

/// Uids as the client numbers them.
pub(crate) fn numbers(view: &View, numbering: Numbering, uids: &UidSet) -> NumberSet {
    match numbering {
        Numbering::Uid => number_set(uids),
        Numbering::Sequence => NumberSet::from_sorted(uids.iter().filter_map(|uid| view.map().seq(uid))),
    }
}

/// The messages at these places of a set, counted from 0.
pub(crate) fn nth(uids: &UidSet, places: std::ops::Range<usize>) -> UidSet {
    let (start, end) = (places.start as u64, places.end as u64);
    let mut before = 0u64;
    let parts = uids.ranges().iter().filter_map(|&(low, high)| {
        let count = u64::from(high - low) + 1;
        let (from, to) = (start.max(before), end.min(before + count));
        let part = (from < to).then(|| (low + (from - before) as u32, low + (to - before - 1) as u32));
        before += count;
        part
    });
    UidSet::from_ranges(parts.collect::<Vec<_>>())
}

/// The messages that the answer is about: what SAVE keeps, and what MODSEQ is the highest of. RFC 9051
/// §6.4.4.1, RFC 9394 §3.2, RFC 7162 §3.1.10: with COUNT or ALL all of them, else those of PARTIAL, MIN and MAX.
pub(crate) fn told(returns: SearchReturn, uids: &UidSet, order: Option<&[u32]>) -> UidSet {
    if returns.all || returns.count || !(returns.min || returns.max || returns.partial.is_some()) {
        return uids.clone();
    }
    let (first, last) = match order {
        None => (uids.first(), uids.last()),
        Some(order) => (order.first().copied(), order.last().copied()),
    };
    let ends: UidSet = first.filter(|_| returns.min).into_iter().chain(last.filter(|_| returns.max)).collect();
    let count = usize::try_from(uids.count()).unwrap_or(usize::MAX);
    match (returns.partial.map(|range| range.of(count)), order) {
        (None, _) => ends,
        (Some(places), None) => ends.union(&nth(uids, places)),
        (Some(places), Some(order)) => ends.union(&order[places].iter().copied().collect()),
    }
}

fn highest<'a>(each: impl Iterator<Item = &'a (u32, ModSeq)>) -> Option<u64> {
    each.map(|(_, modseq)| modseq.0.unsigned_abs()).max()
}
