//! Results that are followed: SEARCH and SORT RETURN (UPDATE), CANCELUPDATE (RFC 5267 §4.3).
//!
//! Invariants:
//! 1. A result is what its client can work out from the first answer and all ADDTO and REMOVEFROM since.
//! 2. An update costs what changed: only messages that came or changed are asked whether they match, only
//!    their keys are read, and their places are looked up by halves.
//! 3. REMOVEFROM for what is expunged comes before EXPUNGE or VANISHED, ADDTO for what came after EXISTS, so
//!    that message numbers are those the client knows.
//!
//! Message numbers and `$` among the keys mean the messages that they meant when the command came. What a
//! key says of the time (YOUNGER and the like) is looked at when a message changes.

mod frozen;
mod order;

use std::sync::Arc;

pub(crate) use frozen::uids as these;

use postroad_imap::command::{FetchItem, Search, SearchKey, Sort, SortCriterion, SortKey};
use postroad_imap::encode::{ContextChange, Results};
use postroad_imap::{MailboxName, Numbering, ResponseCode, Status, Tag};
use postroad_mail::UidSet;
use postroad_store::ReadTx;

use crate::collation::Collation;
use crate::error::{Error, Reply};
use crate::message_limit::Cut;
use crate::search::{self, answer};
use crate::session::Session;
use crate::sort::load::Loading;
use crate::sync::{self, Gathered};
use crate::view::View;

/// A result that is followed.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    tag: Tag,
    numbering: Numbering,
    key: Arc<SearchKey>,
    collation: Collation,
    result: Followed,
    /// What to tell of new messages that match (RFC 5465 §7).
    push: Arc<Vec<FetchItem>>,
    /// Of an ESEARCH: the mailbox's name and UIDVALIDITY are told each time (RFC 7377 §2.1).
    mailbox: Option<Arc<Correlated>>,
}

/// What tells the results of ESEARCH in one mailbox apart.
#[derive(Debug, Clone)]
pub(crate) struct Correlated {
    pub(crate) name: MailboxName,
    pub(crate) uid_validity: u32,
}

#[derive(Debug, Clone)]
enum Followed {
    /// Of SEARCH.
    Set(Arc<UidSet>),
    /// Of SORT, with what it goes by.
    Order(Arc<Vec<u32>>, Arc<Vec<SortCriterion>>, Arc<Loading>),
}

impl Context {
    /// Numbers that it keeps in memory, about.
    fn weight(&self) -> usize {
        match &self.result {
            Followed::Set(uids) => uids.ranges().len() * 2,
            Followed::Order(uids, _, _) => uids.len(),
        }
    }

    fn tell(&self, session: &mut Session, changes: &[ContextChange]) {
        let mailbox = self.mailbox.as_deref().map(|mailbox| (&mailbox.name, mailbox.uid_validity));
        session.writer().context(&self.tag, mailbox, self.numbering, changes);
    }
}

/// Whether the client asked for updates.
pub(crate) fn is_followed(search: &Search) -> bool {
    search.returns.is_some_and(|returns| returns.update)
}

/// RFC 5267 §4.3: a tag that an updating search has already is refused.
pub(crate) fn check(session: &Session, search: &Search) -> Result<(), Error> {
    if !is_followed(search) {
        return Ok(());
    }
    let tag = session.tag_under_way();
    if session.view()?.contexts.iter().any(|context| Some(&context.tag) == tag) {
        return Err(Error::bad("updates of a search with this tag are under way; CANCELUPDATE ends them"));
    }
    Ok(())
}

/// Follows the result of a SEARCH, if that is asked for: a whole one. `mailbox`: the command was ESEARCH.
pub(crate) fn follow(
    session: &mut Session,
    search: &Search,
    uids: UidSet,
    cut: Option<Cut>,
    mailbox: Option<Correlated>,
) -> Result<(), Error> {
    if cut.is_some() && is_followed(search) {
        return refuse(session, "a part of a result is not followed");
    }
    begin(session, search, Followed::Set(Arc::new(uids)), mailbox)
}

/// Follows the result of a SORT, if that is asked for.
pub(crate) fn follow_order(
    session: &mut Session,
    sort: &Sort,
    order: Arc<Vec<u32>>,
    loading: Arc<Loading>,
) -> Result<(), Error> {
    // How well a message matches is known only among all others.
    if sort.criteria.iter().any(|criterion| criterion.key == SortKey::Relevancy) && is_followed(&sort.search) {
        return refuse(session, "an order by relevancy is not followed");
    }
    begin(session, &sort.search, Followed::Order(order, Arc::new(sort.criteria.clone()), loading), None)
}

