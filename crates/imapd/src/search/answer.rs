//! The answer of SEARCH: `* SEARCH`, `* ESEARCH`, and what SAVE keeps.

use std::sync::Arc;

use postroad_imap::command::{Search, SearchReturn};
use postroad_imap::encode::{Results, SearchAnswer};
use postroad_imap::{NumberSet, Numbering};
use postroad_mail::UidSet;
use postroad_store::ModSeq;

use crate::error::Error;
use crate::search::Found;
use crate::session::Session;
use crate::view::number_set;

/// Writes what was found. `with_mod_seq`: a MODSEQ key was among the keys.
pub(super) fn write(session: &mut Session, search: &Search, with_mod_seq: bool, found: Found) -> Result<(), Error> {
    let Found { at_once, mut each } = found;
    each.sort_unstable();
    let uids = at_once.union(&each.iter().map(|(uid, _)| *uid).collect());
    if let Some(returns) = search.returns.filter(|returns| returns.save) {
        session.view_mut()?.saved = Arc::new(saved(returns, &uids));
    }
    let numbers = numbers(session, search.numbering, &uids)?;
    // RFC 9051 §7.3.4 and appendix E: ESEARCH for everything once IMAP4rev2 is enabled; never before to
    // clients that did not say RETURN: iOS shows an empty mailbox then.
    let returns = match search.returns {
        Some(returns) => returns,
        None if session.enabled.rev2 => SearchReturn { all: true, ..SearchReturn::default() },
        None => {
            let highest = with_mod_seq.then(|| highest(&each)).flatten();
            session.writer().search(&numbers, highest);
            return Ok(());
        }
    };
    // RFC 9051 §6.4.4.1: SAVE alone is not answered.
    if returns == (SearchReturn { save: true, ..SearchReturn::default() }) {
        return Ok(());
    }
    let answer = SearchAnswer {
        min: numbers.first().filter(|_| returns.min),
        max: numbers.last().filter(|_| returns.max),
        count: returns.count.then(|| numbers.count()),
        all: returns.all.then_some(Results::Set(numbers)),
        partial: None,
        mod_seq: with_mod_seq.then(|| mod_seq(returns, &each)).flatten(),
    };
    let tag = session.tag_under_way().cloned().ok_or_else(|| Error::bug("a search without a tag"))?;
    session.writer().esearch(&tag, search.numbering, &answer);
    Ok(())
}

fn numbers(session: &Session, numbering: Numbering, uids: &UidSet) -> Result<NumberSet, Error> {
    let map = session.view()?.map();
    Ok(match numbering {
        Numbering::Uid => number_set(uids),
        Numbering::Sequence => NumberSet::from_sorted(uids.iter().filter_map(|uid| map.seq(uid))),
    })
}

/// RFC 9051 §6.4.4.1, table: with MIN or MAX and neither ALL nor COUNT only these messages are kept.
fn saved(returns: SearchReturn, uids: &UidSet) -> UidSet {
    if returns.all || returns.count || !(returns.min || returns.max) {
        return uids.clone();
    }
    let min = uids.first().filter(|_| returns.min);
    let max = uids.last().filter(|_| returns.max);
    min.into_iter().chain(max).collect()
}

fn highest(each: &[(u32, ModSeq)]) -> Option<u64> {
    each.iter().map(|(_, modseq)| modseq.0.unsigned_abs()).max()
}

/// RFC 7162 §3.1.10: with MIN or MAX and neither ALL nor COUNT the highest of these messages only.
fn mod_seq(returns: SearchReturn, each: &[(u32, ModSeq)]) -> Option<u64> {
    if returns.all || returns.count || !(returns.min || returns.max) {
        return highest(each);
    }
    let min = each.first().filter(|_| returns.min);
    let max = each.last().filter(|_| returns.max);
    min.into_iter().chain(max).map(|(_, modseq)| modseq.0.unsigned_abs()).max()
}
