//! What is wrong with a command, in words its sender can act on.

use std::fmt;

use crate::command::Tag;

/// A command that cannot be understood. Answer `tag BAD` (`* BAD` without a tag), or as [`Problem`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The command's tag, if there was one.
    pub tag: Option<Tag>,
    /// What kind of trouble.
    pub problem: Problem,
    /// The octet where it went wrong, counted from 0 in the command.
    pub position: usize,
}

/// The kinds of trouble. `Display` gives the words for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// No command has this name (in upper case).
    UnknownCommand(String),
    /// The grammar wanted something else: the words say what.
    Expected(&'static str),
    /// One of the limits: the words say which.
    TooMuch(&'static str),
    /// SEARCH names a charset that is not known: answer `NO [BADCHARSET (..)]`.
    BadCharset(String),
    /// A FILTER key beside a charset that is not UTF-8 (RFC 5466 §3.1): answer `BAD [BADCHARSET (..)]`.
    FilterCharset,
    /// CREATE asks for a special use that is not known: answer `NO [USEATTR]`.
    UnknownUse(String),
    /// X-GM-RAW asks for what is not known: answer `NO [CANNOT]` with these words.
    Unsearchable(&'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::UnknownCommand(name) => write!(f, "{name} is not a command I know"),
            Problem::Expected(what) => write!(f, "expected {what} at octet {}", self.position),
            Problem::TooMuch(what) => write!(f, "too much: {what}"),
            Problem::BadCharset(name) => write!(f, "the charset {name} is not known"),
            Problem::FilterCharset => f.write_str("filters are UTF-8: no other charset stands beside FILTER"),
            Problem::UnknownUse(name) => write!(f, "the special use {name} is not known"),
            Problem::Unsearchable(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ParseError {}
