//! Headers in UTF-8 for clients that know ASCII only: what stands for a message in a POP or IMAP session without UTF-8
//! (RFC 6858; RFC 6855 §7 and §8, RFC 6856 §2).
//!
//! | field | what becomes of it |
//! |---|---|
//! | addresses | names in encoded words; an address that is not ASCII becomes a name before one that leads nowhere (§2.1) |
//! | Content-Type, Content-Disposition | parameters by RFC 2231 (§2.2 would let them go) |
//! | Received, Message-ID and others with a grammar | left out where they are not ASCII (§2.4) |
//! | Subject and all others | encoded words (§2.3) |
//!
//! The headers are those of the message, of its parts and of the messages within it: [`Told`] is all of a message with them.
//!
//! What it never does: touch a header that is not UTF-8, since nobody knows what it says, or a body.

mod told;

use std::borrow::Cow;

use crate::address::{self, Address, Mailbox};
use crate::header::{Field, content_disposition, content_type, decode, encode_field, encode_text, fields, fold};
use crate::summary::{Content, Envelope, Param, Part, Summary};
pub use told::{Piece, Told, blocks, spans};

/// The part before the `@` of what stands for an address that ASCII cannot say (RFC 6858 §2.1).
pub const LOCAL: &str = "invalid";
/// The domain of it (RFC 2606 §2).
pub const HOST: &str = "internationalized-address.invalid";

/// A header block, with or without its blank line, in ASCII. `None`: it can go as it is.
pub fn header(block: &[u8]) -> Option<Vec<u8>> {
    if block.is_ascii() || std::str::from_utf8(block).is_err() {
        return None;
    }
    let mut out = Vec::with_capacity(block.len() * 2);
    let mut end = 0;
    for field in fields(block) {
        end = field.start + field.raw.len();
        match field.raw.is_ascii() {
            true => out.extend_from_slice(field.raw),
            false => out.extend_from_slice(self::field(&field).as_bytes()),
        }
    }
    out.extend(block[end..].iter().filter(|byte| byte.is_ascii()));
    Some(out)
}

/// A field that is not ASCII; empty when it is left out.
fn field(field: &Field<'_>) -> String {
    let Some(name) = std::str::from_utf8(field.name).ok().filter(|name| !name.is_empty() && name.is_ascii()) else {
        return String::new();
    };
    let is_one_of = |names: &[&str]| names.iter().any(|one| field.is(one));
    if is_one_of(LEFT_OUT) {
        return String::new();
    }
    if is_one_of(ADDRESSES) {
        let list: Vec<Address> = address::parse(field.value).into_iter().map(entry).collect();
        return if list.is_empty() { String::new() } else { fold(name, &address::format(&list)) };
    }
    let with_params = if field.is("Content-Type") {
        content_type(field.value).map(|(kind, subtype, params)| (format!("{kind}/{subtype}"), params))
    } else if field.is("Content-Disposition") {
        content_disposition(field.value)
    } else {
        return encode_field(name, &decode(field.value));
    };
    match with_params.filter(|(kind, _)| kind.is_ascii()) {
        Some((kind, params)) => fold(name, &params.iter().fold(kind, |value, one| value + &param(one))),
        None => String::new(),
    }
}

fn entry(entry: Address) -> Address {
    match entry {
        Address::Mailbox(one) => Address::Mailbox(match mailbox(one.name.as_deref(), &one.local, &one.host) {
            Some(name) => Mailbox { name: Some(name), route: None, local: LOCAL.to_owned(), host: HOST.to_owned() },
            None => Mailbox { route: one.route.filter(|route| route.is_ascii()), ..one },
        }),
        Address::GroupStart(_) | Address::GroupEnd => entry,
    }
}

/// The name, in UTF-8, before [`LOCAL`]`@`[`HOST`] that stands for an address that is not ASCII; `None` for one that is.
pub fn mailbox(name: Option<&str>, local: &str, host: &str) -> Option<String> {
    if local.is_ascii() && host.is_ascii() {
        return None;
    }
    let (local, host, route) = (local.to_owned(), host.to_owned(), None);
    let address = Mailbox { name: None, route, local, host }.addr_spec();
    Some(match name.map(|name| decode(name.as_bytes())).filter(|name| !name.trim().is_empty()) {
        Some(name) => format!("{name} <{address}>"),
        None => address,
    })
}

/// A text of a header, unfolded: in encoded words where it is not ASCII.
pub fn text(text: &str) -> Cow<'_, str> {
    match text.is_ascii() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(encode_text(&decode(text.as_bytes()))),
    }
}

/// What ENVELOPE and BODYSTRUCTURE tell, in ASCII (RFC 6858 §2); the rest of the summary stays.
pub fn summary(summary: &Summary) -> Summary {
    let mut made = summary.clone();
    envelope(&mut made.envelope);
    part(&mut made.structure);
    made
}

fn envelope(envelope: &mut Envelope) {
    envelope.subject.iter_mut().for_each(in_place);
    // No encoded word has a place in these.
    for one in [&mut envelope.date, &mut envelope.in_reply_to, &mut envelope.message_id] {
        *one = one.take().filter(|text| text.is_ascii());
    }
    let lists = [
        &mut envelope.from,
        &mut envelope.sender,
        &mut envelope.reply_to,
        &mut envelope.to,
        &mut envelope.cc,
        &mut envelope.bcc,
    ];
    for one in lists.into_iter().flatten() {
        *one = match entry(std::mem::replace(one, Address::GroupEnd)) {
            Address::Mailbox(one) => {
                Address::Mailbox(Mailbox { name: one.name.map(|name| text(&name).into_owned()), ..one })
            }
            Address::GroupStart(name) => Address::GroupStart(text(&name).into_owned()),
            Address::GroupEnd => Address::GroupEnd,
        };
    }
}

