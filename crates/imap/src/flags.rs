//! Flags: the system's and the clients' (RFC 9051 §2.3.2).

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::cursor::is_atom_char;

/// A flag as commands and responses name it.
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
    /// Any other `\Name` (flag-extension), with its backslash: accepted and, like `\Recent`, never stored.
    Other(String),
    /// A keyword.
    Keyword(Keyword),
}

impl Flag {
    /// Parses one flag, `\Seen` or `keyword`.
    pub fn parse(text: &[u8]) -> Result<Flag, FlagError> {
        let text = std::str::from_utf8(text).map_err(|_| FlagError)?;
        let Some(name) = text.strip_prefix('\\') else {
            return Keyword::new(text).map(Flag::Keyword);
        };
        if let Some((_, flag)) = SYSTEM.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)) {
            return Ok(flag.clone());
        }
        Keyword::new(name).map(|_| Flag::Other(text.to_owned()))
    }

    /// As it is written in responses.
    pub fn as_str(&self) -> &str {
        match self {
            Flag::Answered => "\\Answered",
            Flag::Deleted => "\\Deleted",
            Flag::Draft => "\\Draft",
            Flag::Flagged => "\\Flagged",
            Flag::Seen => "\\Seen",
            Flag::Recent => "\\Recent",
            Flag::Other(text) => text,
            Flag::Keyword(keyword) => keyword.as_str(),
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A keyword: an atom. Compares without case, keeps the case it was made with.
#[derive(Clone)]
pub struct Keyword(Box<str>);

/// Why text is not a flag or keyword: it is empty, too long, or has octets that an atom cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagError;

impl Keyword {
    /// Longest keyword, in octets.
    pub const MAX: usize = 255;

    /// Checks that the text is an atom.
    pub fn new(text: &str) -> Result<Keyword, FlagError> {
        if text.is_empty() || text.len() > Keyword::MAX || !text.bytes().all(is_atom_char) {
            return Err(FlagError);
        }
        Ok(Keyword(text.into()))
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

impl Hash for Keyword {
    fn hash<H: Hasher>(&self, state: &mut H) {
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

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const SYSTEM: [(&str, Flag); 6] = [
    ("\\Answered", Flag::Answered),
    ("\\Deleted", Flag::Deleted),
    ("\\Draft", Flag::Draft),
    ("\\Flagged", Flag::Flagged),
    ("\\Seen", Flag::Seen),
    ("\\Recent", Flag::Recent),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_written() {
        for (input, written) in [
            ("\\Seen", "\\Seen"),
            ("\\sEEN", "\\Seen"),
            ("\\recent", "\\Recent"),
            ("\\XFoo", "\\XFoo"),
            ("$Forwarded", "$Forwarded"),
            ("NonJunk", "NonJunk"),
            ("label:work+1", "label:work+1"),
        ] {
            assert_eq!(Flag::parse(input.as_bytes()).expect(input).as_str(), written);
        }
        for bad in ["", "\\", "\\*", "a b", "a]", "a(", "\"a\"", "a\\b", "ä", "{3}", "%", "\u{7f}"] {
            assert_eq!(Flag::parse(bad.as_bytes()), Err(FlagError), "{bad}");
        }
        assert_eq!(Keyword::new(&"k".repeat(256)), Err(FlagError));
    }

    #[test]
    fn keywords_have_no_case() {
        assert_eq!(Flag::parse(b"$junk"), Flag::parse(b"$JUNK"));
        assert_ne!(Flag::parse(b"$junk"), Flag::parse(b"junk"));
    }
}
