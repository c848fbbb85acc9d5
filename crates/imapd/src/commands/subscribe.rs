//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7-6.3.8): a subscription begins with a mailbox that is there and that this login
//! may know of (RFC 4314 §4: `l`), and stays when the mailbox is deleted or no longer shared.

use postroad_imap::MailboxName as WireName;
use postroad_mail::{Error as MailError, MailboxName, Rights, mailboxes};
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::names;
use crate::session::{Flow, Session};
use crate::target;

pub(crate) fn subscribe(session: &mut Session, tx: &mut WriteTx, wire: &WireName) -> Result<Flow, Error> {
    let (by, account) = (session.by()?, session.account()?);
    // RFC 9051 §6.3.7: the server may validate the name. Clients take OK for "you will see it".
    let target = target::look(session, tx, wire, Rights::LOOKUP)?;
    // In the spelling that LIST tells.
    let name = MailboxName::parse(&target.shown()).map_err(|why| Error::Mail(MailError::NameInvalid(why)))?;
    mailboxes::subscribe(tx, &by, account, &name)?;
    Ok(Flow::Done(Reply::ok("SUBSCRIBE done")))
}

/// RFC 4314 §4: no right is needed.
pub(crate) fn unsubscribe(session: &mut Session, tx: &mut WriteTx, name: &WireName) -> Result<Flow, Error> {
    let (by, account) = (session.by()?, session.account()?);
    mailboxes::unsubscribe(tx, &by, account, &names::of_wire(name)?)?;
    Ok(Flow::Done(Reply::ok("UNSUBSCRIBE done")))
}
