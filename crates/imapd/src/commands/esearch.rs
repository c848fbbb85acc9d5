//! ESEARCH, the command: one search in several mailboxes (RFC 7377).
//!
//! Mailboxes that this login may not read, and names that are none, are left out without a word (RFC 7377 §2.2): what is
//! named needs the right `r`, what is found by other means `l` too. Each mailbox is answered once, whichever sources name
//! it, and only when something was found in it. UPDATE follows the result of the selected mailbox, SAVE keeps it when no
//! other is searched.
//!
//! What it never does: search more than a budget's worth in one job, or change which mailbox is selected.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use postroad_imap::command::{Esearch, Mailboxes, SearchReturn};
use postroad_imap::{MailboxName as WireName, Pattern, ResponseCode};
use postroad_mail::{Rights, Role, UidSet, acl};
use postroad_store::ReadTx;

use crate::context::{self, Correlated};
use crate::error::{Error, Reply};
use crate::message_limit::{self, Cut};
use crate::names;
use crate::search::{self, answer, filters};
use crate::session::{Flow, Place, Session};
use crate::shared::{self, Known};
use crate::sync::{self, Gathered};
use crate::target::{self, Target};

/// What ESEARCH keeps between its jobs.
#[derive(Debug, Default)]
pub(crate) struct Searching {
    /// Mailboxes to search, the next one first; `None`: not known yet.
    left: Option<VecDeque<Source>>,
    search: search::Cursor,
    /// Messages looked at one by one so far.
    looked: u64,
    /// Where no more could be looked at (RFC 9738).
    cut: Option<Cut>,
    /// What was found in the selected mailbox, if the result is followed.
    selected: Option<(UidSet, Correlated)>,
}

/// A mailbox to search.
#[derive(Debug)]
struct Source {
    place: Place,
    name: WireName,
    uid_validity: u32,
    is_selected: bool,
}

pub(crate) fn run(
    session: &mut Session,
    tx: &ReadTx,
    command: &Esearch,
    cursor: &mut Searching,
) -> Result<Flow, Error> {
    let returns = returns(command)?;
    let mut left = match cursor.left.take() {
        Some(left) => left,
        None => {
            // RFC 7377 §2.2: updates are of the selected mailbox.
            if returns.update || command.sources.contains(&Mailboxes::Selected) {
                session.view().map_err(|_| Error::bad("no mailbox is selected"))?;
                context::check(session, &command.search)?;
                if sync::gather(session, tx)? == Gathered::Part {
                    return Ok(Flow::More);
                }
                sync::load_map(session, tx)?;
            }
            sources(session, tx, command)?
        }
    };
    let tag = session.tag_under_way().cloned().ok_or_else(|| Error::bug("a search without a tag"))?;
    let mut searched = 0;
    let (login, who) = (session.account()?, target::who(session)?);
    let most = message_limit::of_search(session);
    while let Some(source) = left.front() {
        // The right to read may have gone since the command began (RFC 4314 §4).
        let Place { account, mailbox } = source.place;
        if account != login && !acl::rights(tx, &who, account, mailbox)?.contains(Rights::READ) {
            cursor.search = search::Cursor::default();
            left.pop_front();
            continue;
        }
        cursor.search.most = most.map(|most| u32::try_from(u64::from(most).saturating_sub(cursor.looked)).unwrap_or(0));
        let found = search::run(session, tx, source.place, &command.search.key, returns.relevancy, &mut cursor.search)?;
        if let Some(found) = found {
            cursor.looked = cursor.looked.saturating_add(found.looked);
            cursor.cut = cursor.cut.or(found.cut);
            let uids = found.uids();
            if !uids.is_empty() && returns.is_answered() {
                let answer = answer::of_mailbox(returns, &found);
                session.writer().esearch_in(&tag, &source.name, source.uid_validity, &answer);
            }
            if let Some(source) = left.pop_front().filter(|source| source.is_selected) {
                if returns.save {
                    session.view_mut()?.saved = Arc::new(answer::told(returns, &uids, None));
                }
                let mailbox = Correlated { name: source.name, uid_validity: source.uid_validity };
                cursor.selected = returns.update.then_some((uids, mailbox));
            }
            searched += 1;
            if searched < MAILBOXES_PER_JOB && !session.over_budget() {
                continue;
            }
        }
        cursor.left = Some(left);
        return Ok(Flow::More);
    }
    finish(session, tx, command, cursor)
}

/// All mailboxes are searched.
fn finish(session: &mut Session, tx: &ReadTx, command: &Esearch, cursor: &mut Searching) -> Result<Flow, Error> {
    let cut = cursor.cut.take();
    if context::is_followed(&command.search) {
        match cursor.selected.take() {
            Some((uids, mailbox)) => {
                let search = filters::in_search(session, tx, &command.search)?;
                context::follow(session, &search, uids, cut, Some(mailbox))?;
            }
            None => context::refuse(session, "only the selected mailbox is followed, and it is not searched")?,
        }
    }
    let done = Reply::ok("ESEARCH done");
    Ok(Flow::Done(match (cut, command.sources.as_slice()) {
        // A UID says where to go on in one mailbox only.
        (Some(_), sources) if sources != [Mailboxes::Selected] => {
            Reply::ok_with(ResponseCode::Limit, "not all messages were looked at; search fewer mailboxes at once")
        }
        (cut, _) => message_limit::reply(session, cut, done),
    }))
}

