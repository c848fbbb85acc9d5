//! DELETE (RFC 9051 §6.3.5).

use postroad_imap::MailboxName;
use postroad_mail::mailboxes;
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::names;
use crate::session::{Flow, Session};

pub(crate) fn run(session: &mut Session, tx: &mut WriteTx, name: &MailboxName) -> Result<Flow, Error> {
    let (by, account, name) = (session.by()?, session.account()?, names::of_wire(name)?);
    let doomed = mailboxes::find(tx, account, &name)?;
    mailboxes::delete(tx, &by, account, &name)?;
    // A client that deletes the mailbox it has selected goes on without one; other sessions in it are told BYE.
    if let (Some(view), Some(doomed)) = (&session.view, doomed)
        && view.mailbox == doomed.id
    {
        session.view = None;
    }
    Ok(Flow::Done(Reply::ok("DELETE done")))
}
