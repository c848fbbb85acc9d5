//! Flags: the system's and the clients' (RFC 9051 §2.3.2).

use std::fmt;

/// A flag that can be stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Flag {
    /// `\Answered`.
    Answered,
    /// `\Deleted`.
    Deleted,
    /// `\Draft`.
    Draft,
    /// `\Flagged`.
    Flagged,
    /// `\Seen`.
    Seen,
    /// `\Recent` (RFC 3501): a client may name it, it is never stored.
    Recent,
    /// Any other `\Name` (flag-extension): accepted and, like `\Recent`, never stored.
    Other(String),
    /// A keyword.
    Keyword(Keyword),
}

/// A keyword: an atom. Compares without case, keeps the case it was made with.
#[derive(Debug, Clone)]
pub struct Keyword(pub(crate) Box<str>);

/// Why text is not a flag or keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagError;

impl Keyword {
    /// Longest keyword, in octets.
    pub const MAX: usize = 255;
    /// Checks that the text is an atom.
    pub fn new(_text: &str) -> Result<Keyword, FlagError> {
        unimplemented!()
    }
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Keyword) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for Keyword {}
impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}
impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Flag {
    /// Parses one flag, `\Seen` or `keyword`.
    pub fn parse(_text: &[u8]) -> Result<Flag, FlagError> {
        unimplemented!()
    }
    /// As it is written in responses.
    pub fn as_str(&self) -> &str {
        unimplemented!()
    }
}
