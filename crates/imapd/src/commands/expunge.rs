//! EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9).

use postroad_imap::{MessageSet, Numbering};
use postroad_mail::{Flags, Rights, UidSet, expunge, view};
use postroad_store::{ReadTx, WriteTx};

use crate::error::{Error, Reply};
use crate::message_limit::{self, Cut, MessageLimit};
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
    let cut = match set {
        // RFC 9738 §3.1: no limit for this one.
        None => {
            expunge::expunge(tx, &by, account, mailbox, None)?;
            None
        }
        Some(set) => {
            let uids = view.resolve(set, Numbering::Uid)?;
            let (uids, cut) = deleted(session, tx, uids)?;
            expunge::expunge(tx, &by, account, mailbox, Some(&uids))?;
            cut
        }
    };
    Ok(Flow::Done(message_limit::reply_removing(session, cut, Reply::ok("EXPUNGE done"))))
}

/// Those of the messages that one UID EXPUNGE removes: with a limit, it counts what is `\Deleted`.
fn deleted(session: &Session, tx: &ReadTx, uids: UidSet) -> Result<(UidSet, Option<Cut>), Error> {
    if session.settings.message_limit == MessageLimit::None {
        return Ok((uids, None));
    }
    let place = session.place()?;
    let deleted = view::uids_by_flags(tx, place.account, place.mailbox, Flags::DELETED, Flags::NONE)?;
    Ok(message_limit::within(session, uids.intersection(&deleted)))
}
