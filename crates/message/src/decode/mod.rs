//! Bodies to octets and text: transfer encodings (RFC 2045 §6, uuencode), charsets, HTML to text.
//!
//! Decoding never fails: mail is read as far as it makes sense. Nothing here looks at headers.

mod charset;
mod html;
mod quoted;
mod transfer;
mod uu;

pub use charset::{charset, charset_known};
pub use html::{html_to_text, html_to_text_limited};
pub(crate) use transfer::base64_lenient;
pub use transfer::{Decoder, Encoding, transfer};

use crate::Part;

/// A header value as text ([`crate::header::decode`]).
pub fn header(value: &[u8]) -> String {
    crate::header::decode(value)
}

/// A text body as text: transfer encoding and charset undone.
pub fn body(encoding: &Encoding, label: Option<&str>, body: &[u8]) -> String {
    charset(label, &transfer(encoding, body))
}

/// The visible text of a text/* part, given its body octets; HTML is stripped. Empty for other types.
pub fn text_of(part: &Part, octets: &[u8]) -> String {
    if part.content_type != "text" {
        return String::new();
    }
    if part.subtype != "html" {
        return body(&part.encoding, part.charset().as_deref(), octets);
    }
    html_to_text(&html_of(&part.encoding, part.charset().as_deref(), octets))
}

/// HTML source as text. Without a charset in its header it may name one itself.
pub(crate) fn html_of(encoding: &Encoding, label: Option<&str>, octets: &[u8]) -> String {
    let decoded = transfer(encoding, octets);
    match label {
        Some(label) => charset(Some(label), &decoded),
        None => charset(meta_charset(&decoded).as_deref(), &decoded),
    }
}

/// Octets of HTML in which a `<meta charset>` is looked for (the HTML standard's number).
const META_MAX: usize = 1024;

/// The charset that HTML names in its head, if it does.
pub fn meta_charset(html: &[u8]) -> Option<String> {
    let head = html[..html.len().min(META_MAX)].to_ascii_lowercase();
    let meta = memchr::memmem::find(&head, b"<meta")?;
    let at = meta + memchr::memmem::find(&head[meta..], b"charset=")? + b"charset=".len();
    let label = head[at..].trim_ascii_start();
    let label = label.strip_prefix(b"\"").or(label.strip_prefix(b"'")).unwrap_or(label);
    let length = label.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b)).count();
    Some(String::from_utf8_lossy(&label[..length]).into_owned())
}
