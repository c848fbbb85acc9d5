//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7-6.3.8): by name, whether there is such a mailbox or not.

use postroad_imap::MailboxName;
use postroad_mail::mailboxes;
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::names;
use crate::session::{Flow, Session};

pub(crate) fn subscribe(session: &mut Session, tx: &mut WriteTx, name: &MailboxName) -> Result<Flow, Error> {
    let (by, account) = (session.by()?, session.account()?);
    mailboxes::subscribe(tx, &by, account, &names::of_wire(name)?)?;
    Ok(Flow::Done(Reply::ok("SUBSCRIBE done")))
}

pub(crate) fn unsubscribe(session: &mut Session, tx: &mut WriteTx, name: &MailboxName) -> Result<Flow, Error> {
    let (by, account) = (session.by()?, session.account()?);
    mailboxes::unsubscribe(tx, &by, account, &names::of_wire(name)?)?;
    Ok(Flow::Done(Reply::ok("UNSUBSCRIBE done")))
}
