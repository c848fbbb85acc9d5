//! LIST (RFC 9051 §6.3.9; RFC 5258, RFC 5819, RFC 6154), and XLIST for Outlook 2013.
//!
//! Special uses are told always, whether asked for or not: several clients never ask.

use std::collections::BTreeMap;

use postroad_imap::command::{List, StatusItem};
use postroad_imap::encode::{ListExtra, ListResponse, MailboxAttribute};
use postroad_imap::{Pattern, ResponseCode, SpecialUse};
use postroad_mail::{MailboxName, Rights, Role};
use postroad_store::ReadTx;

use super::{acl, metadata, status};
use crate::error::{Error, Reply};
use crate::names;
use crate::session::{Flow, Session};
use crate::settings::PATTERN_OCTETS_MAX;
use crate::shared::{self, Known};

pub(crate) fn run(session: &mut Session, tx: &ReadTx, list: &List) -> Result<Flow, Error> {
    let done = Ok(Flow::Done(Reply::ok(if list.xlist { "XLIST done" } else { "LIST done" })));
    // RFC 9051 §6.3.9: an empty name asks for the separator, and the root of the reference.
    if !list.extended && list.patterns.iter().all(String::is_empty) {
        let root = ListResponse { attributes: &[MailboxAttribute::NoSelect], name: None, extra: &[] };
        session.writer().list_as(list, &root);
        return done;
    }
    let octets: usize = list.patterns.iter().map(|pattern| pattern.len() + list.reference.len()).sum();
    if octets > PATTERN_OCTETS_MAX {
        return Err(Error::no(ResponseCode::Limit, "the patterns of one LIST are too long"));
    }
    let patterns: Vec<Pattern> =
        list.patterns.iter().filter(|text| !text.is_empty()).map(|text| Pattern::new(&list.reference, text)).collect();
    let all = shared::known(session, tx, &patterns)?;
    let mut annotations = metadata::Listing::default();
    for (name, line) in choose(list, &patterns, &all) {
        tell(session, tx, list, &name, &line, &mut annotations)?;
    }
    done
}

/// What is to be told of a name.
struct Line<'a> {
    /// What the store has of it; `None`: only names below it are there.
    known: Option<&'a Known>,
    /// The selection options chose names below it (RFC 5258 §4).
    child_info: bool,
}

