//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7-6.3.8): by name, whether there is such a mailbox or not.

use postroad_imap::MailboxName;
use postroad_mail::mailboxes;
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target::{self, Named};

pub(crate) fn subscribe(session: &mut Session, tx: &mut WriteTx, name: &MailboxName) -> Result<Flow, Error> {
    let (by, Named { account, name }) = (session.by()?, target::named(session, tx, name)?);
    mailboxes::subscribe(tx, &by, account, &name)?;
    Ok(Flow::Done(Reply::ok("SUBSCRIBE done")))
}

pub(crate) fn unsubscribe(session: &mut Session, tx: &mut WriteTx, name: &MailboxName) -> Result<Flow, Error> {
    let (by, Named { account, name }) = (session.by()?, target::named(session, tx, name)?);
    mailboxes::unsubscribe(tx, &by, account, &name)?;
    Ok(Flow::Done(Reply::ok("UNSUBSCRIBE done")))
}
