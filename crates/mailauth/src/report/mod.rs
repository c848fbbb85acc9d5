//! Reports about mail: what receivers tell the owners of domains, read and written. Pure words over bytes.
//!
//! Three kinds: aggregate reports of DMARC ([`aggregate`]), reports about TLS ([`tls`]), and feedback about single messages
//! ([`feedback`]: complaints and failures). [`letter`] finds them in mail and makes mail of them; [`unpack`] opens the archives
//! that they come in. What strangers send is read leniently within [`Limits`], and nothing of it is believed here: who sent it
//! is for others to know.
//!
//! Standards: RFC 9990 and RFC 7489 App. C (aggregate), RFC 8460 (TLS), RFC 5965, 6591, 9991 (feedback), RFC 6522.

pub mod aggregate;
pub mod feedback;
pub mod letter;
pub mod redact;
pub mod tls;
pub mod unpack;

use std::fmt;

/// What bounds the work that a report can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of an archive.
    pub packed: usize,
    /// Octets of what is in it, all files together.
    pub inflated: usize,
    /// How many times larger than the archive its content may be, beyond [`FREE_OF_RATIO`]. XML of reports shrinks to a
    /// fiftieth; deflate itself reaches a thousand.
    pub ratio: usize,
    /// Files in an archive.
    pub files: usize,
    /// Elements of XML inside each other.
    pub depth: usize,
    /// Records of an aggregate report; policies and failures of a report about TLS.
    pub records: usize,
    /// Octets of one text in a report.
    pub text: usize,
    /// Reports in one letter.
    pub reports: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            packed: 10 << 20,
            inflated: 32 << 20,
            ratio: 250,
            files: 8,
            depth: 16,
            records: 50_000,
            text: 2_000,
            reports: 8,
        }
    }
}

/// So much may come out of any archive, however small it is.
pub const FREE_OF_RATIO: usize = 1 << 20;

/// Why something is not read: its sender's fault, in each case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It is larger than this many octets, or has more of something than is looked at.
    TooLarge(&'static str),
    /// It is made to cost more than it could tell.
    Hostile(&'static str),
    /// It is no such report.
    Malformed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooLarge(what) => write!(f, "it is larger than is read: {what}"),
            Error::Hostile(what) => write!(f, "it is refused: {what}"),
            Error::Malformed(why) => write!(f, "it cannot be read: {why}"),
        }
    }
}

impl std::error::Error for Error {}

type Result<T> = std::result::Result<T, Error>;

fn malformed(why: impl fmt::Display) -> Error {
    Error::Malformed(why.to_string())
}

/// A stranger's text as it may be kept and shown: on one line, no control characters, not longer than this.
fn clean(text: &str, limit: usize) -> String {
    let mut clean = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if clean.contains(odd) {
        clean = clean.chars().map(|c| if odd(c) { '\u{fffd}' } else { c }).collect();
    }
    clean.truncate(clean.floor_char_boundary(limit));
    clean.trim_end().to_owned()
}

/// A domain as it is compared: lower case, without the last dot.
fn domain(text: &str, limit: usize) -> String {
    clean(text, limit).trim_end_matches('.').to_lowercase()
}
