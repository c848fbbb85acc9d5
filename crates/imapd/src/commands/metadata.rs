//! GETMETADATA and SETMETADATA (RFC 5464), and what LIST tells of them (RFC 9590).
//!
//! Mailboxes have whatever entries users give them. Three kinds mean something here: `/private/specialuse` is the mailbox's
//! role (RFC 6154 §4), `/private/filters/values/NAME` of the server are searches with a name (RFC 5466) and are read before
//! they are kept, and the server's own shared entries come from the settings and nobody changes them from here.
//!
//! Rights (§3.3): `l` and any of `r`, `s`, `w`, `i`, `p`; for a shared entry to be changed, `w` too: everybody sees it.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};

use postroad_imap::command::{Depth, EntryName, Metadata};
use postroad_imap::{MailboxName as WireName, ResponseCode};
use postroad_mail::metadata::{self, Annotation, Entry, Place, SPECIAL_USE};
use postroad_mail::{MailboxId, Rights, Role, mailboxes};
use postroad_store::{AccountId, ReadTx, WriteTx};

use crate::annotations;
use crate::error::{Error, Reply};
use crate::search::filters;
use crate::session::{Flow, Session};
use crate::target::{self, Target};

/// The command's name, for metrics.
pub(crate) fn name(command: &Metadata) -> &'static str {
    match command {
        Metadata::Get { .. } => "getmetadata",
        Metadata::Set { .. } => "setmetadata",
    }
}

/// What only looks.
pub(crate) fn read(session: &mut Session, tx: &ReadTx, command: &Metadata) -> Result<Flow, Error> {
    let Metadata::Get { mailbox, max_size, depth, entries } = command else { return Ok(Flow::Write) };
    let wanted: Vec<&EntryName> = entries.iter().collect();
    let there = match mailbox {
        None => of_server(session, tx)?,
        Some(name) => {
            let target = find(session, tx, name)?;
            let stored = metadata::all(tx, place(&target), &target::who(session)?)?;
            with_role(stored, &target)
        }
    };
    let mut values: Vec<(String, Option<&[u8]>)> = Vec::new();
    let mut longest = None;
    for entry in wanted {
        for (shown, value) in matching(entry, *depth, &there) {
            let length = value.map_or(0, <[u8]>::len);
            if max_size.is_some_and(|most| length > most as usize) {
                longest = longest.max(Some(length as u64));
            } else if !values.iter().any(|(other, _)| other.eq_ignore_ascii_case(&shown)) {
                values.push((shown, value));
            }
        }
    }
    let wire_name = mailbox.as_ref().map(WireName::without_trailing_separator);
    if !values.is_empty() {
        let values = values.iter().map(|(entry, value)| (entry.as_str(), *value));
        session.writer().metadata(wire_name.as_ref(), values);
    }
    // RFC 5464 §4.2.1: what was too long is not told, but that there is something.
    Ok(Flow::Done(match longest {
        Some(size) => Reply::ok_with(ResponseCode::MetadataLongEntries(size), "GETMETADATA done"),
        None => Reply::ok("GETMETADATA done"),
    }))
}

/// The entries that a name and a depth mean, with the names to be shown. What was named and is not there is NIL.
fn matching<'a>(entry: &EntryName, depth: Depth, there: &'a [Annotation]) -> Vec<(String, Option<&'a [u8]>)> {
    let mut all = Vec::new();
    let own = there.iter().filter(|one| one.entry.private == entry.is_private());
    for annotation in own {
        let Some(rest) = annotation.entry.path.strip_prefix(entry.path()) else { continue };
        let value = Some(annotation.value.as_slice());
        match (rest.strip_prefix('/'), depth) {
            (None, _) if rest.is_empty() => all.push((entry.as_written().to_owned(), value)),
            (Some(_), Depth::Infinity) => all.push((shown(&annotation.entry), value)),
            (Some(below), Depth::One) if !below.contains('/') => all.push((shown(&annotation.entry), value)),
            (None | Some(_), Depth::Zero | Depth::One | Depth::Infinity) => {}
        }
    }
    if all.is_empty() && depth == Depth::Zero {
        all.push((entry.as_written().to_owned(), None));
    }
    all
}

