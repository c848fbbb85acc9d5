//! RENAME (RFC 9051 §6.3.6).

use postroad_imap::{MailboxName, ResponseCode};
use postroad_mail::mailboxes;
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
    let (by, from, to) = (session.by()?, target::named(session, tx, from)?, target::named(session, tx, to)?);
    if from.account != to.account {
        return Err(Error::no(ResponseCode::Cannot, "a mailbox cannot be renamed into another namespace"));
    }
    mailboxes::rename(tx, &by, from.account, &from.name, &to.name)?;
    Ok(Flow::Done(Reply::ok("RENAME done")))
}
