//! The mailboxes that commands name: whose they are, and what this login may do with them.
//!
//! Every name that a client gives goes through here, and nothing else asks the store for a mailbox by its name.
//! [`find`] is for a mailbox that must be there, [`look`] the same where nothing of it is written, [`destination`] for one
//! that messages are put into, [`may_create`] for a name that shall be made.
//!
//! **Namespaces** (RFC 2342). `Other Users/bob@example.test/Drafts` is the mailbox Drafts of Bob's account,
//! `Shared/info@example.test/INBOX` that of an account that nobody logs in to. A name in one of these prefixes whose
//! second level is no address is an ordinary name of one's own.
//!
//! **Locks.** A write holds the locks of the account that logged in, of the account whose mailbox is selected, and
//! of those that the command turned out to need. A handler that in a write names a mailbox of an account whose lock
//! is not held gets [`Error::Unlocked`], which it passes on; the transaction is undone and the command begins again with
//! that lock too. All locks of a write are taken at its beginning, in rising order, so two writes that cross between two
//! accounts do not wait for each other. Commands that know their target from a read before ([`Session::lock_also`])
//! spare themselves the second beginning.
//!
//! What it never does: tell a name without the right `l` apart from one that is not there, unless the right that the
//! command needs is there (RFC 4314 §6).

use postroad_imap::{MailboxName as WireName, ResponseCode};
use postroad_mail::acl::{self, Owner, Who, foreign};
pub(crate) use postroad_mail::acl::{OTHERS, SHARED};
use postroad_mail::mailboxes::{self, Mailbox};
use postroad_mail::{Address, Error as MailError, MailboxId, MailboxName, Rights, What, accounts};
use postroad_store::{AccountId, ReadTx};

use crate::error::Error;
use crate::names;
use crate::session::{Place, Session};

/// A mailbox that a command names.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Whose it is.
    pub(crate) account: AccountId,
    /// Its row; its name is that in the account.
    pub(crate) mailbox: Mailbox,
    /// What this login may do with it.
    pub(crate) rights: Rights,
    /// The owner, when that is not who logged in.
    pub(crate) owner: Option<Owner>,
}

/// A name, whether there is such a mailbox or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Whose mailbox it is or would be.
    pub(crate) account: AccountId,
    /// Its name in that account.
    pub(crate) name: MailboxName,
    /// The owner, when that is not who logged in.
    pub(crate) owner: Option<Owner>,
}

impl Target {
    /// Which mailbox, and whose.
    pub(crate) fn place(&self) -> Place {
        Place { account: self.account, mailbox: self.mailbox.id }
    }

    /// The name by which this login knows it.
    pub(crate) fn shown(&self) -> String {
        shown(self.owner.as_ref(), &self.mailbox.name)
    }

    /// Its object id (RFC 8474), which is nobody else's among all that this login can see.
    pub(crate) fn object_id(&self) -> String {
        match &self.owner {
            None => self.mailbox.id.to_string(),
            Some(owner) => format!("A{:x}-{}", owner.account.0, self.mailbox.id),
        }
    }
}

/// A name in an account as somebody else knows it; one's own as it is.
pub(crate) fn shown(owner: Option<&Owner>, name: &MailboxName) -> String {
    match owner {
        None => name.as_str().to_owned(),
        Some(owner) => format!("{}{name}", prefix(owner)),
    }
}

/// What all names of an owner begin with.
pub(crate) fn prefix(owner: &Owner) -> String {
    let space = if owner.is_shared { SHARED } else { OTHERS };
    format!("{space}{}/", owner.address)
}

/// The mailbox of this name; placeholders (`\Noselect`) of one's own too.
///
/// Errors: `NO [NONEXISTENT]` when it is not there or this login may not know of it, `NO [NOPERM]` when it lacks
/// one of the `needed` rights, [`Error::Unlocked`].
pub(crate) fn find(session: &Session, tx: &ReadTx, name: &WireName, needed: Rights) -> Result<Target, Error> {
    let target = look(session, tx, name, needed)?;
    session.locked(target.account)?;
    Ok(target)
}

/// [`find`] for a mailbox that is not changed, whatever else the command writes: its account's lock is not asked for.
pub(crate) fn look(session: &Session, tx: &ReadTx, name: &WireName, needed: Rights) -> Result<Target, Error> {
    let Named { account, name, owner } = named(session, tx, name)?;
    let mailbox = mailboxes::find(tx, account, &name)?.ok_or_else(missing)?;
    if owner.is_none() {
        return Ok(Target { account, mailbox, rights: Rights::ALL, owner });
    }
    let rights = acl::rights(tx, &who(session)?, account, mailbox.id)?;
    permit(rights, needed)?;
    Ok(Target { account, mailbox, rights, owner })
}

