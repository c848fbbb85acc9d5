//! RENAME (RFC 9051 §6.3.6; RFC 4314 §4: `x` on the mailbox, `k` where it goes).

use postroad_imap::{MailboxName, ResponseCode};
use postroad_mail::{Rights, mailboxes};
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target;

pub(crate) fn run(
    session: &mut Session,
    tx: &mut WriteTx,
    from: &MailboxName,
    to: &MailboxName,
) -> Result<Flow, Error> {
    let by = session.by()?;
    let from = target::find(session, tx, from, Rights::DELETE_MAILBOX)?;
    let (to, _) = target::may_create(session, tx, to)?;
    // What a mailbox holds belongs to its account: COPY and MOVE take messages to another, RENAME does not.
    if from.account != to.account {
        return Err(Error::no(ResponseCode::Cannot, "a mailbox cannot be renamed into another account"));
    }
    mailboxes::rename(tx, &by, from.account, &from.mailbox.name, &to.name)?;
    Ok(Flow::Done(Reply::ok("RENAME done")))
}
