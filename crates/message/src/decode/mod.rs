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
    let text = body(&part.encoding, part.charset().as_deref(), octets);
    if part.subtype == "html" { html_to_text(&text) } else { text }
}
