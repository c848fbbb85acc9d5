//! The commands as rows: name, grammar.

use crate::command::{Command, Syntax};
use crate::error::ParseError;

/// Parses one command as the framer yields it (literals in place, without its last CRLF).
pub fn parse(_frame: &[u8], _syntax: &Syntax) -> Result<Command, ParseError> {
    unimplemented!()
}
