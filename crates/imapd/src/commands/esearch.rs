//! ESEARCH, the command: one search in several mailboxes (RFC 7377).
//!
//! Mailboxes that this login may not read, and names that are none, are left out without a word (RFC 7377 §2.2). Each
//! mailbox is answered once, whichever sources name it, and only when something was found in it.
//!
//! What it never does: search more than a budget's worth in one job, or change which mailbox is selected.

use std::collections::{BTreeSet, VecDeque};

use postroad_imap::command::{Esearch, Mailboxes, SearchReturn};
use postroad_imap::{MailboxName as WireName, Pattern, ResponseCode};
use postroad_mail::{Rights, Role, acl};
use postroad_store::ReadTx;

use crate::error::{Error, Reply};
use crate::names;
use crate::search::{self, answer};
use crate::session::{Flow, Place, Session};
use crate::shared::{self, Known};
use crate::sync::{self, Gathered};
use crate::target;

/// What ESEARCH keeps between its jobs.
#[derive(Debug, Default)]
pub(crate) struct Searching {
    /// Mailboxes to search, the next one first; `None`: not known yet.
    left: Option<VecDeque<Source>>,
    search: search::Cursor,
}

/// A mailbox to search.
#[derive(Debug)]
struct Source {
    place: Place,
    name: WireName,
    uid_validity: u32,
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
            if command.sources.contains(&Mailboxes::Selected) {
                session.view().map_err(|_| Error::bad("no mailbox is selected"))?;
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
    while let Some(source) = left.front() {
        // The right to read may have gone since the command began (RFC 4314 §4).
        let Place { account, mailbox } = source.place;
        if account != login && !acl::rights(tx, &who, account, mailbox)?.contains(Rights::READ) {
            cursor.search = search::Cursor::default();
            left.pop_front();
            continue;
        }
        let found = search::run(session, tx, source.place, &command.search.key, returns.relevancy, &mut cursor.search)?;
        if let Some(found) = found {
            if !found.uids().is_empty() {
                let answer = answer::of_mailbox(returns, &found);
                session.writer().esearch_in(&tag, &source.name, source.uid_validity, &answer);
            }
            left.pop_front();
            searched += 1;
            if searched < MAILBOXES_PER_JOB && !session.over_budget() {
                continue;
            }
        }
        cursor.left = Some(left);
        return Ok(Flow::More);
    }
    Ok(Flow::Done(Reply::ok("ESEARCH done")))
}

/// What to tell of each mailbox. RFC 7377 §2: without RETURN it is ALL.
fn returns(command: &Esearch) -> Result<SearchReturn, Error> {
    let returns = command.search.returns.unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    if returns.save {
        return Err(Error::bad("SAVE is for SEARCH: the result of ESEARCH is not of the selected mailbox alone"));
    }
    if returns.update {
        return Err(Error::no(ResponseCode::Cannot, "searches in several mailboxes are not kept up to date"));
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
        let Some(name) = names::to_wire(known.listed.name.as_str()) else { continue };
        left.push_back(Source { place: target.place(), name, uid_validity: target.mailbox.uidvalidity });
    }
    Ok(left)
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
