//! Builds small messages: notices, welcome mail. Everything is in memory, lines end in CRLF and stay below 998 octets, fields are
//! folded and encoded, and nothing that comes in can add a field or a part.
//!
//! Standards: RFC 5322 §2, RFC 2045 §6, RFC 2046 §5.1, RFC 2047, RFC 2231, RFC 6522 (multipart/report, by the caller's types).

mod body;

use crate::address::format_mailbox;
use crate::header::{encode_field, fold};
use base64::Engine as _;

/// A message or part under construction.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    head: String,
    body: Vec<u8>,
}

impl Builder {
    /// A message with `MIME-Version: 1.0` and nothing else.
    pub fn message() -> Builder {
        Builder { head: "MIME-Version: 1.0\r\n".to_owned(), body: Vec::new() }
    }

    /// A part, without fields.
    pub fn part() -> Builder {
        Builder::default()
    }

    /// Adds an unstructured field, encoded (RFC 2047) and folded. Line breaks in the value become spaces.
    pub fn field(mut self, name: &str, value: &str) -> Builder {
        self.head.push_str(&encode_field(name, value));
        self
    }

    /// Adds an address field from (display name, address) pairs.
    pub fn addresses(self, name: &str, list: &[(Option<&str>, &str)]) -> Builder {
        let value: Vec<String> = list.iter().map(|(display, address)| format_mailbox(*display, address)).collect();
        self.raw(name, &value.join(", "))
    }

    /// Adds a structured field as it is, folded at spaces. Control characters become spaces.
    pub fn raw(mut self, name: &str, value: &str) -> Builder {
        let clean: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.head.push_str(&fold(name, &clean));
        self
    }

    /// A text body with Content-Type `text/{subtype}; charset=utf-8` and the transfer encoding it needs.
    pub fn text(self, subtype: &str, text: &str) -> Builder {
        let (encoding, body) = body::encode_text(text);
        let builder = self.raw("Content-Type", &format!("text/{subtype}; charset=utf-8"));
        Builder { body, ..builder.raw("Content-Transfer-Encoding", encoding) }
    }

    /// A body as it is (`message/delivery-status`, `message/rfc822`, `text/rfc822-headers`); the transfer encoding is 7bit or 8bit.
    pub fn body(self, content_type: &str, body: &[u8]) -> Builder {
        let encoding = if body.is_ascii() { "7bit" } else { "8bit" };
        let builder = self.raw("Content-Type", content_type).raw("Content-Transfer-Encoding", encoding);
        Builder { body: body.to_vec(), ..builder }
    }

    /// A binary body, base64, with an optional file name.
    pub fn attachment(self, content_type: &str, file_name: Option<&str>, body: &[u8]) -> Builder {
        let disposition = match file_name {
            Some(name) => format!("attachment; {}", body::parameter("filename", name)),
            None => "attachment".to_owned(),
        };
        let builder = self.raw("Content-Type", content_type).raw("Content-Disposition", &disposition);
        let encoded = base64::engine::general_purpose::STANDARD.encode(body);
        Builder { body: body::in_lines(&encoded), ..builder.raw("Content-Transfer-Encoding", "base64") }
    }

    /// A multipart body; `content_type` as `multipart/report; report-type=delivery-status`. The boundary is derived from the
    /// parts, and occurs in none of them.
    pub fn multipart(self, content_type: &str, parts: Vec<Builder>) -> Builder {
        let parts: Vec<Vec<u8>> = parts.into_iter().map(Builder::build).collect();
        let boundary = boundary(&parts);
        let mut body = Vec::new();
        for part in &parts {
            body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            body.extend_from_slice(part);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Builder { body, ..self.raw("Content-Type", &format!("{content_type}; boundary=\"{boundary}\"")) }
    }

    /// The octets.
    pub fn build(self) -> Vec<u8> {
        let mut out = self.head.into_bytes();
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

/// A boundary that is in no part: `=_` cannot occur in quoted-printable or base64 (RFC 2045 §6.7), and the number is changed
/// until it is found nowhere else.
fn boundary(parts: &[Vec<u8>]) -> String {
    let all = parts.concat();
    let mut number = crate::thread::hash(&all);
    loop {
        let boundary = format!("=_{number:016x}");
        if memchr::memmem::find(&all, boundary.as_bytes()).is_none() {
            return boundary;
        }
        number = number.wrapping_add(1);
    }
}
