//! The mailboxes that commands name: whose they are, and what this login may do with them.
//!
//! Every name that a client gives goes through here, and nothing else asks the store for a mailbox by its name.
//! Three questions: [`find`] for a mailbox that must be there, [`destination`] for one that messages are put
//! into, [`named`] for a name that may be free.
//!
//! **Locks.** A write holds the locks of the account that logged in, of the account whose mailbox is selected, and
//! of those that the command turned out to need. A handler that in a write names a mailbox of an account whose lock
//! is not held gets [`Error::Unlocked`], which it passes on; the transaction is undone and the command begins again with
//! that lock too. All locks of a write are taken at its beginning, in rising order, so two writes that cross between two
//! accounts do not wait for each other. Commands that know their target from a read before ([`Session::lock_also`])
//! spare themselves the second beginning.
//!
//! What it never does: tell a name without the right `l` apart from one that is not there.

use postroad_imap::{MailboxName as WireName, ResponseCode};
use postroad_mail::mailboxes::{self, Mailbox};
use postroad_mail::{Error as MailError, MailboxName, Rights, What};
use postroad_store::{AccountId, ReadTx};

use crate::error::Error;
use crate::names;
use crate::session::{Place, Session};

/// A mailbox that a command names.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Whose it is.
    pub(crate) account: AccountId,
    /// Its row.
    pub(crate) mailbox: Mailbox,
    /// What this login may do with it.
    pub(crate) rights: Rights,
}

/// A name, whether there is such a mailbox or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Whose mailbox it is or would be.
    pub(crate) account: AccountId,
    /// Its name in that account.
    pub(crate) name: MailboxName,
}

impl Target {
    /// Which mailbox, and whose.
    pub(crate) fn place(&self) -> Place {
        Place { account: self.account, mailbox: self.mailbox.id }
    }
}

/// The mailbox of this name; placeholders (`\Noselect`) too.
///
/// Errors: `NO [NONEXISTENT]` when it is not there or this login may not know of it, `NO [NOPERM]` when it lacks
/// one of the `needed` rights, [`Error::Unlocked`].
pub(crate) fn find(session: &Session, tx: &ReadTx, name: &WireName, needed: Rights) -> Result<Target, Error> {
    let named = named(session, tx, name)?;
    let mailbox = mailboxes::find(tx, named.account, &named.name)?;
    let mailbox = mailbox.ok_or(Error::Mail(MailError::NotFound(What::Mailbox)))?;
    let target = Target { account: named.account, mailbox, rights: Rights::ALL };
    permit(target.rights, needed)?;
    Ok(target)
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
///
/// Errors: [`Error::Unlocked`]; `NO [CANNOT]` for what cannot be a name.
pub(crate) fn named(session: &Session, _tx: &ReadTx, name: &WireName) -> Result<Named, Error> {
    let account = session.account()?;
    session.locked(account)?;
    Ok(Named { account, name: names::of_wire(name)? })
}

/// `NO [NOPERM]` unless all of `needed` are there.
pub(crate) fn permit(rights: Rights, needed: Rights) -> Result<(), Error> {
    match rights.contains(needed) {
        true => Ok(()),
        false => Err(Error::no(ResponseCode::NoPerm, "you have not the right to do this with this mailbox")),
    }
}
