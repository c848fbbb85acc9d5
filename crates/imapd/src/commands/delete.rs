//! DELETE (RFC 9051 §6.3.5).

use postroad_imap::MailboxName;
use postroad_mail::{Rights, mailboxes};
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target;

pub(crate) fn run(session: &mut Session, tx: &mut WriteTx, name: &MailboxName) -> Result<Flow, Error> {
    let (by, doomed) = (session.by()?, target::find(session, tx, name, Rights::DELETE_MAILBOX)?);
    mailboxes::delete(tx, &by, doomed.account, &doomed.mailbox.name)?;
    // A client that deletes the mailbox it has selected goes on without one; other sessions in it are told BYE.
    if session.view.is_some() && session.place()? == doomed.place() {
        session.view = None;
    }
    Ok(Flow::Done(Reply::ok("DELETE done")))
}