/// The names that patterns and selection options choose, in the order of the store.
fn choose<'a>(list: &List, patterns: &[Pattern], all: &'a [Known]) -> Vec<(MailboxName, Line<'a>)> {
    let mut lines: Vec<(MailboxName, Line<'a>)> = Vec::new();
    let mut places: BTreeMap<MailboxName, usize> = BTreeMap::new();
    let matches = |name: &MailboxName| patterns.iter().any(|pattern| pattern.matches(name.as_str()));
    let matches_level = |name: &MailboxName| {
        patterns.iter().any(|pattern| pattern.as_str().ends_with('%') && pattern.matches(name.as_str()))
    };
    for known in all {
        let name = &known.listed.name;
        let as_level = known.is_level && !(list.selection.subscribed && known.listed.subscribed);
        let told = if as_level { matches_level(name) } else { matches(name) };
        if told && selected(list, known) {
            places.insert(name.clone(), lines.len());
            lines.push((name.clone(), Line { known: Some(known), child_info: false }));
        }
    }
    if !list.selection.recursive_match {
        return lines;
    }
    // RFC 9051 §6.3.9.6: RECURSIVEMATCH also tells the parents of what is selected, but only for what is not
    // told itself: the rest would be redundant.
    for known in all.iter().filter(|known| selected(list, known) && !matches(&known.listed.name)) {
        for parent in known.listed.name.ancestors().filter(&matches) {
            let place = *places.entry(parent.clone()).or_insert_with(|| {
                let own = all.iter().find(|other| other.listed.name == parent);
                lines.push((parent, Line { known: own, child_info: false }));
                lines.len() - 1
            });
            lines[place].1.child_info = true;
        }
    }
    lines
}

/// Whether the selection options (RFC 5258 §3.1) choose it; REMOTE adds nothing here.
fn selected(list: &List, known: &Known) -> bool {
    let listed = &known.listed;
    let use_of = listed.mailbox.as_ref().and_then(|mailbox| mailbox.role).and_then(special_use);
    if list.selection.special_use && (use_of.is_none() || known.shared.is_some()) {
        return false;
    }
    match list.selection.subscribed {
        true => listed.subscribed,
        // A subscription to a name that is not there is told only to who asks for subscriptions.
        false => listed.mailbox.is_some() || known.is_level,
    }
}

fn tell(
    session: &mut Session,
    tx: &ReadTx,
    list: &List,
    name: &MailboxName,
    line: &Line<'_>,
    annotations: &mut metadata::Listing,
) -> Result<(), Error> {
    let Some(wire_name) = names::to_wire(name.as_str()) else { return Ok(()) };
    let attributes = attributes(list, line);
    let child_info = line.child_info && list.selection.subscribed;
    let extra: &[ListExtra] = if child_info { &[ListExtra::ChildInfoSubscribed] } else { &[] };
    let response = ListResponse { attributes: &attributes, name: Some(&wire_name), extra };
    session.writer().list_as(list, &response);
    // RFC 5819 §2: no STATUS of what cannot be selected. LIST comes before its STATUS.
    let login = session.account()?;
    let Some(target) = line.known.and_then(|known| known.target(login)) else { return Ok(()) };
    if list.returns.my_rights {
        session.writer().my_rights(&wire_name, &acl::shown(target.rights));
    }
    if let Some(entries) = &list.returns.metadata {
        annotations.tell(session, tx, &wire_name, &target, entries)?;
    }
    let items: Option<&Vec<StatusItem>> = list.returns.status.as_ref();
    if let (Some(items), true) = (items, target.rights.contains(Rights::READ)) {
        let values = status::values(session, tx, &target, items)?;
        session.writer().status(&wire_name, &values);
    }
    Ok(())
}

/// The attributes that an event tells (RFC 5465 §5.4), with `\Subscribed`.
pub(crate) fn event_attributes(known: &Known) -> Vec<MailboxAttribute> {
    let mut list = List { extended: true, ..List::default() };
    list.returns.subscribed = true;
    attributes(&list, &Line { known: Some(known), child_info: false })
}

fn attributes(list: &List, line: &Line<'_>) -> Vec<MailboxAttribute> {
    let mut all = Vec::new();
    let listed = line.known.map(|known| &known.listed);
    let mailbox = listed.and_then(|listed| listed.mailbox.as_ref());
    match mailbox {
        None if !list.extended && line.known.is_some_and(|known| known.is_level) => {
            all.push(MailboxAttribute::NoSelect)
        }
        None => all.push(MailboxAttribute::NonExistent),
        Some(mailbox) if !mailbox.selectable => all.push(MailboxAttribute::NoSelect),
        Some(_) => {}
    }
    let has_children = listed.is_none_or(|listed| listed.has_children);
    all.push(if has_children { MailboxAttribute::HasChildren } else { MailboxAttribute::HasNoChildren });
    let told = list.selection.subscribed || list.returns.subscribed;
    if told && listed.is_some_and(|listed| listed.subscribed) {
        all.push(MailboxAttribute::Subscribed);
    }
    let own = line.known.is_none_or(|known| known.shared.is_none());
    let role = mailbox.and_then(|mailbox| mailbox.role).filter(|_| own);
    if list.xlist && role == Some(Role::Inbox) {
        all.push(MailboxAttribute::Inbox);
    }
    all.extend(role.and_then(special_use).map(MailboxAttribute::Use));
    all
}

/// The attribute of a role; INBOX has none.
fn special_use(role: Role) -> Option<SpecialUse> {
    match role {
        Role::Inbox => None,
        Role::Drafts => Some(SpecialUse::Drafts),
        Role::Sent => Some(SpecialUse::Sent),
        Role::Archive => Some(SpecialUse::Archive),
        Role::Junk => Some(SpecialUse::Junk),
        Role::Trash => Some(SpecialUse::Trash),
        Role::Flagged => Some(SpecialUse::Flagged),
        Role::Important => Some(SpecialUse::Important),
        Role::All => Some(SpecialUse::All),
    }
}
