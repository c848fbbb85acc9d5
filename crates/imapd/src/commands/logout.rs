//! LOGOUT (RFC 9051 §6.1.3).

use postroad_imap::{Status, Tag};

use crate::error::Reply;
use crate::session::Session;
use crate::steps::Phase;

pub(crate) fn run(session: &mut Session, tag: &Tag) -> Option<Reply> {
    // BYE comes before the tagged answer.
    session.now_writer().untagged(Status::Bye, None, "goodbye");
    session.answer(tag, &Reply::ok("LOGOUT done"));
    session.phase = Phase::Closing;
    None
}
