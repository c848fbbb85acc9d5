//! Transfer encodings, charsets, HTML to text.

use crate::Part;

/// Content-Transfer-Encoding (RFC 2045 §6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encoding {
    /// `7bit`, also when the field is absent.
    #[default]
    SevenBit,
    /// `8bit`
    EightBit,
    /// `binary`
    Binary,
    /// `base64`
    Base64,
    /// `quoted-printable`
    QuotedPrintable,
    /// `x-uuencode` and its other spellings.
    Uuencode,
    /// Something else, as written: its octets cannot be decoded (BINARY: `[UNKNOWN-CTE]`).
    Other(String),
}

impl Encoding {
    /// From a field value.
    pub fn parse(value: &[u8]) -> Encoding {
        let _ = value;
        unimplemented!()
    }

    /// The token, upper case for those we know: `7BIT`, `BASE64`.
    pub fn as_str(&self) -> &str {
        unimplemented!()
    }

    /// Whether the octets are the content itself.
    pub fn is_identity(&self) -> bool {
        matches!(self, Encoding::SevenBit | Encoding::EightBit | Encoding::Binary)
    }
}

/// A streaming transfer decoder. Lenient: never fails.
#[derive(Debug, Clone)]
pub struct Decoder {
    encoding: Encoding,
}

impl Decoder {
    /// At the start of a body.
    pub fn new(encoding: &Encoding) -> Decoder {
        Decoder { encoding: encoding.clone() }
    }

    /// Decodes the next octets, appending to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let _ = (bytes, out, &self.encoding);
        unimplemented!()
    }

    /// The body ends.
    pub fn finish(self, out: &mut Vec<u8>) {
        let _ = out;
        unimplemented!()
    }
}

/// A whole body without its transfer encoding. An unknown encoding gives the octets as they are.
pub fn transfer(encoding: &Encoding, body: &[u8]) -> Vec<u8> {
    let _ = (encoding, body);
    unimplemented!()
}

/// Octets in a charset as text. Unknown or missing charset: UTF-8 if valid, else windows-1252. Never fails (U+FFFD).
pub fn charset(label: Option<&str>, bytes: &[u8]) -> String {
    let _ = (label, bytes);
    unimplemented!()
}

/// Whether [`charset`] knows this label (SEARCH CHARSET: else `[BADCHARSET]`).
pub fn charset_known(label: &str) -> bool {
    let _ = label;
    unimplemented!()
}

/// A header value as text ([`crate::header::decode`]).
pub fn header(value: &[u8]) -> String {
    crate::header::decode(value)
}

/// A text body as text: transfer encoding and charset undone.
pub fn body(encoding: &Encoding, label: Option<&str>, body: &[u8]) -> String {
    charset(label, &transfer(encoding, body))
}

/// The visible text of a text/* part, given its body octets; HTML is stripped. Empty for other types.
pub fn text_of(part: &Part, body: &[u8]) -> String {
    let _ = (part, body);
    unimplemented!()
}

/// The visible text of HTML: no tags, no scripts or styles, entities decoded, blocks on lines of their own.
pub fn html_to_text(html: &str) -> String {
    html_to_text_limited(html, usize::MAX)
}

/// [`html_to_text`] that stops after about `limit` characters.
pub fn html_to_text_limited(html: &str, limit: usize) -> String {
    let _ = (html, limit);
    unimplemented!()
}
