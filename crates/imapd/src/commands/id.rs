//! ID (RFC 2971): also before login, where some clients ask first.

use postroad_imap::command::Id;

use crate::error::Reply;
use crate::session::Session;

/// What the client says of itself is not needed for anything: no behaviour depends on it.
pub(crate) fn run(session: &mut Session, _fields: &Id) -> Option<Reply> {
    session.now_writer().id(&[("name", "Postroad"), ("vendor", "Postroad")]);
    Some(Reply::ok("ID done"))
}
