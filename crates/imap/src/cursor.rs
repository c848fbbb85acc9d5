//! A cursor over one command's bytes, with the atoms of the grammar.

use crate::command::Secret;

/// A line of a client in AUTHENTICATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthLine {
    /// The decoded response.
    Response(Secret),
    /// `*`: the client gives up.
    Cancel,
    /// Not base64: answer `BAD` and end the exchange.
    Bad,
}

/// Reads a line of the AUTHENTICATE exchange (RFC 9051 §6.2.2).
pub fn parse_auth_line(_line: &[u8]) -> AuthLine {
    unimplemented!()
}