fn begin(session: &mut Session, search: &Search, result: Followed, mailbox: Option<Correlated>) -> Result<(), Error> {
    if !is_followed(search) {
        return Ok(());
    }
    let tag = session.tag_under_way().cloned().ok_or_else(|| Error::bug("a search without a tag"))?;
    let push = Arc::new(search.push.clone());
    let key = Arc::new(frozen::key(session.view()?, &search.key));
    let mailbox = mailbox.map(Arc::new);
    let collation = session.collation;
    let context = Context { tag, numbering: search.numbering, key, collation, result, push, mailbox };
    let contexts = &session.view()?.contexts;
    let weight = contexts.iter().map(Context::weight).sum::<usize>() + context.weight();
    if contexts.len() >= CONTEXTS_MAX || weight > NUMBERS_MAX {
        return refuse(session, "too many results are followed already");
    }
    let mut contexts = contexts.to_vec();
    contexts.push(context);
    session.view_mut()?.contexts = Arc::new(contexts);
    Ok(())
}

/// RFC 5267 §4.3.1.
pub(crate) fn refuse(session: &mut Session, why: &str) -> Result<(), Error> {
    let tag = session.tag_under_way().cloned().ok_or_else(|| Error::bug("a search without a tag"))?;
    session.writer().untagged(Status::No, Some(&ResponseCode::NoUpdate(tag)), why);
    Ok(())
}

/// CANCELUPDATE (RFC 5267 §4.3.5).
pub(crate) fn cancel(session: &mut Session, tags: &[Tag]) -> Reply {
    let Some(view) = &mut session.view else { return Reply::bad("select a mailbox first") };
    let unknown = tags.iter().any(|tag| view.contexts.iter().all(|context| context.tag != *tag));
    let rest: Vec<Context> = view.contexts.iter().filter(|context| !tags.contains(&context.tag)).cloned().collect();
    view.contexts = Arc::new(rest);
    match unknown {
        true => Reply::no(ResponseCode::ClientBug, "no updates are sent for one of these tags"),
        false => Reply::ok("CANCELUPDATE done"),
    }
}

/// Ends what is told in message sequence numbers: the client has no more use for them (RFC 9586).
pub(crate) fn without_numbers(session: &mut Session) {
    let Some(view) = &mut session.view else { return };
    let (ended, rest): (Vec<Context>, Vec<Context>) =
        view.contexts.iter().cloned().partition(|context| context.numbering == Numbering::Sequence);
    view.contexts = Arc::new(rest);
    for context in ended {
        let code = ResponseCode::NoUpdate(context.tag);
        session.now_writer().untagged(Status::No, Some(&code), "message numbers are told no more");
    }
}

/// Whether new messages that match one of the results are told of besides.
pub(crate) fn pushes(session: &Session) -> bool {
    session.view.as_ref().is_some_and(|view| view.contexts.iter().any(|context| !context.push.is_empty()))
}

/// These messages came or changed, perhaps by this session itself: news to what it follows.
pub(crate) fn touched(session: &mut Session, uids: impl IntoIterator<Item = u32>) {
    if let Some(view) = session.view.as_mut().filter(|view| !view.contexts.is_empty()) {
        view.touched = Arc::new(view.touched.union(&uids.into_iter().collect()));
    }
}

/// Tells what became of the results now that messages came or changed, as far as one job goes. The view is up
/// to date.
pub(crate) fn update(session: &mut Session, tx: &ReadTx) -> Result<Gathered, Error> {
    let view = session.view_mut()?;
    if view.contexts.is_empty() || view.touched.is_empty() {
        return Ok(Gathered::All);
    }
    let changed: UidSet = view.touched.iter().take(changed_per_job(&view.contexts)).collect();
    view.touched = Arc::new(view.touched.difference(&changed));
    let rest = if view.touched.is_empty() { Gathered::All } else { Gathered::Part };
    sync::load_map(session, tx)?;
    // What is gone stays in the results until the client is told.
    let changed = changed.difference(&session.view()?.ghosts);
    let contexts = Arc::clone(&session.view()?.contexts);
    let mut after = Vec::with_capacity(contexts.len());
    for context in contexts.iter() {
        let matching = matching(session, tx, context, &changed)?;
        after.push(one(session, tx, context, &changed, &matching)?);
        if !context.push.is_empty() {
            let new = session.view()?.came.intersection(&matching);
            session.fresh.add(&context.push, &new);
        }
    }
    let view = session.view_mut()?;
    view.contexts = Arc::new(after);
    if rest == Gathered::All {
        view.came = Arc::default();
    }
    Ok(rest)
}

/// So many messages are asked by one job whether they match. That may mean to read their texts, once for each result: of a
/// few large ones that takes as long as a job may.
fn changed_per_job(contexts: &[Context]) -> usize {
    match contexts.iter().filter(|context| reads_text(&context.key)).count() {
        0 => CHANGED_PER_JOB,
        texts => (TEXTS_PER_JOB / texts).max(1),
    }
}

