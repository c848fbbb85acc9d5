//! Bytes into commands: lines, literals, bounds.

use crate::command::{Append, Syntax, Tag};
use crate::error::ParseError;

/// What the framer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing until more is fed.
    NeedInput,
    /// A whole command for [`crate::parse`]: literals in place, without its last line end.
    Command(Vec<u8>),
    /// The line asked for by [`Framer::expect_line`], without its line end.
    Line(Vec<u8>),
    /// A synchronising literal was announced and will be taken: write `+ OK\r\n` (RFC 9051 §4.3).
    Continue,
    /// An APPEND up to its message. Call [`Framer::accept_append`] or [`Framer::refuse_append`] before the next event.
    AppendStart(AppendStart),
    /// The next octets of the message.
    AppendChunk(Vec<u8>),
    /// The message is whole and its command ended well.
    AppendEnd,
    /// The command broke a bound or, for APPEND, the grammar. What belonged to it is thrown away by the framer.
    Refused(Refused),
}

/// APPEND up to its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendStart {
    /// The command.
    pub append: Append,
    /// Octets of the message.
    pub size: u64,
    /// The client waits for `+` before it sends them: [`Framer::accept_append`] says so too.
    pub synchronising: bool,
    /// `~{n}`: the message may have NULs (RFC 3516 §4.4).
    pub binary: bool,
}

/// A command that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its tag, if it had one.
    pub tag: Option<Tag>,
    /// Why.
    pub why: Refusal,
    /// The connection cannot go on: answer, then close.
    pub close: bool,
}

/// Why a command is not taken; `Display` gives the words for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A line above [`crate::Limits::line`]: `BAD`.
    LineTooLong,
    /// A literal above [`crate::Limits::literal`] or all above `literals`: `BAD [TOOBIG]`.
    LiteralTooBig,
    /// A message above [`crate::Limits::append`]: `NO [TOOBIG]` (RFC 7889 §4).
    MessageTooBig,
    /// APPEND's arguments are wrong, or something follows the message: `BAD`.
    Append(ParseError),
}

/// Splits what a client sends. Holds at most a command within its limits plus what was last fed.
#[derive(Debug)]
pub struct Framer {
    syntax: Syntax,
}

impl Framer {
    /// A framer for a new connection.
    pub fn new(syntax: Syntax) -> Framer {
        Framer { syntax }
    }
    /// How commands are to be understood from the next on.
    pub fn syntax(&self) -> &Syntax {
        &self.syntax
    }
    /// To change it, after login or ENABLE.
    pub fn syntax_mut(&mut self) -> &mut Syntax {
        &mut self.syntax
    }
    /// Takes bytes from the client.
    pub fn feed(&mut self, _bytes: &[u8]) {
        unimplemented!()
    }
    /// What comes next.
    pub fn next_event(&mut self) -> Event {
        unimplemented!()
    }
    /// The next line is not a command: an AUTHENTICATE response or IDLE's `DONE`. Comes as [`Event::Line`].
    pub fn expect_line(&mut self) {
        unimplemented!()
    }
    /// Takes the message just announced. True: write `+ OK\r\n`.
    pub fn accept_append(&mut self) -> bool {
        unimplemented!()
    }
    /// Does not take the message just announced, or no more of it: what still comes of it is thrown away unheard.
    /// The session answers the tagged `NO` at once. True: too much to throw away, close after the answer.
    pub fn refuse_append(&mut self) -> bool {
        unimplemented!()
    }
    /// Throws away what was buffered (STARTTLS, RFC 9051 §6.2.1); how many octets that were.
    pub fn clear(&mut self) -> usize {
        unimplemented!()
    }
}
