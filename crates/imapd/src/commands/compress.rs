//! COMPRESS (RFC 4978).
//!
//! The session only says when: the connection's octets are compressed below it.

use postroad_imap::{ResponseCode, Tag};

use crate::error::Reply;
use crate::session::{Session, Switch};

pub(crate) fn run(session: &mut Session, tag: &Tag, algorithm: &str) -> Option<Reply> {
    if !session.settings.compress {
        return Some(Reply::bad("COMPRESS is not offered"));
    }
    if algorithm != "DEFLATE" {
        return Some(Reply::bad("this algorithm is not offered; DEFLATE is"));
    }
    if session.compressed {
        return Some(Reply::no(ResponseCode::CompressionActive, "DEFLATE is active already"));
    }
    // RFC 4978 §3: the client says nothing until it has the answer. What it did say is not compressed, or is in the wrong
    // place, and whoever put it there is not to be heard as the client.
    if session.framer.buffered() > 0 {
        return Some(Reply::bad("nothing may come behind COMPRESS before its answer"));
    }
    session.answer(tag, &Reply::ok("DEFLATE from here"));
    session.bad_commands = 0;
    session.compressed = true;
    session.switch = Some(Switch::On);
    None
}
