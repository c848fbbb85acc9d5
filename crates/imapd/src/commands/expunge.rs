//! EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9).

use postroad_imap::{MessageSet, Numbering};
use postroad_mail::{Rights, expunge};
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target;

/// The untagged responses come from the synchronisation after it, which sees this change as any other.
/// EXPUNGE also removes what another session marked since: the client asked for all that is `\Deleted`.
pub(crate) fn run(session: &mut Session, tx: &mut WriteTx, set: Option<&MessageSet>) -> Result<Flow, Error> {
    let view = session.view()?;
    if !view.rights.contains(Rights::EXPUNGE) {
        return Err(target::lacking());
    }
    let (by, account, mailbox) = (session.by()?, view.account, view.mailbox);
    match set {
        None => expunge::expunge(tx, &by, account, mailbox, None)?,
        Some(set) => {
            let uids = view.resolve(set, Numbering::Uid)?;
            expunge::expunge(tx, &by, account, mailbox, Some(&uids))?
        }
    };
    Ok(Flow::Done(Reply::ok("EXPUNGE done")))
}
