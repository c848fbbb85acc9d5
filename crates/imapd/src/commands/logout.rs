//! LOGOUT (RFC 9051 §6.1.3).

use postroad_imap::{Status, Tag};
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::steps::Phase;
use crate::sync;

/// With nothing left to do.
pub(crate) fn run(session: &mut Session, tag: &Tag) -> Option<Reply> {
    // BYE comes before the tagged answer.
    session.now_writer().untagged(Status::Bye, None, "goodbye");
    session.answer(tag, &Reply::ok("LOGOUT done"));
    session.phase = Phase::Closing;
    None
}

/// With recent messages to claim. A failure does not keep the client: [`Session::failed`] says BYE then.
pub(crate) fn claiming(session: &mut Session, tx: &mut WriteTx) -> Result<Flow, Error> {
    sync::claim_recent(session, tx)?;
    session.view = None;
    session.writer().untagged(Status::Bye, None, "goodbye");
    session.phase = Phase::Closing;
    Ok(Flow::Done(Reply::ok("LOGOUT done")))
}
