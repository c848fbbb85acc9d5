//! 8-bit and binary messages as messages of 7-bit lines.

use std::fmt;

/// Reads a whole message and finds out what conversion it needs, before any of it is sent.
#[derive(Debug, Default)]
pub struct Survey {}

/// What conversion a message needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {}

/// Converts the message that was surveyed, as it flows by.
#[derive(Debug)]
pub struct Downgrader {}

/// Why a message cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unconvertible {
    /// A signature covers 8-bit octets: changing them would break it.
    Signed,
    /// 8-bit octets stand in a part of multipart/encrypted.
    Encrypted,
    /// A header has 8-bit octets in it, which nothing but SMTPUTF8 carries.
    Header,
    /// The structure is too deep or too large to be taken apart, or 8-bit octets stand outside of all parts.
    Structure,
}

impl Survey {
    /// At the start of a message.
    pub fn new() -> Survey {
        Survey::default()
    }

    /// The next octets of the message.
    pub fn feed(&mut self, _bytes: &[u8]) {
        unimplemented!()
    }

    /// The message is complete.
    pub fn finish(self) -> Result<Plan, Unconvertible> {
        unimplemented!()
    }
}

impl Plan {
    /// Whether the message is 7-bit lines already.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }

    /// A converter, to be fed the same message from its start.
    pub fn converter(&self) -> Downgrader {
        unimplemented!()
    }
}

impl Downgrader {
    /// The next octets of the message; what they become is appended to `out`.
    pub fn feed(&mut self, _bytes: &[u8], _out: &mut Vec<u8>) {
        unimplemented!()
    }

    /// The message is complete.
    pub fn finish(self, _out: &mut Vec<u8>) {
        unimplemented!()
    }
}

/// A whole message in memory, converted.
pub fn downgrade(_message: &[u8]) -> Result<Vec<u8>, Unconvertible> {
    unimplemented!()
}

impl fmt::Display for Unconvertible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unconvertible::Signed => "a signed part has 8-bit octets, and converting them would break the signature",
            Unconvertible::Encrypted => "an encrypted part has 8-bit octets, which must not be changed",
            Unconvertible::Header => "a header field has 8-bit octets",
            Unconvertible::Structure => "the 8-bit octets are in no part that could be converted",
        })
    }
}

impl std::error::Error for Unconvertible {}
