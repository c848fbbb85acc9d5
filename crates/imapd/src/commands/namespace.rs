//! NAMESPACE (RFC 9051 §6.3.10, RFC 2342): always answered, also to who is not shared anything.

use postroad_imap::encode::Namespaces;

use crate::error::Reply;
use crate::session::Session;
use crate::target::{OTHERS, SHARED};

pub(crate) fn run(session: &mut Session) -> Option<Reply> {
    session.now_writer().namespace(&Namespaces { personal: &[""], others: &[OTHERS], shared: &[SHARED] });
    Some(Reply::ok("NAMESPACE done"))
}
