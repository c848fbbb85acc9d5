//! The names that a client may know, with the events that it wants to hear of each: a picture, and what changed in it.

use std::collections::{BTreeMap, BTreeSet};

use postroad_imap::Pattern;
use postroad_imap::command::Mailboxes;
use postroad_imap::encode::{ListExtra, ListResponse, MailboxAttribute};
use postroad_mail::{MailboxId, MailboxName, Rights};
use postroad_store::{AccountId, ReadTx};

use super::Events;
use crate::commands::{event_attributes, is_meant};
use crate::error::Error;
use crate::names::to_wire;
use crate::session::Session;
use crate::shared::{self, Known};

/// All names, as they were at one moment.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_name: BTreeMap<MailboxName, Seen>,
    by_place: BTreeMap<(AccountId, MailboxId), MailboxName>,
}

/// A name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    /// The mailbox, if there is one.
    place: Option<(AccountId, MailboxId)>,
    subscribed: bool,
    /// It has the rights `l` and `r`.
    readable: bool,
    /// Its annotations may be seen (RFC 5464 §3.3).
    annotated: bool,
    events: Events,
    /// As LIST tells it.
    attributes: Vec<MailboxAttribute>,
}

impl Names {
    /// The accounts whose mailboxes have events.
    pub(super) fn accounts(&self) -> BTreeSet<AccountId> {
        let watched = self.by_name.values().filter(|seen| seen.events != Events::default());
        watched.filter_map(|seen| seen.place.map(|(account, _)| account)).collect()
    }

    /// The name of a mailbox and its events; `None` where nothing may be told.
    pub(super) fn of(&self, account: AccountId, mailbox: MailboxId) -> Option<(String, Events)> {
        let name = self.by_place.get(&(account, mailbox))?;
        let seen = self.by_name.get(name).filter(|seen| seen.readable)?;
        Some((name.as_str().to_owned(), seen.events))
    }

    /// The name of a mailbox whose annotations are told of.
    pub(super) fn of_annotations(&self, account: AccountId, mailbox: MailboxId) -> Option<&str> {
        let name = self.by_place.get(&(account, mailbox))?;
        self.by_name.get(name).filter(|seen| seen.annotated && seen.events.metadata).map(|_| name.as_str())
    }

    /// The mailboxes with events of messages, by account.
    pub(super) fn with_messages(&self) -> BTreeMap<AccountId, Vec<i64>> {
        let mut all: BTreeMap<AccountId, Vec<i64>> = BTreeMap::new();
        for seen in self.by_name.values().filter(|seen| seen.events.messages && seen.readable) {
            if let Some((account, mailbox)) = seen.place {
                all.entry(account).or_default().push(mailbox.0);
            }
        }
        all
    }
}

/// A picture of now; `None`: there are too many names or accounts.
pub(super) fn look(session: &Session, tx: &ReadTx, groups: &[(Mailboxes, Events)]) -> Result<Option<Names>, Error> {
    let mut names = Names::default();
    if groups.is_empty() {
        return Ok(Some(names));
    }
    let login = session.account()?;
    for known in shared::known(session, tx, &[Pattern::new("", "*")])? {
        let seen = seen(&known, login, groups);
        if let Some(place) = seen.place {
            names.by_place.insert(place, known.listed.name.clone());
        }
        names.by_name.insert(known.listed.name, seen);
    }
    let few = names.by_name.len() <= NAMES_MAX && names.accounts().len() <= ACCOUNTS_MAX;
    Ok(few.then_some(names))
}

fn seen(known: &Known, login: AccountId, groups: &[(Mailboxes, Events)]) -> Seen {
    let mut events = Events::default();
    for (_, of_group) in groups.iter().filter(|(mailboxes, _)| is_meant(mailboxes, known)) {
        events = events.and(*of_group);
    }
    let account = known.shared.as_ref().map_or(login, |shared| shared.owner.account);
    let place = known.listed.mailbox.as_ref().map(|mailbox| (account, mailbox.id));
    let selectable = known.listed.mailbox.as_ref().is_some_and(|mailbox| mailbox.selectable);
    let rights = known.shared.as_ref().map_or(Rights::ALL, |shared| shared.rights);
    Seen {
        place,
        subscribed: known.listed.subscribed,
        annotated: rights.contains(Rights::LOOKUP) && rights.intersects(Rights::ANNOTATIONS),
        readable: selectable && rights.contains(Rights::LOOKUP | Rights::READ),
        events,
        attributes: event_attributes(known),
    }
}

