//! UNAUTHENTICATE (RFC 8437): a connection as new, for the next who logs in.

use std::sync::Arc;

use postroad_imap::{Limits, ResponseCode, Syntax, Tag};

use crate::capability;
use crate::error::Reply;
use crate::session::{Session, Switch};
use crate::steps::Phase;

/// RFC 8437 §3: it never fails, so it needs no data. Recent messages that were not marked stay recent, as when a
/// connection breaks.
pub(crate) fn run(session: &mut Session, tag: &Tag) -> Option<Reply> {
    // RFC 8437 §4.1: everything is reset but TLS. A session that is made anew forgets also what is not thought of here.
    let fresh = Session::new(Arc::clone(&session.settings), *session.peer(), session.tls.clone());
    let before = std::mem::replace(session, fresh);
    session.phase = Phase::Ready;
    session.out = before.out;
    session.failed_logins = before.failed_logins;
    // Commands that came behind it stay.
    session.framer = before.framer;
    *session.framer.syntax_mut() = Syntax { utf8: false, limits: Limits::before_login() };
    // RFC 8437 §4.1: the compression ends with this answer.
    session.switch = before.compressed.then_some(Switch::Off);
    let code = ResponseCode::Capability(capability::list(session).join(" "));
    session.answer(tag, &Reply::ok_with(code, "you are nobody now"));
    None
}
