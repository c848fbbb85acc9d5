//! COPY and UID COPY (RFC 9051 §6.4.7).

use postroad_imap::command::Copy;
use postroad_imap::{ResponseCode, Status};
use postroad_mail::copy::{self, Copied};
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target;
use crate::view::number_set;

pub(crate) fn run(session: &mut Session, tx: &mut WriteTx, copy: &Copy) -> Result<Flow, Error> {
    let target = target::destination(session, tx, &copy.mailbox)?;
    let view = session.view()?;
    let uids = view.resolve(&copy.set, copy.numbering)?;
    let (by, account, mailbox) = (session.by()?, view.account, view.mailbox);
    let copied = copy::copy(tx, &by, account, mailbox, &uids, target.mailbox.id)?;
    Ok(Flow::Done(match copy_uid(&copied) {
        Some(code) => Reply::new(Status::Ok, Some(code), "COPY done"),
        // iOS keeps ghosts of messages that another session removed when it hears NO: nothing to copy is OK.
        None => Reply::ok("nothing to copy"),
    }))
}

/// `COPYUID` (RFC 4315), when something was copied.
pub(crate) fn copy_uid(copied: &Copied) -> Option<ResponseCode> {
    copied.modseq?;
    Some(ResponseCode::CopyUid(copied.uidvalidity, number_set(&copied.source), number_set(&copied.target)))
}