/// RFC 5465 §3.1: mailboxes that are known, but of which nothing may be told.
pub(super) fn tell_without_access(session: &mut Session, names: &Names) -> Result<(), Error> {
    for (name, seen) in &names.by_name {
        if lacks_access(seen) {
            tell(session, name, seen, &[]);
        }
    }
    Ok(())
}

fn lacks_access(seen: &Seen) -> bool {
    let selectable = !seen.attributes.contains(&MailboxAttribute::NoSelect);
    seen.place.is_some() && selectable && !seen.readable && seen.events != Events::default()
}

/// RFC 5465 §5.4, §5.5, §5.9: a LIST response for each name whose mailbox came, went or got another name, whose subscription
/// changed, or that may be read now or no more.
pub(super) fn tell_difference(session: &mut Session, before: &Names, now: &Names) -> Result<(), Error> {
    let mut told: BTreeSet<MailboxName> = BTreeSet::new();
    let mut parents: BTreeSet<MailboxName> = BTreeSet::new();
    for (name, old) in &before.by_name {
        let there = now.by_name.get(name);
        let gone = old.place.filter(|place| !now.by_place.contains_key(place));
        if gone.is_some() && old.events.names && there.is_none_or(|seen| seen.place.is_none()) {
            parents.extend(name.parent());
            told.insert(name.clone());
            tell_gone(session, name, there.is_some_and(|seen| seen.subscribed));
        } else if there.is_none() && old.place.is_none() && old.subscribed && old.events.subscriptions {
            told.insert(name.clone());
            tell_gone(session, name, false);
        }
    }
    for (name, seen) in &now.by_name {
        let old_name = seen.place.and_then(|place| before.by_place.get(&place));
        let old = before.by_name.get(name);
        if told.contains(name) {
            continue;
        }
        let events =
            old_name.and_then(|old| before.by_name.get(old)).map_or(seen.events, |old| old.events.and(seen.events));
        match (seen.place, old_name) {
            (Some(_), None) if events.names => {
                parents.extend(name.parent());
                tell(session, name, seen, &[]);
            }
            (Some(_), Some(old_name)) if old_name != name && events.names => {
                if !follows_parent(before, now, old_name, name) {
                    let extra = to_wire(old_name.as_str()).map(ListExtra::OldName);
                    tell(session, name, seen, extra.as_slice());
                }
            }
            (Some(_) | None, _) => {
                let events = old.map_or(events, |old| events.and(old.events));
                let was_subscribed = old.is_some_and(|old| old.subscribed);
                let access = old.is_some_and(|old| lacks_access(old) != lacks_access(seen));
                if (was_subscribed != seen.subscribed && events.subscriptions) || access {
                    tell(session, name, seen, &[]);
                } else {
                    continue;
                }
            }
        }
        told.insert(name.clone());
    }
    // §5.4: the direct parent is affected too.
    for name in parents.difference(&told) {
        if let Some(seen) = now.by_name.get(name).filter(|seen| seen.events.names) {
            tell(session, name, seen, &[]);
        }
    }
    Ok(())
}

/// §5.4: what is below a mailbox that was renamed gets no response of its own.
fn follows_parent(before: &Names, now: &Names, old_name: &MailboxName, name: &MailboxName) -> bool {
    let (Some(old_parent), Some(parent)) = (old_name.parent(), name.parent()) else { return false };
    let same_leaf = old_name.as_str()[old_parent.as_str().len()..] == name.as_str()[parent.as_str().len()..];
    let moved = before.by_name.get(&old_parent).and_then(|seen| seen.place);
    let there = now.by_name.get(&parent).and_then(|seen| seen.place);
    same_leaf && old_parent != parent && moved.is_some() && moved == there
}

fn tell_gone(session: &mut Session, name: &MailboxName, subscribed: bool) {
    let Some(wire_name) = to_wire(name.as_str()) else { return };
    let attributes = [MailboxAttribute::NonExistent, MailboxAttribute::Subscribed];
    let attributes = if subscribed { &attributes[..] } else { &attributes[..1] };
    session.writer().list(&ListResponse { attributes, name: Some(&wire_name), extra: &[] });
}

fn tell(session: &mut Session, name: &MailboxName, seen: &Seen, extra: &[ListExtra]) {
    let Some(wire_name) = to_wire(name.as_str()) else { return };
    let mut attributes = seen.attributes.clone();
    if lacks_access(seen) {
        attributes.push(MailboxAttribute::NoAccess);
    }
    session.writer().list(&ListResponse { attributes: &attributes, name: Some(&wire_name), extra });
}

/// Names that a picture has at most.
const NAMES_MAX: usize = 10_000;
/// Accounts that one session listens to at most.
const ACCOUNTS_MAX: usize = 64;
