//! SEARCH and UID SEARCH (RFC 9051 §6.4.4; RFC 4731 ESEARCH, RFC 5182 SEARCHRES, RFC 5032 WITHIN, RFC 7162
//! MODSEQ, RFC 8474, RFC 8514 SAVEDATE).
//!
//! What it is: the keys become a tree that is asked with as little as decides it: first with the rows of
//! the entries, in sets; for what stays open with their summaries; for what is open still with the text
//! of the message, read by pieces. A job stops at its budget, if need be in the middle of a message.
//!
//! Text matches as RFC 9051 says, substring by substring by the session's comparator: the index
//! (`postroad_mail::index`) proposes messages, their text decides. FUZZY keys (RFC 6203) match by words.
//!
//! [`run`] searches any mailbox, selected or not: for SEARCH, SORT and THREAD, for ESEARCH in several mailboxes, and
//! for whoever asks whether messages match a key.
//!
//! What it never does: report a message that the client does not see, or hold more than a piece of one.

pub(crate) mod answer;
mod deep;
pub(crate) mod filters;
mod key;
mod plan;
mod text;

use std::collections::HashMap;

use postroad_imap::command::{Search, SearchKey, SearchReturn};
use postroad_mail::view::{self, Query};
use postroad_mail::{Entry, UidSet, Want};
use postroad_store::{ModSeq, ReadTx};

use crate::context;
use crate::error::{Error, Reply};
use crate::fetch::octets::{self, Budget};
use crate::gmail;
use crate::message_limit::{self, Cut};
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
    /// Rows from this UID on were looked at, where that is done from the end.
    first: Option<u32>,
    aim: Aim,
    /// Messages whose text decides.
    undecided: Vec<Entry>,
    /// The message that a job stopped in.
    scan: Option<Box<Scan>>,
    found: Found,
    /// No more messages are looked at one by one (RFC 9738); `None`: any number.
    pub(crate) most: Option<u32>,
}

impl Cursor {
    /// How many messages are decided, and of how many that may match.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        let all = &self.plan.as_ref()?.candidates;
        let looked = match (self.aim.from_end, self.first) {
            (false, _) => UidSet::range(1, self.last.max(1)),
            (true, Some(first)) => UidSet::range(first, u32::MAX),
            (true, None) => UidSet::new(),
        };
        let looked = all.intersection(&looked).count();
        let open = self.undecided.len() as u64 + u64::from(self.scan.is_some());
        Some((looked.saturating_sub(open), all.count()))
    }
}

/// How much of a result is asked for: whoever wants the first or the last messages need not wait for the others.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Aim {
    /// So many messages will do; `None`: all that match.
    enough: Option<usize>,
    /// They are looked for from the end.
    from_end: bool,
}

impl Aim {
    fn of(search: &Search) -> Aim {
        let all = Aim::default();
        let Some(returns) = search.returns else { return all };
        let SearchReturn { min, max, all: whole, count, save, partial, update, context, relevancy } = returns;
        if whole || count || save || update || context || relevancy {
            return all;
        }
        match (min, max, partial) {
            (true, false, None) => Aim { enough: Some(1), from_end: false },
            (false, true, None) => Aim { enough: Some(1), from_end: true },
            (false, false, Some(range)) => {
                let enough = usize::try_from(range.from.max(range.to)).ok();
                Aim { enough, from_end: range.from_end }
            }
            (true, _, _) | (_, true, _) | (false, false, None) => all,
        }
    }
}

impl Cursor {
    /// What is to be looked at: from the end, no more than is looked at together.
    fn rest(&self, plan: &Plan) -> UidSet {
        if !self.aim.from_end {
            return match self.last.checked_add(1) {
                Some(next) => plan.candidates.intersection(&UidSet::range(next, u32::MAX)),
                None => UidSet::new(),
            };
        }
        let before = match self.first {
            Some(first) => plan.candidates.intersection(&UidSet::range(0, first.saturating_sub(1))),
            None => plan.candidates.clone(),
        };
        let count = usize::try_from(before.count()).unwrap_or(usize::MAX);
        answer::nth(&before, count.saturating_sub(plan.batch)..count)
    }
}

/// What was found, in any order.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Found without looking at rows.
    at_once: UidSet,
    /// Found one by one.
    each: Vec<(u32, ModSeq)>,
    /// A MODSEQ key was among the keys: the answer tells the highest (RFC 7162 §3.1.5).
    with_mod_seq: bool,
    /// Not all were looked at that the client named (RFC 9738).
    pub(crate) cut: Option<Cut>,
    /// How many were looked at one by one.
    pub(crate) looked: u64,
    /// How well those match that FUZZY keys found, from 1 to 100, when it was asked (RFC 6203 §4).
    relevancy: HashMap<u32, u8>,
}

impl Found {
    /// All that was found.
    pub(crate) fn uids(&self) -> UidSet {
        self.at_once.union(&self.each.iter().map(|(uid, _)| *uid).collect())
    }

    /// How well a message matches: 100 where no FUZZY key said otherwise.
    pub(crate) fn relevancy(&self, uid: u32) -> u8 {
        self.relevancy.get(&uid).copied().unwrap_or(100)
    }

