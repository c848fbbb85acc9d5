//! STARTTLS (RFC 9051 §6.2.1).

use postroad_imap::Tag;

use crate::error::Reply;
use crate::session::Session;
use crate::steps::Phase;

pub(crate) fn run(session: &mut Session, tag: &Tag) -> Option<Reply> {
    if session.tls.is_some() {
        return Some(Reply::bad("TLS is there already"));
    }
    if !session.settings.starttls {
        return Some(Reply::bad("STARTTLS is not offered: there is no certificate"));
    }
    session.answer(tag, &Reply::ok("begin TLS now"));
    // What the client sent in clear behind the command is thrown away (RFC 9051 §6.2.1).
    session.framer.clear();
    session.phase = Phase::StartTls;
    None
}
