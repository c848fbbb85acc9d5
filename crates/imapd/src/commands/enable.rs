//! ENABLE (RFC 9051 §6.3.1, RFC 5161).

use postroad_imap::Status;

use crate::context;
use crate::error::Reply;
use crate::session::Session;

pub(crate) fn run(session: &mut Session, names: &[String]) -> Option<Reply> {
    let mut enabled = Vec::new();
    let mut stands = None;
    for name in names {
        match name.to_ascii_uppercase().as_str() {
            "CONDSTORE" => {
                stands = stands.or(session.first_condstore());
                enabled.push("CONDSTORE");
            }
            "QRESYNC" => {
                // RFC 7162 §3.2.3: QRESYNC is CONDSTORE too.
                stands = stands.or(session.first_condstore());
                session.enabled.qresync = true;
                enabled.push("QRESYNC");
            }
            "UIDONLY" => {
                session.enabled.uid_only = true;
                context::without_numbers(session);
                enabled.push("UIDONLY");
            }
            "IMAP4REV2" if session.settings.rev2 => {
                session.enabled.rev2 = true;
                session.framer.syntax_mut().utf8 = true;
                enabled.push("IMAP4rev2");
            }
            // RFC 6855 §3.
            "UTF8=ACCEPT" => {
                session.enabled.utf8 = true;
                session.framer.syntax_mut().utf8 = true;
                enabled.push("UTF8=ACCEPT");
            }
            // RFC 5161 §3.1: what the server does not know is ignored.
            _ => {}
        }
    }
    session.now_writer().enabled(&enabled);
    if let Some(code) = stands {
        session.now_writer().untagged(Status::Ok, Some(&code), "the last change");
    }
    Some(Reply::ok("ENABLE done"))
}