    fn add(&mut self, plan: &Plan, known: &Known<'_>) {
        let (uid, mod_seq) = known.message();
        self.each.push((uid, mod_seq));
        if plan.scored {
            let mut all = Vec::new();
            plan.rest.iter().for_each(|node| node.relevancies(known, &mut all));
            if !all.is_empty() {
                let mean = all.iter().map(|score| usize::from(*score)).sum::<usize>() / all.len();
                self.relevancy.insert(uid, mean.clamp(1, 100) as u8);
            }
        }
    }
}

/// One job of SEARCH.
pub(crate) fn read(session: &mut Session, tx: &ReadTx, search: &Search, cursor: &mut Cursor) -> Result<Flow, Error> {
    if cursor.plan.is_none() {
        context::check(session, search)?;
        cursor.aim = Aim::of(search);
    }
    cursor.most = message_limit::of_search(session);
    let Some(found) = find(session, tx, search, false, cursor)? else { return Ok(Flow::More) };
    let (uids, cut) = (found.uids(), found.cut);
    answer::write(session, search, found, None)?;
    if context::is_followed(search) {
        let search = filters::in_search(session, tx, search)?;
        context::follow(session, &search, uids, cut, None)?;
    }
    Ok(Flow::Done(message_limit::reply(session, cut, Reply::ok("SEARCH done"))))
}

/// One job of looking for what a SEARCH, SORT or THREAD is about; `None`: the next job goes on. `scored`: how
/// well messages match is asked, also where the answer does not tell it.
pub(crate) fn find(
    session: &mut Session,
    tx: &ReadTx,
    search: &Search,
    scored: bool,
    cursor: &mut Cursor,
) -> Result<Option<Found>, Error> {
    let place = session.place()?;
    let scored = scored || search.returns.is_some_and(|returns| returns.relevancy);
    run(session, tx, place, &search.key, scored, cursor)
}

/// One job of looking for the messages of a mailbox that match; `None`: the next job goes on, with the same
/// arguments. Where the mailbox is selected, these are messages of the view; elsewhere, of the database, and
/// message numbers, `$` and RECENT mean nothing. `scored`: how well they match is asked too.
pub(crate) fn run(
    session: &mut Session,
    tx: &ReadTx,
    place: Place,
    key: &SearchKey,
    scored: bool,
    cursor: &mut Cursor,
) -> Result<Option<Found>, Error> {
    let plan = match cursor.plan.take() {
        Some(plan) => plan,
        None => {
            let key = gmail::expanded(session, tx, place, filters::expanded(session, tx, key)?)?;
            let mut plan = Plan::new(session, tx, place, key.as_ref(), scored)?;
            plan.limit(cursor.most);
            plan
        }
    };
    if plan.condstore {
        session.enable_condstore();
    }
    let whole = go_on(tx, &plan, cursor)?;
    cursor.found.with_mod_seq = plan.condstore;
    cursor.found.cut = plan.cut;
    cursor.found.looked = plan.looked();
    if whole {
        let found = std::mem::take(&mut cursor.found);
        *cursor = Cursor::default();
        return Ok(Some(found));
    }
    cursor.plan = Some(plan);
    Ok(None)
}

/// False: the budget is used up before the end.
fn go_on(tx: &ReadTx, plan: &Plan, cursor: &mut Cursor) -> Result<bool, Error> {
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
        // All that were looked at are decided here.
        let enough = cursor.aim.enough.is_some_and(|enough| cursor.found.each.len() >= enough);
        let rest = cursor.rest(plan);
        if enough || rest.is_empty() {
            return Ok(true);
        }
        if looked >= MESSAGES_PER_JOB {
            return Ok(false);
        }
        looked += look(tx, plan, cursor, &rest)?;
    }
}

/// Decides a set of messages as far as rows and summaries can. How many there were.
fn look(tx: &ReadTx, plan: &Plan, cursor: &mut Cursor, rest: &UidSet) -> Result<usize, Error> {
    let Place { account, mailbox } = plan.place;
    let query = Query { uids: rest, want: plan.want, changed_since: None, limit: plan.batch };
    let entries = view::entries(tx, account, mailbox, &query)?;
    let count = entries.len();
    cursor.last = match entries.last() {
        Some(last) if count == plan.batch => last.uid,
        Some(_) | None => u32::MAX,
    };
    cursor.first = rest.first();
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
    entries.retain(|entry| {
        let known = Known::of_entry(entry);
        match plan.decide(&known) {
            // How well it matches, only its text may know.
            Some(true) if plan.scored && plan.want == Want::Summary && !plan.wanted.is_empty() => true,
            Some(true) => {
                cursor.found.add(plan, &known);
                false
            }
            Some(false) => false,
            None => true,
        }
    });
    entries
}

/// Decides what only the text of a message can. False: the budget is used up.
fn scan_texts(tx: &ReadTx, plan: &Plan, cursor: &mut Cursor, budget: &mut Budget) -> Result<bool, Error> {
    octets::ahead(tx, cursor.undecided.iter().rev())?;
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
            Some(true) => cursor.found.add(plan, &scan.known()),
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