/// An entry's whole name.
pub(crate) fn shown(entry: &Entry) -> String {
    format!("{}{}", if entry.private { "/private" } else { "/shared" }, entry.path)
}

fn place(target: &Target) -> Place {
    Place { account: target.account, mailbox: Some(target.mailbox.id) }
}

/// What the server as a whole has for this login: shared entries of the settings, private ones of the account.
pub(crate) fn of_server(session: &Session, tx: &ReadTx) -> Result<Vec<Annotation>, Error> {
    let shared = session.settings.annotations.iter().map(|(path, value)| Annotation {
        entry: Entry { private: false, path: path.clone() },
        value: value.clone().into_bytes(),
    });
    let place = Place { account: session.account()?, mailbox: None };
    let private = metadata::all(tx, place, &target::who(session)?)?;
    Ok(shared.chain(private.into_iter().filter(|one| one.entry.private)).collect())
}

/// RFC 6154 §4: one's own mailbox with a role has it as an entry. The uses of others are not told (`shared.rs`).
fn with_role(mut stored: Vec<Annotation>, target: &Target) -> Vec<Annotation> {
    let role = target.mailbox.role.filter(|_| target.owner.is_none()).and_then(Role::attribute);
    if let Some(attribute) = role {
        let entry = Entry { private: true, path: SPECIAL_USE.to_owned() };
        stored.push(Annotation { entry, value: attribute.as_bytes().to_vec() });
    }
    stored
}

/// A mailbox whose entries this login may see.
fn find(session: &Session, tx: &ReadTx, name: &WireName) -> Result<Target, Error> {
    let target = target::find(session, tx, name, Rights::LOOKUP)?;
    match target.rights.intersects(SEEING) {
        true => Ok(target),
        false => Err(target::lacking()),
    }
}

/// What changes entries.
pub(crate) fn write(session: &mut Session, tx: &mut WriteTx, command: &Metadata) -> Result<Flow, Error> {
    let Metadata::Set { mailbox, values } = command else { return read(session, tx, command) };
    if values.iter().any(|(entry, _)| entry.path().is_empty()) {
        return Err(Error::no(ResponseCode::Cannot, "/private and /shared are no entries, only what is below them"));
    }
    // RFC 5464 §3.2: vendors have whole hierarchies, below a name of their own.
    if values.iter().any(|(entry, value)| value.is_some() && is_vendor_level(entry.path())) {
        return Err(Error::no(ResponseCode::Cannot, "an entry of a vendor is like /shared/vendor/name/entry"));
    }
    let (place, role) = match mailbox {
        None => (check_server(session, tx, values)?, None),
        Some(name) => check_mailbox(session, tx, name, values)?,
    };
    let (by, who) = (session.by()?, target::who(session)?);
    // What others changed is told before one's own change, which is not.
    annotations::tell(session, tx)?;
    let kept: Vec<(Entry, Option<Vec<u8>>)> = values
        .iter()
        .filter(|(entry, _)| mailbox.is_none() || !is_special_use(entry))
        .map(|(entry, value)| (Entry { private: entry.is_private(), path: entry.path().to_owned() }, value.clone()))
        .collect();
    let mut done = metadata::set(tx, &by, place, &who, &kept)?;
    if let (Some(role), Some(id)) = (role, place.mailbox) {
        mailboxes::set_role(tx, &by, place.account, id, role)?;
        done = postroad_mail::accounts::by_id(tx, place.account)?.map(|account| account.modseq);
    }
    if let Some(modseq) = done {
        annotations::own_change(session, place.account, modseq);
    }
    Ok(Flow::Done(Reply::ok("SETMETADATA done")))
}

/// `/vendor` and `/vendor/name`: fewer components than an entry of a vendor has.
fn is_vendor_level(path: &str) -> bool {
    let mut levels = path.split('/').skip(1);
    levels.next() == Some("vendor") && levels.nth(1).is_none()
}

