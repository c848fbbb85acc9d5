//! Builds small messages: notices, welcome mail. Lines end in CRLF.

/// A message or part under construction.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    head: String,
    body: Vec<u8>,
}

impl Builder {
    /// A message with `MIME-Version: 1.0` and nothing else.
    pub fn message() -> Builder {
        unimplemented!()
    }

    /// A part, without fields.
    pub fn part() -> Builder {
        Builder::default()
    }

    /// Adds an unstructured field, encoded (RFC 2047) and folded. Line breaks in the value become spaces.
    pub fn field(mut self, name: &str, value: &str) -> Builder {
        self.head.push_str(&crate::header::encode_field(name, value));
        self
    }

    /// Adds an address field from (display name, address) pairs.
    pub fn addresses(self, name: &str, list: &[(Option<&str>, &str)]) -> Builder {
        let _ = (name, list);
        unimplemented!()
    }

    /// Adds a structured field as it is, folded at spaces.
    pub fn raw(self, name: &str, value: &str) -> Builder {
        let _ = (name, value);
        unimplemented!()
    }

    /// A text body with Content-Type `text/{subtype}; charset=utf-8` and the transfer encoding it needs.
    pub fn text(self, subtype: &str, text: &str) -> Builder {
        let _ = (subtype, text, &self.body);
        unimplemented!()
    }

    /// A body as it is (`message/delivery-status`, `message/rfc822`, `text/rfc822-headers`); the transfer encoding is 7bit or 8bit.
    pub fn body(self, content_type: &str, body: &[u8]) -> Builder {
        let _ = (content_type, body);
        unimplemented!()
    }

    /// A binary body, base64, with an optional file name.
    pub fn attachment(self, content_type: &str, file_name: Option<&str>, body: &[u8]) -> Builder {
        let _ = (content_type, file_name, body);
        unimplemented!()
    }

    /// A multipart body; `content_type` as `multipart/report; report-type=delivery-status`. The boundary is derived from the
    /// parts, and occurs in none of them.
    pub fn multipart(self, content_type: &str, parts: Vec<Builder>) -> Builder {
        let _ = (content_type, parts);
        unimplemented!()
    }

    /// The octets.
    pub fn build(self) -> Vec<u8> {
        unimplemented!()
    }
}
