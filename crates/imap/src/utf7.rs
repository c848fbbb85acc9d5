//! Modified UTF-7 (RFC 3501 §5.1.3).

/// Why text is not modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utf7Error {
    /// An octet above 0x7E or a control character outside of an encoding.
    NotPrintable,
    /// `&` without its `-`.
    Unterminated,
    /// Not modified base64, or bits left over.
    BadBase64,
    /// A lone surrogate.
    BadUtf16,
    /// Printable ASCII was encoded, or two encodings stand side by side: another spelling of the same name.
    NotCanonical,
}

/// Strict decoding.
pub fn from_utf7(_text: &[u8]) -> Result<String, Utf7Error> {
    unimplemented!()
}

/// The one encoding of a text.
pub fn to_utf7(_text: &str) -> String {
    unimplemented!()
}
