//! SORT and UID SORT (RFC 5256) with ESORT (RFC 5267), PARTIAL (RFC 9394), SORT=DISPLAY (RFC 5957) and
//! RELEVANCY (RFC 6203).
//!
//! What it is: what SEARCH finds, in an order. The keys of the order come from stored summaries, in
//! stretches, and are kept for the next time ([`cache`]): a mailbox of 100,000 messages is sorted in some ten
//! milliseconds once they are there.
//!
//! What it never does: read or parse a message.

pub(crate) mod cache;
pub(crate) mod column;
pub(crate) mod load;
pub(crate) mod order;
mod subject;

use std::sync::Arc;

use postroad_imap::command::{Sort, SortCriterion, SortKey};
use postroad_store::ReadTx;

use crate::collation::Collation;
use crate::context;
use crate::error::{Error, Reply};
use crate::search::{self, Found};
use crate::session::{Flow, Session};
use column::Kind;
use load::Loading;
use order::By;

/// What SORT keeps between its jobs.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    search: search::Cursor,
    found: Option<(Found, Loading)>,
}

/// One job of SORT.
pub(crate) fn read(session: &mut Session, tx: &ReadTx, sort: &Sort, cursor: &mut Cursor) -> Result<Flow, Error> {
    let collation = session.collation;
    if cursor.found.is_none() {
        context::check(session, &sort.search)?;
        let scored = sort.criteria.iter().any(|criterion| criterion.key == SortKey::Relevancy);
        let Some(found) = search::find(session, tx, &sort.search, scored, &mut cursor.search)? else {
            return Ok(Flow::More);
        };
        // A result that is followed needs the keys of whatever may come into it.
        let wanted = found.uids();
        let wanted = Some(&wanted).filter(|_| !context::is_followed(&sort.search));
        let loading = Loading::new(session, &kinds(&sort.criteria, collation), wanted)?;
        cursor.found = Some((found, loading));
    }
    if let Some((_, loading)) = &mut cursor.found
        && !loading.go_on(session, tx)?
    {
        return Ok(Flow::More);
    }
    let Some((found, loading)) = cursor.found.take() else { return Err(Error::bug("SORT found nothing to sort")) };
    let uids: Vec<u32> = found.uids().iter().collect();
    let order = order::order(&uids, &By::all(&sort.criteria, collation, &loading, Some(&found)));
    search::answer::write(session, &sort.search, found, Some(&order))?;
    if context::is_followed(&sort.search) {
        let search = search::filters::in_search(session, tx, &sort.search)?.into_owned();
        let sort = Sort { search, ..sort.clone() };
        context::follow_order(session, &sort, Arc::new(order), Arc::new(loading))?;
    }
    Ok(Flow::Done(Reply::ok("SORT done")))
}

/// The columns that criteria need.
fn kinds(criteria: &[SortCriterion], collation: Collation) -> Vec<Kind> {
    criteria.iter().filter_map(|criterion| Kind::of(criterion.key, collation)).collect()
}
