//! Mailbox names between the wire and the store.

use postroad_imap::{MailboxName as WireName, ResponseCode};
use postroad_mail::{MailboxId, MailboxName, mailboxes};
use postroad_store::ReadTx;

use crate::error::Error;
use crate::session::Session;

/// A name as the store knows it. A trailing separator is dropped: Thunderbird sends `folder/` everywhere.
pub(crate) fn of_wire(name: &WireName) -> Result<MailboxName, Error> {
    let name = name.without_trailing_separator();
    MailboxName::parse(name.as_str()).map_err(|why| Error::Mail(postroad_mail::Error::NameInvalid(why)))
}

/// A stored name as it is written. `None` for a name that cannot be written, which the store does not have.
pub(crate) fn to_wire(name: &str) -> Option<WireName> {
    WireName::from_text(name).ok()
}

/// The mailbox that APPEND, COPY and MOVE put messages into. [`Error::Refused`] with `NO [TRYCREATE]` when
/// it is not there (RFC 9051 §6.3.12).
pub(crate) fn target(session: &Session, tx: &ReadTx, name: &WireName) -> Result<MailboxId, Error> {
    let name = of_wire(name).map_err(|_| missing())?;
    match mailboxes::find(tx, session.account()?, &name)? {
        Some(mailbox) if mailbox.selectable => Ok(mailbox.id),
        Some(_) | None => Err(missing()),
    }
}

fn missing() -> Error {
    Error::no(ResponseCode::TryCreate, "there is no such mailbox; create it first")
}
