//! IDLE (RFC 9051 §6.3.13, RFC 2177).

use postroad_imap::Tag;
use postroad_store::ModSeq;

use crate::error::Reply;
use crate::session::Session;
use crate::steps::{Idle, Phase};

pub(crate) fn run(session: &mut Session, tag: &Tag) -> Option<Reply> {
    session.now_writer().continuation("idling");
    session.framer.expect_line();
    // The world listens before the session looks, so that nothing can come between: the first wait is for
    // anything at all, and tells what happened before IDLE.
    session.phase = Phase::Idle(Idle { tag: tag.clone(), heard: ModSeq(-1), heard_login: ModSeq(-1), more: false });
    None
}
