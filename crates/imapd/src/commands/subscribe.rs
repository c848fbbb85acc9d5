//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7-6.3.8): by name, whether there is such a mailbox or not; but a mailbox of
//! somebody else must be one that this login may know of (RFC 4314 §4: `l`).

use postroad_imap::MailboxName as WireName;
use postroad_mail::{Error as MailError, MailboxName, Rights, mailboxes};
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::names;
use crate::session::{Flow, Session};
use crate::target;

pub(crate) fn subscribe(session: &mut Session, tx: &mut WriteTx, wire: &WireName) -> Result<Flow, Error> {
    let (by, account) = (session.by()?, session.account()?);
    let name = match target::is_foreign(wire.as_str()) {
        false => names::of_wire(wire)?,
        // In the spelling that LIST tells.
        true => {
            let target = target::look(session, tx, wire, Rights::LOOKUP)?;
            MailboxName::parse(&target.shown()).map_err(|why| Error::Mail(MailError::NameInvalid(why)))?
        }
    };
    mailboxes::subscribe(tx, &by, account, &name)?;
    Ok(Flow::Done(Reply::ok("SUBSCRIBE done")))
}

/// RFC 4314 §4: no right is needed.
pub(crate) fn unsubscribe(session: &mut Session, tx: &mut WriteTx, name: &WireName) -> Result<Flow, Error> {
    let (by, account) = (session.by()?, session.account()?);
    mailboxes::unsubscribe(tx, &by, account, &names::of_wire(name)?)?;
    Ok(Flow::Done(Reply::ok("UNSUBSCRIBE done")))
}
