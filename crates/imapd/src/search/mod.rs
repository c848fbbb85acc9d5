//! SEARCH and UID SEARCH (RFC 9051 §6.4.4; RFC 4731 ESEARCH, RFC 5182 SEARCHRES, RFC 5032 WITHIN, RFC 7162
//! MODSEQ, RFC 8474).
//!
//! What it is: the keys become a tree that is asked with as little as decides it: first with the rows of
//! the entries, in sets; for what stays open with their summaries; for what is open still with the text
//! of the message, read by pieces. A job stops at its budget, if need be in the middle of a message.
//!
//! Text matches as RFC 9051 says, substring by substring and without case: there is no index of words
//! behind it that would find less.
//!
//! What it never does: report a message that the client does not see, or hold more than a piece of one.

mod answer;
mod deep;
mod key;
mod plan;
mod text;

use postroad_imap::command::Search;
use postroad_mail::view::{self, Query};
use postroad_mail::{Entry, UidSet, Want};
use postroad_store::{ModSeq, ReadTx};

use crate::error::{Error, Reply};
use crate::fetch::octets::Budget;
use crate::session::{Flow, Place, Session};
use crate::settings::MESSAGES_PER_JOB;
use deep::Scan;
use key::Known;
use plan::Plan;

/// What SEARCH keeps between its jobs.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    plan: Option<Plan>,
    /// Rows up to this UID were looked at.
    last: u32,
    /// Messages whose text decides.
    undecided: Vec<Entry>,
    /// The message that a job stopped in.
    scan: Option<Box<Scan>>,
    found: Found,
}

/// What was found, in any order.
#[derive(Debug, Default)]
struct Found {
    /// Found without looking at rows.
    at_once: UidSet,
    /// Found one by one.
    each: Vec<(u32, ModSeq)>,
}

/// One job of SEARCH.
pub(crate) fn read(session: &mut Session, tx: &ReadTx, search: &Search, cursor: &mut Cursor) -> Result<Flow, Error> {
    let plan = match cursor.plan.take() {
        Some(plan) => plan,
        None => Plan::new(session, tx, search)?,
    };
    if plan.condstore {
        session.enable_condstore();
    }
    let whole = go_on(session, tx, &plan, cursor)?;
    let condstore = plan.condstore;
    cursor.plan = Some(plan);
    if !whole {
        return Ok(Flow::More);
    }
    answer::write(session, search, condstore, std::mem::take(&mut cursor.found))?;
    Ok(Flow::Done(Reply::ok("SEARCH done")))
}

/// False: the budget is used up before the end.
fn go_on(session: &Session, tx: &ReadTx, plan: &Plan, cursor: &mut Cursor) -> Result<bool, Error> {
    if plan.rest.is_empty() {
        cursor.found.at_once = plan.candidates.clone();
        return Ok(true);
    }
    let mut budget = Budget::new();
    let mut looked = 0;
    loop {
        if !scan_texts(tx, plan, cursor, &mut budget)? {
            return Ok(false);
        }
        let rest = match cursor.last.checked_add(1) {
            Some(next) => plan.candidates.intersection(&UidSet::range(next, u32::MAX)),
            None => UidSet::new(),
        };
        if rest.is_empty() {
            return Ok(true);
        }
        if looked >= MESSAGES_PER_JOB {
            return Ok(false);
        }
        looked += look(session, tx, plan, cursor, &rest)?;
    }
}

/// Decides a set of messages as far as rows and summaries can. How many there were.
fn look(session: &Session, tx: &ReadTx, plan: &Plan, cursor: &mut Cursor, rest: &UidSet) -> Result<usize, Error> {
    let Place { account, mailbox } = session.place()?;
    let query = Query { uids: rest, want: plan.want, changed_since: None, limit: plan.batch };
    let entries = view::entries(tx, account, mailbox, &query)?;
    let count = entries.len();
    cursor.last = match entries.last() {
        Some(last) if count == plan.batch => last.uid,
        Some(_) | None => u32::MAX,
    };
    let entries = sift(plan, cursor, entries);
    if entries.is_empty() || plan.want == Want::Summary {
        cursor.undecided = entries;
        return Ok(count);
    }
    let open: UidSet = entries.iter().map(|entry| entry.uid).collect();
    let query = Query { uids: &open, want: Want::Summary, changed_since: None, limit: plan.batch };
    let entries = view::entries(tx, account, mailbox, &query)?;
    cursor.undecided = sift(plan, cursor, entries);
    Ok(count)
}

/// Keeps what is not decided yet.
fn sift(plan: &Plan, cursor: &mut Cursor, mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.retain(|entry| match plan.decide(&Known::of_entry(entry)) {
        Some(true) => {
            cursor.found.each.push((entry.uid, entry.modseq));
            false
        }
        Some(false) => false,
        None => true,
    });
    entries
}

/// Decides what only the text of a message can. False: the budget is used up.
fn scan_texts(tx: &ReadTx, plan: &Plan, cursor: &mut Cursor, budget: &mut Budget) -> Result<bool, Error> {
    loop {
        let mut scan = match (cursor.scan.take(), cursor.undecided.pop()) {
            (Some(scan), next) => {
                cursor.undecided.extend(next);
                scan
            }
            (None, Some(entry)) => Box::new(Scan::new(plan, entry)),
            (None, None) => return Ok(true),
        };
        let decided = match scan.go_on(tx, plan, budget) {
            // What cannot be read is not found; the others still are.
            Err(error) if error.is_damage() => Some(false),
            other => other?,
        };
        match decided {
            Some(true) => cursor.found.each.push((scan.uid(), scan.mod_seq())),
            Some(false) => {}
            None => {
                cursor.scan = Some(scan);
                return Ok(false);
            }
        }
        if budget.is_spent() {
            return Ok(false);
        }
    }
}