fn reads_text(key: &SearchKey) -> bool {
    match key {
        SearchKey::And(keys) => keys.iter().any(reads_text),
        SearchKey::Or(one, other) => reads_text(one) || reads_text(other),
        SearchKey::Not(key) | SearchKey::Fuzzy(key) | SearchKey::GmailRaw(key) => reads_text(key),
        other => matches!(other, SearchKey::Body(_) | SearchKey::Text(_) | SearchKey::Header(..)),
    }
}

/// Tells what leaves the results because it is expunged, before the client is told that it is.
pub(crate) fn expunging(session: &mut Session, gone: &UidSet) -> Result<(), Error> {
    let contexts = Arc::clone(&session.view()?.contexts);
    if contexts.is_empty() || gone.is_empty() {
        return Ok(());
    }
    let mut after = Vec::with_capacity(contexts.len());
    for context in contexts.iter() {
        let mut context = context.clone();
        let changes = match &mut context.result {
            Followed::Set(uids) => {
                let removed = uids.intersection(gone);
                *uids = Arc::new(uids.difference(gone));
                set_changes(session.view()?, context.numbering, &removed, &UidSet::new())
            }
            Followed::Order(uids, _, _) => {
                let (rest, changes) = order::remove(uids, gone, &number(session.view()?, context.numbering));
                *uids = Arc::new(rest);
                changes
            }
        };
        context.tell(session, &changes);
        after.push(context);
    }
    session.view_mut()?.contexts = Arc::new(after);
    Ok(())
}

/// Which of these messages match.
fn matching(session: &mut Session, tx: &ReadTx, context: &Context, uids: &UidSet) -> Result<UidSet, Error> {
    let key = SearchKey::And(vec![frozen::uids(uids), SearchKey::clone(&context.key)]);
    let search = Search { numbering: Numbering::Uid, returns: None, key, push: Vec::new() };
    let collation = std::mem::replace(&mut session.collation, context.collation);
    let mut cursor = search::Cursor::default();
    let found = loop {
        match search::find(session, tx, &search, false, &mut cursor) {
            Ok(None) => {}
            Ok(Some(found)) => break Ok(found.uids()),
            Err(error) => break Err(error),
        }
    };
    session.collation = collation;
    found
}

/// Brings one result up to date and tells how it changed.
fn one(
    session: &mut Session,
    tx: &ReadTx,
    context: &Context,
    changed: &UidSet,
    matching: &UidSet,
) -> Result<Context, Error> {
    let mut context = context.clone();
    let changes = match &mut context.result {
        Followed::Set(uids) => {
            let removed = uids.intersection(changed).difference(matching);
            let added = matching.difference(uids);
            *uids = Arc::new(uids.difference(&removed).union(&added));
            set_changes(session.view()?, context.numbering, &removed, &added)
        }
        Followed::Order(uids, criteria, loading) => {
            if matching.last().is_some() {
                let mut more = Loading::clone(loading);
                more.follow(session)?;
                while !more.go_on(session, tx)? {}
                *loading = Arc::new(more);
            }
            let number = number(session.view()?, context.numbering);
            let (rest, mut changes) = order::remove(uids, &changed.difference(matching), &number);
            let criteria = crate::sort::order::By::all(criteria, context.collation, loading, None);
            let (all, added) = order::add(&rest, matching, &criteria, &number);
            changes.extend(added);
            *uids = Arc::new(all);
            changes
        }
    };
    context.tell(session, &changes);
    Ok(context)
}

fn number(view: &View, numbering: Numbering) -> impl Fn(u32) -> u32 + '_ {
    move |uid| answer::numbered(view, numbering, uid).unwrap_or(uid)
}

/// RFC 5267 §4.3.3: results of SEARCH are in the order of the mailbox, and need no places.
fn set_changes(view: &View, numbering: Numbering, removed: &UidSet, added: &UidSet) -> Vec<ContextChange> {
    let results = |uids: &UidSet| Results::Set(answer::numbers(view, numbering, uids));
    let removed = (!removed.is_empty()).then(|| ContextChange::Remove(0, results(removed)));
    let added = (!added.is_empty()).then(|| ContextChange::Add(0, results(added)));
    removed.into_iter().chain(added).collect()
}

/// Messages that came or changed that one job asks whether they match.
const CHANGED_PER_JOB: usize = 250;
/// The same where that means to read their texts, of all results together.
const TEXTS_PER_JOB: usize = 8;
/// Results followed at a time. RFC 5267 §4.3.1 asks for one at least.
const CONTEXTS_MAX: usize = 16;
/// Numbers kept for all of them.
const NUMBERS_MAX: usize = 1_000_000;
