//! MOVE and UID MOVE (RFC 9051 §6.4.8, RFC 6851).

use postroad_imap::Status;
use postroad_imap::command::Copy;
use postroad_mail::copy;
use postroad_store::WriteTx;

use super::copy::copy_uid;
use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target;

pub(crate) fn run(session: &mut Session, tx: &mut WriteTx, copy: &Copy) -> Result<Flow, Error> {
    let target = target::destination(session, tx, &copy.mailbox)?;
    let view = session.view()?;
    let uids = view.resolve(&copy.set, copy.numbering)?;
    let (by, account, mailbox) = (session.by()?, view.account, view.mailbox);
    let moved = copy::move_to(tx, &by, account, mailbox, &uids, target.mailbox.id)?;
    // RFC 6851 §4.3: COPYUID in an untagged OK, before the EXPUNGE responses, which the synchronisation tells.
    if let Some(code) = copy_uid(&moved) {
        session.writer().untagged(Status::Ok, Some(&code), "moved");
    }
    // Nothing there any more is OK too: iOS repeats a MOVE whose answer it lost, and keeps ghosts after NO.
    Ok(Flow::Done(Reply::ok("MOVE done")))
}
