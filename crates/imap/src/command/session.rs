//! The session's own commands: CAPABILITY, ID, LOGIN, AUTHENTICATE, ENABLE, IDLE and their like.

use std::fmt;

/// ID's parameters (RFC 2971): field names in lower case with their values; empty for `NIL`.
pub type Id = Vec<(String, Option<String>)>;

/// Bytes that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
