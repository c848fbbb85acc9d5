//! What can go wrong in an exchange, and which reply that becomes.

use std::fmt;

/// Why an exchange ended without an answer about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The client speaks first in a mechanism where that is the server's part. SMTP: 501 5.7.0 (RFC 4954 §4); IMAP: `BAD`; POP3:
    /// `-ERR`.
    TooEarly,
    /// The client sent `*`. SMTP: 501; IMAP: `BAD`; POP3: `-ERR`.
    Cancelled,
    /// The client's line is no base64. SMTP: 501 5.5.2; IMAP: `BAD`; POP3: `-ERR`.
    BadBase64,
    /// The client's line is longer than [`crate::LINE_LIMIT`]. SMTP: 500 5.5.6; IMAP: `BAD`; POP3: `-ERR`.
    TooLong,
    /// The decoded message is not what the mechanism asks for. SMTP: 535 5.7.8; IMAP: `NO`; POP3: `-ERR`.
    BadMessage,
    /// The decoded message has text that is no UTF-8 (RFC 4616 §2). SMTP: 535 5.7.8; IMAP: `NO`; POP3: `-ERR`.
    NotUtf8,
    /// What the client bound itself to is not this connection, or it was made to believe that we cannot do that
    /// (RFC 5802 §6): somebody stands in between. SMTP: 535 5.7.8; IMAP: `NO`; POP3: `-ERR`.
    BadBinding,
    /// A client's: the server did not show that it knows the password (RFC 5802 §5), or ended before it could.
    NotTheServer,
}

impl Error {
    /// What is wrong.
    pub fn words(self) -> &'static str {
        match self {
            Error::TooEarly => "the server speaks first in this mechanism",
            Error::Cancelled => "authentication cancelled",
            Error::BadBase64 => "the response is not valid base64",
            Error::TooLong => "the response is too long",
            Error::BadMessage => "the response does not follow the mechanism",
            Error::NotUtf8 => "the response is not UTF-8",
            Error::BadBinding => "the response is not bound to this connection",
            Error::NotTheServer => "the server did not show that it knows the account",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Error {}
