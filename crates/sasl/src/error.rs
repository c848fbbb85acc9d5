//! What can go wrong in an exchange, and which reply that becomes.

use std::fmt;

/// Why an exchange ended without a [`crate::Check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The client sent `*`. SMTP: 501; IMAP: `BAD`; POP3: `-ERR`.
    Cancelled,
    /// The client's line is no base64. SMTP: 501 5.5.2.
    BadBase64,
    /// The client's line is longer than [`crate::LINE_LIMIT`]. SMTP: 500 5.5.6.
    TooLong,
    /// The decoded message is not what the mechanism asks for. SMTP: 535 5.7.8.
    BadMessage,
    /// The decoded message has text that is no UTF-8 (RFC 4616 §2). SMTP: 535 5.7.8.
    NotUtf8,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Cancelled => "authentication cancelled",
            Error::BadBase64 => "the response is not valid base64",
            Error::TooLong => "the response is too long",
            Error::BadMessage => "the response does not follow the mechanism",
            Error::NotUtf8 => "the response is not UTF-8",
        })
    }
}

impl std::error::Error for Error {}
