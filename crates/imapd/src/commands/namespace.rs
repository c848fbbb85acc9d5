//! NAMESPACE (RFC 9051 §6.3.10, RFC 2342): always answered, also to who is not shared anything.

use postroad_imap::encode::Namespaces;

use crate::error::Reply;
use crate::session::Session;
use crate::target::{OTHERS, SHARED};

pub(crate) fn run(session: &mut Session) -> Option<Reply> {
    tell(session);
    Some(Reply::ok("NAMESPACE done"))
}

/// `* NAMESPACE`, in the language of the client (RFC 5255 §3.4).
pub(crate) fn tell(session: &mut Session) {
    let translations = session.language.prefixes();
    let namespaces = Namespaces { personal: &[""], others: &[OTHERS], shared: &[SHARED], translations };
    session.now_writer().namespace(&namespaces);
}