/// What to tell of each mailbox. RFC 7377 §2: without RETURN it is ALL.
fn returns(command: &Esearch) -> Result<SearchReturn, Error> {
    let returns = command.search.returns.unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    if returns.save && command.sources != [Mailboxes::Selected] {
        return Err(Error::bad("SAVE is for the selected mailbox alone"));
    }
    Ok(returns)
}

fn sources(session: &Session, tx: &ReadTx, command: &Esearch) -> Result<VecDeque<Source>, Error> {
    let all = shared::known(session, tx, &[Pattern::new("", "*")])?;
    let selected = session.view.as_ref().map(|view| Place { account: view.account, mailbox: view.mailbox });
    let login = session.account()?;
    let mut seen = BTreeSet::new();
    let mut left = VecDeque::new();
    for known in &all {
        let Some(target) = known.target(login).filter(|target| target.rights.contains(Rights::READ)) else { continue };
        let is_meant = command.sources.iter().any(|source| match source {
            Mailboxes::Selected => selected == Some(target.place()),
            other => is_meant(other, known),
        });
        if !is_meant || !seen.insert((target.account.0, target.mailbox.id)) {
            continue;
        }
        let is_selected = selected == Some(target.place());
        left.extend(source(&target, is_selected));
    }
    for target in hidden(session, tx, command)? {
        if seen.insert((target.account.0, target.mailbox.id)) {
            left.extend(source(&target, selected == Some(target.place())));
        }
    }
    Ok(left)
}

fn source(target: &Target, is_selected: bool) -> Option<Source> {
    let name = names::to_wire(&target.shown())?;
    Some(Source { place: target.place(), name, uid_validity: target.mailbox.uidvalidity, is_selected })
}

/// Mailboxes of others that are named, or selected, and may be read, though no list has them (RFC 7377 §2.2: what is named
/// needs no `l`).
fn hidden(session: &Session, tx: &ReadTx, command: &Esearch) -> Result<Vec<Target>, Error> {
    let mut all = Vec::new();
    let mut names: Vec<WireName> = Vec::new();
    for source in &command.sources {
        match source {
            Mailboxes::Selected => {
                let place = session.place()?;
                names.extend(target::name_of(session, tx, place)?.and_then(|name| names::to_wire(&name)));
            }
            Mailboxes::Named(named) | Mailboxes::Subtree(named) | Mailboxes::SubtreeOne(named) => {
                names.extend(named.iter().filter(|name| target::is_of_others(name)).cloned());
            }
            Mailboxes::Inboxes | Mailboxes::Personal | Mailboxes::Subscribed => {}
        }
    }
    if names.len() > HIDDEN_MAX {
        return Err(Error::no(ResponseCode::Limit, "too many mailboxes of others are named at once"));
    }
    for name in &names {
        match target::look(session, tx, name, Rights::READ) {
            Ok(target) if target.mailbox.selectable => all.push(target),
            Ok(_) => {}
            Err(error) if error.log().is_some() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(all)
}

/// Whether a set of mailboxes has this one.
pub(crate) fn is_meant(mailboxes: &Mailboxes, known: &Known) -> bool {
    let name = known.listed.name.as_str();
    let is = |wanted: &WireName| {
        let wanted = wanted.without_trailing_separator();
        wanted.as_str() == name || wanted.as_str().eq_ignore_ascii_case("INBOX") && name == "INBOX"
    };
    let below = |wanted: &WireName| {
        let wanted = wanted.without_trailing_separator();
        // RFC 5465 §6.5: the empty name is the root.
        match wanted.as_str() {
            "" => Some(name),
            wanted => name.strip_prefix(wanted).and_then(|rest| rest.strip_prefix('/')),
        }
        .map(str::to_owned)
    };
    match mailboxes {
        Mailboxes::Selected => false,
        Mailboxes::Inboxes => {
            known.shared.is_none()
                && known.listed.mailbox.as_ref().is_some_and(|mailbox| mailbox.role == Some(Role::Inbox))
        }
        Mailboxes::Personal => known.shared.is_none(),
        Mailboxes::Subscribed => known.listed.subscribed,
        Mailboxes::Subtree(names) => names.iter().any(|wanted| is(wanted) || below(wanted).is_some()),
        Mailboxes::SubtreeOne(names) => {
            names.iter().any(|wanted| is(wanted) || below(wanted).is_some_and(|rest| !rest.contains('/')))
        }
        Mailboxes::Named(names) => names.iter().any(is),
    }
}

/// Mailboxes searched by one job, small as they may be.
const MAILBOXES_PER_JOB: usize = 100;
/// Mailboxes of others that one command names: each is looked for by itself.
const HIDDEN_MAX: usize = 100;
