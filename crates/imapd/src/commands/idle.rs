//! IDLE (RFC 9051 §6.3.13, RFC 2177).

use postroad_imap::Tag;

use crate::error::Reply;
use crate::session::Session;
use crate::steps::{Idle, Phase};

pub(crate) fn run(session: &mut Session, tag: &Tag) -> Option<Reply> {
    session.now_writer().continuation("idling");
    session.framer.expect_line();
    // A first look tells what happened before IDLE, and up to where the session has heard of the account.
    let more = session.view.is_some();
    session.phase = Phase::Idle(Idle { tag: tag.clone(), heard: None, more });
    None
}