/// The mailbox that APPEND, COPY, MOVE and the like put messages into: it can be selected, and this login has `i`.
///
/// Errors: `NO [TRYCREATE]` when it is not there (RFC 9051 §6.3.12), `NO [NOPERM]`, [`Error::Unlocked`].
pub(crate) fn destination(session: &Session, tx: &ReadTx, name: &WireName) -> Result<Target, Error> {
    match find(session, tx, name, Rights::INSERT) {
        Ok(target) if target.mailbox.selectable => Ok(target),
        Ok(_) | Err(Error::Mail(MailError::NotFound(What::Mailbox) | MailError::NameInvalid(_))) => {
            Err(Error::no(ResponseCode::TryCreate, "there is no such mailbox; create it first"))
        }
        Err(error) => Err(error),
    }
}

/// Whose name it is, whether there is such a mailbox or not. Says nothing about rights.
fn named(session: &Session, tx: &ReadTx, wire: &WireName) -> Result<Named, Error> {
    let account = session.account()?;
    let wire_name = wire.without_trailing_separator();
    let Some(foreign) = foreign(wire_name.as_str()) else {
        return Ok(Named { account, name: names::of_wire(wire)?, owner: None });
    };
    let address = Address::parse(foreign.owner).map_err(|_| missing())?;
    let owner = acl::owner(tx, &address)?.filter(|owner| owner.is_shared == foreign.shared && owner.account != account);
    let owner = owner.ok_or_else(missing)?;
    let name = MailboxName::parse(foreign.name.unwrap_or_default()).map_err(|_| missing())?;
    Ok(Named { account: owner.account, name, owner: Some(owner) })
}

/// A name that this login may make a mailbox of, and in another's account the mailbox whose list of rights it gets when
/// no mailbox is above it: INBOX, as if all others lay below.
///
/// RFC 4314 §4: `k` on the nearest mailbox above. Where it is not there the answer is the same as where there is no
/// such account or mailbox.
///
/// Errors: `NO [NOPERM]`, [`Error::Unlocked`]; `NO [CANNOT]` for what cannot be a name.
pub(crate) fn may_create(session: &Session, tx: &ReadTx, name: &WireName) -> Result<(Named, Option<MailboxId>), Error> {
    let refused = || Error::no(ResponseCode::NoPerm, "you may not make mailboxes there");
    let named = match named(session, tx, name) {
        Err(Error::Mail(MailError::NotFound(What::Mailbox))) => return Err(refused()),
        other => other?,
    };
    if named.owner.is_none() {
        return Ok((named, None));
    }
    let mut above: Vec<MailboxName> = named.name.ancestors().collect();
    let mut parent = None;
    while let (None, Some(name)) = (&parent, above.pop()) {
        parent = mailboxes::find(tx, named.account, &name)?.filter(|mailbox| mailbox.selectable);
    }
    let (parent, root) = match parent {
        Some(mailbox) => (mailbox.id, None),
        None => (MailboxId::INBOX, Some(MailboxId::INBOX)),
    };
    match acl::rights(tx, &who(session)?, named.account, parent)?.contains(Rights::CREATE) {
        true => session.locked(named.account).map(|()| (named, root)),
        false => Err(refused()),
    }
}

/// Whether a name is in one of the namespaces of others.
pub(crate) fn is_of_others(name: &WireName) -> bool {
    foreign(name.without_trailing_separator().as_str()).is_some()
}

/// The name of a mailbox as this login knows it, whatever its rights. Up to three statements.
pub(crate) fn name_of(session: &Session, tx: &ReadTx, place: Place) -> Result<Option<String>, Error> {
    let Some(mailbox) = mailboxes::by_id(tx, place.account, place.mailbox)? else { return Ok(None) };
    if place.account == session.account()? {
        return Ok(Some(mailbox.name.as_str().to_owned()));
    }
    let Some(account) = accounts::by_id(tx, place.account)? else { return Ok(None) };
    let owner = acl::owner(tx, &account.address)?;
    Ok(owner.map(|owner| shown(Some(&owner), &mailbox.name)))
}

/// Who asks for rights.
pub(crate) fn who(session: &Session) -> Result<Who, Error> {
    session.login.as_ref().map(Who::of).ok_or_else(|| Error::bug("a command before login"))
}

/// Fails unless all of `needed` are there: as if the mailbox were not, for whom it is not visible. With nothing needed
/// any of the rights that make it known will do (RFC 4314 §4, MYRIGHTS).
fn permit(rights: Rights, needed: Rights) -> Result<(), Error> {
    if needed.is_empty() {
        return if rights.intersects(Rights::KNOWN_BY) { Ok(()) } else { Err(missing()) };
    }
    if rights.contains(needed) {
        return Ok(());
    }
    Err(if rights.contains(Rights::LOOKUP) { lacking() } else { missing() })
}

/// `NO [NOPERM]`.
pub(crate) fn lacking() -> Error {
    Error::no(ResponseCode::NoPerm, "you have not the right to do this with this mailbox")
}

fn missing() -> Error {
    Error::Mail(MailError::NotFound(What::Mailbox))
}