/// Whether these may be set at the server: only private ones. What is not there may be taken away again: a filter goes with
/// both of its entries (RFC 5466 §3.2).
fn check_server(session: &Session, tx: &ReadTx, values: &[(EntryName, Option<Vec<u8>>)]) -> Result<Place, Error> {
    let there = of_server(session, tx)?;
    let is_there = |name: &EntryName| there.iter().any(|one| !one.entry.private && one.entry.path == name.path());
    if values.iter().any(|(entry, value)| !entry.is_private() && (value.is_some() || is_there(entry))) {
        return Err(Error::no(ResponseCode::NoPerm, "what the server shares with all is set by its administrator"));
    }
    for (entry, value) in values {
        if let (Some(name), Some(value)) = (entry.path().strip_prefix(filters::VALUES), value) {
            filters::check(session, name, value)?;
        }
    }
    Ok(Place { account: session.account()?, mailbox: None })
}

/// Whether these may be set at a mailbox; and the role that it shall have, if that is among them.
fn check_mailbox(
    session: &Session,
    tx: &ReadTx,
    name: &WireName,
    values: &[(EntryName, Option<Vec<u8>>)],
) -> Result<(Place, Option<Option<Role>>), Error> {
    let target = find(session, tx, name)?;
    if values.iter().any(|(entry, _)| !entry.is_private()) && !target.rights.contains(Rights::WRITE) {
        return Err(target::lacking());
    }
    let special_use = values.iter().find(|(entry, _)| is_special_use(entry));
    let role = match special_use {
        None => None,
        // The uses of an account's mailboxes are its owner's to choose.
        Some(_) if target.owner.is_some() => return Err(target::lacking()),
        Some((_, value)) => Some(role_of(value.as_deref().unwrap_or_default())?),
    };
    // RFC 5464 §4.1: names without messages have entries too, but nothing is put into them.
    if special_use.is_some() && !target.mailbox.selectable {
        return Err(Error::no(ResponseCode::Cannot, "this name is no mailbox, it only has others below it"));
    }
    if role.is_some_and(|role| role != target.mailbox.role) && target.mailbox.id == MailboxId::INBOX {
        return Err(Error::no(ResponseCode::UseAttr, "INBOX has no other use"));
    }
    let role = role.filter(|_| target.mailbox.id != MailboxId::INBOX);
    Ok((place(&target), role))
}

fn is_special_use(entry: &EntryName) -> bool {
    entry.is_private() && entry.path() == SPECIAL_USE
}

/// RFC 6154 §4: attributes with spaces between them; a mailbox has one here, or none.
fn role_of(value: &[u8]) -> Result<Option<Role>, Error> {
    let refused = |text| Err(Error::no(ResponseCode::UseAttr, text));
    let Ok(text) = std::str::from_utf8(value) else { return refused("this special use cannot be had here") };
    let mut uses = text.split_ascii_whitespace();
    match (uses.next(), uses.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => match Role::from_attribute(one) {
            Some(role) => Ok(Some(role)),
            None => refused("this special use cannot be had here"),
        },
        (Some(_), Some(_)) => refused("a mailbox has one special use here"),
    }
}

/// The entries that one LIST tells, read once for all mailboxes of an account.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    accounts: HashMap<AccountId, HashMap<MailboxId, Vec<Annotation>>>,
}

impl Listing {
    /// `* METADATA` of a mailbox after its LIST (RFC 9590 §3): nothing where the entries may not be seen.
    pub(crate) fn tell(
        &mut self,
        session: &mut Session,
        tx: &ReadTx,
        wire_name: &WireName,
        target: &Target,
        entries: &[EntryName],
    ) -> Result<(), Error> {
        if !target.rights.intersects(SEEING) {
            return Ok(());
        }
        let all = match self.accounts.entry(target.account) {
            Occupied(known) => known.into_mut(),
            Vacant(vacant) => {
                let paths: Vec<&str> = entries.iter().map(EntryName::path).collect();
                vacant.insert(metadata::of_mailboxes(tx, target.account, &target::who(session)?, &paths)?)
            }
        };
        let own = all.get(&target.mailbox.id);
        let there = with_role(own.cloned().unwrap_or_default(), target);
        let values: Vec<_> = entries.iter().flat_map(|entry| matching(entry, Depth::Zero, &there)).collect();
        session.writer().metadata(Some(wire_name), values.iter().map(|(entry, value)| (entry.as_str(), *value)));
        Ok(())
    }
}

/// Whoever has any of these, with `l`, sees the entries of a mailbox (§3.3).
const SEEING: Rights = Rights::ANNOTATIONS;
