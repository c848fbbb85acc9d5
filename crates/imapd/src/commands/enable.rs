//! ENABLE (RFC 9051 §6.3.1, RFC 5161).

use postroad_imap::{ResponseCode, Status, Writer};
use postroad_store::ReadTx;

use crate::annotations;
use crate::context;
use crate::error::{Error, Reply};
use crate::session::{Flow, Session};

pub(crate) fn run(session: &mut Session, names: &[String]) -> Option<Reply> {
    let (enabled, stands) = enable(session, names);
    tell(session.now_writer(), &enabled, stands.as_ref());
    Some(Reply::ok("ENABLE done"))
}

/// Whether changes of annotations are asked for: from which one on, the database knows.
pub(crate) fn follows_annotations(names: &[String]) -> bool {
    names.iter().any(|name| matches!(name.to_ascii_uppercase().as_str(), METADATA | METADATA_SERVER))
}

/// [`run`] where [`follows_annotations`].
pub(crate) fn read(session: &mut Session, tx: &ReadTx, names: &[String]) -> Result<Flow, Error> {
    let whole = names.iter().any(|name| name.eq_ignore_ascii_case(METADATA));
    annotations::follow(session, tx, !whole)?;
    let (enabled, stands) = enable(session, names);
    tell(session.writer(), &enabled, stands.as_ref());
    Ok(Flow::Done(Reply::ok("ENABLE done")))
}

fn tell(mut writer: Writer<'_>, enabled: &[&str], stands: Option<&ResponseCode>) {
    writer.enabled(enabled);
    if stands.is_some() {
        writer.untagged(Status::Ok, stands, "the last change");
    }
}

/// Switches on what is known, and answers with its names.
fn enable(session: &mut Session, names: &[String]) -> (Vec<&'static str>, Option<ResponseCode>) {
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
            METADATA => enabled.push(METADATA),
            METADATA_SERVER => enabled.push(METADATA_SERVER),
            // RFC 5161 §3.1: what the server does not know is ignored.
            _ => {}
        }
    }
    (enabled, stands)
}

/// RFC 5464 §1: both are enabled to hear of changes.
const METADATA: &str = "METADATA";
const METADATA_SERVER: &str = "METADATA-SERVER";
