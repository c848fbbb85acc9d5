//! RENAME (RFC 9051 §6.3.6).

use postroad_imap::MailboxName;
use postroad_mail::mailboxes;
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::names;
use crate::session::{Flow, Session};

pub(crate) fn run(
    session: &mut Session,
    tx: &mut WriteTx,
    from: &MailboxName,
    to: &MailboxName,
) -> Result<Flow, Error> {
    let (by, account) = (session.by()?, session.account()?);
    mailboxes::rename(tx, &by, account, &names::of_wire(from)?, &names::of_wire(to)?)?;
    Ok(Flow::Done(Reply::ok("RENAME done")))
}
