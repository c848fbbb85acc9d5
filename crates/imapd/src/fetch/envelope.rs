//! ENVELOPE (RFC 9051 §7.5.2), from the summary as it is stored.

use postroad_imap::Writer;
use postroad_message::{AddressView, EnvelopeReader, Error};

/// `(date subject from sender reply-to to cc bcc in-reply-to message-id)`. After an error a part of it is written.
pub(super) fn write(writer: &mut Writer<'_>, envelope: &mut EnvelopeReader<'_, '_>) -> Result<(), Error> {
    writer.raw(b"(");
    text(writer, envelope.text()?);
    writer.raw(b" ");
    text(writer, envelope.text()?);
    writer.raw(b" ");
    let start = writer.out.len();
    // Outlook and others fall over a NIL here.
    if addresses(writer, envelope)? == 0 {
        writer.raw(b"(");
        mailbox(writer, (None, None), ("", ""));
        writer.raw(b")");
    }
    let from = start..writer.out.len();
    // RFC 9051 §7.5.2 lets Sender and Reply-To repeat From.
    for _ in ["sender", "reply-to"] {
        writer.raw(b" ");
        if addresses(writer, envelope)? == 0 {
            writer.out.extend_from_within(from.clone());
        }
    }
    for _ in ["to", "cc", "bcc"] {
        writer.raw(b" ");
        if addresses(writer, envelope)? == 0 {
            writer.raw(b"NIL");
        }
    }
    writer.raw(b" ");
    text(writer, envelope.text()?);
    writer.raw(b" ");
    text(writer, envelope.text()?);
    writer.raw(b")");
    Ok(())
}

/// A list, of which nothing is written when it is empty; how many entries it has.
fn addresses(writer: &mut Writer<'_>, envelope: &mut EnvelopeReader<'_, '_>) -> Result<usize, Error> {
    let mut begun = false;
    let count = envelope.addresses(|address| {
        if !std::mem::replace(&mut begun, true) {
            writer.raw(b"(");
        }
        match address {
            AddressView::Mailbox { name, route, local, host } => mailbox(writer, (name, route), (local, host)),
            AddressView::GroupStart(name) => {
                writer.raw(b"(NIL NIL ");
                writer.string(name.as_bytes());
                writer.raw(b" NIL)");
            }
            AddressView::GroupEnd => writer.raw(b"(NIL NIL NIL NIL)"),
        }
    })?;
    if begun {
        writer.raw(b")");
    }
    Ok(count)
}

/// `(name adl mailbox host)`. NIL as mailbox or host would say that it is a group: what is missing in
/// damaged mail gets the words that clients know from other servers.
fn mailbox(writer: &mut Writer<'_>, (name, route): (Option<&str>, Option<&str>), (local, host): (&str, &str)) {
    fn or<'a>(text: &'a str, missing: &'a str) -> &'a str {
        if text.is_empty() { missing } else { text }
    }
    writer.raw(b"(");
    text(writer, name);
    writer.raw(b" ");
    text(writer, route);
    writer.raw(b" ");
    writer.string(or(local, "MISSING_MAILBOX").as_bytes());
    writer.raw(b" ");
    writer.string(or(host, "MISSING_DOMAIN").as_bytes());
    writer.raw(b")");
}

fn text(writer: &mut Writer<'_>, text: Option<&str>) {
    writer.nstring(text.map(str::as_bytes));
}
