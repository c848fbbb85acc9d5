//! NAMESPACE (RFC 9051 §6.3.10): always answered, though there is one only.

use postroad_imap::encode::Namespaces;

use crate::error::Reply;
use crate::session::Session;

pub(crate) fn run(session: &mut Session) -> Option<Reply> {
    session.now_writer().namespace(&Namespaces { personal: &[""], others: &[], shared: &[] });
    Some(Reply::ok("NAMESPACE done"))
}
