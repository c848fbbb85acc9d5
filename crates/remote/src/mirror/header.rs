//! What the header of a message is written in, which decides how it is appended.

/// Octets of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Ascii,
    Utf8,
    /// 8-bit octets that are no UTF-8: what other charsets left behind.
    Other,
}

impl Header {
    /// Of a message, or of its beginning: what is cut off counts for nothing.
    pub(super) fn of(message: &[u8]) -> Header {
        let header = &message[..end(message)];
        if header.is_ascii() {
            return Header::Ascii;
        }
        match std::str::from_utf8(header) {
            Err(error) if error.error_len().is_some() => Header::Other,
            Ok(_) | Err(_) => Header::Utf8,
        }
    }

    /// Whether it goes as `UTF8 (..)`, which promises UTF-8 (RFC 6855 §4), to a server that has enabled that. `again`: it
    /// was refused as it should go. Some servers know a plain literal alone, and others want nothing 8-bit in one.
    pub(super) fn goes_as_utf8(self, again: bool) -> bool {
        match self {
            Header::Ascii => false,
            Header::Utf8 => !again,
            Header::Other => again,
        }
    }
}

/// Where the header ends: at the first empty line.
fn end(message: &[u8]) -> usize {
    let mut from = 0;
    while let Some(length) = message[from..].iter().position(|octet| *octet == b'\n') {
        if matches!(&message[from..from + length], b"" | b"\r") {
            return from;
        }
        from += length + 1;
    }
    message.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_apart() {
        for (message, expected) in [
            (&b""[..], Header::Ascii),
            (b"A: b\r\n\r\n\xff", Header::Ascii),
            (b"A: b\n\n\xff", Header::Ascii),
            (b"\r\n\xff", Header::Ascii),
            (b"\n\xff", Header::Ascii),
            ("A: ü\r\n\r\nx".as_bytes(), Header::Utf8),
            (b"A: \xc3\xbc\r\n\r\n\xff", Header::Utf8),
            (b"A: b\nC: \xc3\xbc\n\n\xff", Header::Utf8),
            (b"A: \xfc\r\n\r\n", Header::Other),
            (b"A: \xc3\xbc \xfc", Header::Other),
            // Cut in a letter.
            (b"A: \xc3\xbc \xc3", Header::Utf8),
            (b"A: b\r\n \r\nC: \xfc\r\n", Header::Other),
        ] {
            assert_eq!(Header::of(message), expected, "{message:?}");
        }
    }
}