/// A part and all within it: as deep as the parser lets it be.
fn part(part: &mut Part) {
    let texts = [&mut part.id, &mut part.description, &mut part.md5, &mut part.location];
    texts.into_iter().flatten().for_each(in_place);
    part.language.iter_mut().for_each(in_place);
    params(&mut part.params);
    if let Some(disposition) = &mut part.disposition {
        params(&mut disposition.params);
    }
    match &mut part.content {
        Content::Leaf => {}
        Content::Multipart(children) => children.iter_mut().for_each(self::part),
        Content::Message(nested) => {
            envelope(&mut nested.envelope);
            self::part(&mut nested.child);
        }
    }
}

fn in_place(one: &mut String) {
    if !one.is_ascii() {
        *one = text(one).into_owned();
    }
}

/// Values that are not ASCII in encoded words: not by the standard, but what clients of ENVELOPE and BODYSTRUCTURE decode.
fn params(params: &mut [Param]) {
    for param in params {
        in_place(&mut param.name);
        in_place(&mut param.value);
    }
}

/// `; name=value`; what is not ASCII by RFC 2231 §3 and §4.
fn param(param: &Param) -> String {
    if param.name.is_ascii() && param.value.is_ascii() {
        let value = param.value.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("; {}=\"{value}\"", param.name);
    }
    // What is marked as encoded already and is not ASCII is damaged.
    if !param.name.is_ascii() || param.name.contains('*') {
        return String::new();
    }
    let mut pieces = vec![String::new()];
    for character in param.value.chars() {
        let more: String = match character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_') {
            true => character.to_string(),
            false => character.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect(),
        };
        match pieces.last_mut() {
            Some(piece) if piece.len() + more.len() <= PIECE_MAX => piece.push_str(&more),
            Some(_) | None => pieces.push(more),
        }
    }
    let name = &param.name;
    if let [piece] = pieces.as_slice() {
        return format!("; {name}*=utf-8''{piece}");
    }
    let each = pieces.iter().enumerate().map(|(index, piece)| {
        let charset = if index == 0 { "utf-8''" } else { "" };
        format!("; {name}*{index}*={charset}{piece}")
    });
    each.collect()
}

/// Fields of addresses (RFC 5322 §3.6.2, §3.6.3, §3.6.6; RFC 8098).
const ADDRESSES: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-Reply-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Disposition-Notification-To",
    "Mail-Followup-To",
    "Mail-Reply-To",
];
/// Fields with a grammar that has no place for encoded words.
const LEFT_OUT: &[&str] = &[
    "Return-Path",
    "Received",
    "Delivered-To",
    "Message-ID",
    "Resent-Message-ID",
    "In-Reply-To",
    "References",
    "Date",
    "Resent-Date",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Location",
    "Content-Language",
    "DKIM-Signature",
    "ARC-Seal",
    "ARC-Message-Signature",
    "ARC-Authentication-Results",
    "Authentication-Results",
    "Received-SPF",
    "List-Id",
    "List-Post",
    "List-Help",
    "List-Subscribe",
    "List-Unsubscribe",
    "List-Owner",
    "List-Archive",
];
/// Octets of one piece of a parameter, so that a line with it is short.
const PIECE_MAX: usize = 54;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_in_ascii() {
        for (from, expected) in [
            ("Subject: Grüße\r\n", "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"),
            ("Subject: =?utf-8?q?Gr=C3=BC?= ß\r\n", "Subject: =?utf-8?b?R3LDvCDDnw==?=\r\n"),
            ("From: José <jose@example.com>\r\n", "From: =?utf-8?q?Jos=C3=A9?= <jose@example.com>\r\n"),
            (
                "To: bob@example.com, José <josé@example.com>\r\n",
                "To: bob@example.com, =?utf-8?q?Jos=C3=A9_=3Cjos=C3=A9=40example=2Ecom=3E?=\r\n <invalid@internationalized-address.invalid>\r\n",
            ),
            (
                "Cc: josé@example.com\r\n",
                "Cc: =?utf-8?q?jos=C3=A9=40example=2Ecom?=\r\n <invalid@internationalized-address.invalid>\r\n",
            ),
            (
                "Content-Type: application/pdf; name=\"Grüße 1.pdf\"; x=y\r\n",
                "Content-Type: application/pdf; name*=utf-8''Gr%C3%BC%C3%9Fe%201.pdf; x=\"y\"\r\n",
            ),
            ("Message-ID: <é@x>\r\nDate: x\r\n\r\n", "Date: x\r\n\r\n"),
            ("X-Note: é\r\nA: b\r\n\r\n", "X-Note: =?utf-8?b?w6k=?=\r\nA: b\r\n\r\n"),
            ("é: x\r\nA: b\r\n\r\n", "A: b\r\n\r\n"),
        ] {
            let found = header(from.as_bytes()).map(|block| String::from_utf8(block).expect("ASCII"));
            assert_eq!(found.as_deref(), Some(expected), "{from}");
        }
        for whole in [&b"Subject: x\r\n\r\n"[..], b"Subject: \xfc\r\n\r\n"] {
            assert_eq!(header(whole), None);
        }
    }

    #[test]
    fn long_names_of_files_come_in_pieces() {
        let name = "ä".repeat(60);
        let block = format!("Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n");
        let found = header(block.as_bytes()).expect("it changes");
        assert!(found.is_ascii() && found.split(|byte| *byte == b'\n').all(|line| line.len() <= 78));
        let value = fields(&found).next().expect("a field").value.to_vec();
        let (kind, params) = content_disposition(&value).expect("it is read");
        assert_eq!((kind.as_str(), crate::header::param(&params, "filename")), ("attachment", Some(name)));
    }
}
