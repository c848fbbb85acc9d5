//! MOVE and UID MOVE (RFC 9051 §6.4.8, RFC 6851), also from one account to another.

use postroad_imap::Status;
use postroad_imap::command::Copy;
use postroad_mail::Rights;
use postroad_store::WriteTx;

use super::copy::{How, copy_uid, transfer};
use crate::error::{Error, Reply};
use crate::message_limit;
use crate::session::{Flow, Session};
use crate::sync;
use crate::target;

pub(crate) fn run(session: &mut Session, tx: &mut WriteTx, copy: &Copy) -> Result<Flow, Error> {
    // RFC 6851 §4.4: what STORE \Deleted and EXPUNGE take.
    if !session.view()?.rights.contains(Rights::DELETE_OR_EXPUNGE_MESSAGES) {
        return Err(target::lacking());
    }
    let target = target::destination(session, tx, &copy.mailbox)?;
    let view = session.view()?;
    let uids = view.resolve(&copy.set, copy.numbering)?.difference(&view.ghosts);
    let (uids, cut) = message_limit::within(session, uids);
    let moved = transfer(session, tx, &uids, &target, How::Move)?;
    // RFC 6851 §4.3: COPYUID in an untagged OK, before the EXPUNGE responses, which the synchronisation tells.
    if let Some(code) = copy_uid(&moved) {
        session.writer().untagged(Status::Ok, Some(&code), "moved");
    }
    // Into the same mailbox: what went is told before what came, so that its size is never told too big.
    if target.place() == session.place()? && !moved.source.is_empty() {
        sync::load_map(session, tx)?;
        session.view_mut()?.vanished(&moved.source);
        sync::tell_expunged(session)?;
    }
    // Nothing there any more is OK too: iOS repeats a MOVE whose answer it lost, and keeps ghosts after NO.
    Ok(Flow::Done(message_limit::reply_removing(session, cut, Reply::ok("MOVE done"))))
}
