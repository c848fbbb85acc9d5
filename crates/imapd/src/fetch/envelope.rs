//! ENVELOPE (RFC 9051 §7.5.2), from the summary.

use postroad_imap::Writer;
use postroad_message::Envelope;
use postroad_message::address::{Address, Mailbox};

/// `(date subject from sender reply-to to cc bcc in-reply-to message-id)`.
pub(super) fn write(writer: &mut Writer<'_>, envelope: &Envelope) {
    writer.raw(b"(");
    text(writer, envelope.date.as_deref());
    writer.raw(b" ");
    text(writer, envelope.subject.as_deref());
    // Outlook and others fall over a NIL here; RFC 9051 lets Sender and Reply-To repeat From.
    for list in [&envelope.from[..], envelope.sender_or_from(), envelope.reply_to_or_from()] {
        writer.raw(b" ");
        if list.is_empty() {
            writer.raw(b"(");
            mailbox(writer, &Mailbox::default());
            writer.raw(b")");
        } else {
            addresses(writer, list);
        }
    }
    for list in [&envelope.to, &envelope.cc, &envelope.bcc] {
        writer.raw(b" ");
        addresses(writer, list);
    }
    writer.raw(b" ");
    text(writer, envelope.in_reply_to.as_deref());
    writer.raw(b" ");
    text(writer, envelope.message_id.as_deref());
    writer.raw(b")");
}

fn addresses(writer: &mut Writer<'_>, list: &[Address]) {
    if list.is_empty() {
        return writer.raw(b"NIL");
    }
    writer.raw(b"(");
    for address in list {
        match address {
            Address::Mailbox(one) => mailbox(writer, one),
            Address::GroupStart(name) => {
                writer.raw(b"(NIL NIL ");
                writer.string(name.as_bytes());
                writer.raw(b" NIL)");
            }
            Address::GroupEnd => writer.raw(b"(NIL NIL NIL NIL)"),
        }
    }
    writer.raw(b")");
}

/// `(name adl mailbox host)`. NIL as mailbox or host would say that it is a group: what is missing in
/// damaged mail gets the words that clients know from other servers.
fn mailbox(writer: &mut Writer<'_>, mailbox: &Mailbox) {
    fn or<'a>(text: &'a str, missing: &'a str) -> &'a str {
        if text.is_empty() { missing } else { text }
    }
    writer.raw(b"(");
    text(writer, mailbox.name.as_deref());
    writer.raw(b" ");
    text(writer, mailbox.route.as_deref());
    writer.raw(b" ");
    writer.string(or(&mailbox.local, "MISSING_MAILBOX").as_bytes());
    writer.raw(b" ");
    writer.string(or(&mailbox.host, "MISSING_DOMAIN").as_bytes());
    writer.raw(b")");
}

fn text(writer: &mut Writer<'_>, text: Option<&str>) {
    writer.nstring(text.map(str::as_bytes));
}
