//! 8-bit and binary messages as messages of 7-bit lines, for a next host without 8BITMIME or BINARYMIME (RFC 6152 §3, RFC 3030 §3).
//!
//! A message is read twice. A [`Survey`] reads it whole and makes a [`Plan`], or says why it cannot be converted, before any of
//! it was sent; the plan's [`Downgrader`] then converts it as it flows by. Both hold a bounded part of it.
//!
//! Text becomes quoted-printable, or base64 where most of it is not ASCII; other parts become base64. Composite parts get the label
//! of what they then hold. Of headers nothing changes but Content-Transfer-Encoding; a message that was none of MIME's gets
//! the fields that make its encoding known (RFC 1428). What is inside multipart/signed and multipart/encrypted is never touched.
//! Invariant: decoded, each part is what it was, octet for octet.

mod convert;
mod encode;
mod survey;

use std::fmt;

pub use convert::Downgrader;
pub use survey::Survey;

use crate::decode::Encoding;

/// What conversion a message needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In the order of their ranges, which do not overlap.
    edits: Vec<Edit>,
}

/// Why a message cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unconvertible {
    /// A signature covers octets that cannot stay: changing them would break it.
    Signed,
    /// Octets that cannot stay are in a part of multipart/encrypted.
    Encrypted,
    /// A header has 8-bit octets in it, which nothing but SMTPUTF8 carries, or NUL, which nothing does.
    Header,
    /// The octets are in no part that could be encoded: the structure is damaged, or too deep or large to be taken apart, or the part
    /// is a fragment (message/partial) or has an encoding of its own.
    Structure,
}

/// A range of the message that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    start: u64,
    end: u64,
    change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// A header block with its blank line: its Content-Transfer-Encoding becomes this. `whole`: it is the header of a message and not of
    /// a part, and what it says of MIME is completed.
    Header { label: &'static str, whole: bool },
    /// A body: undone from the one, done in the other.
    Body { from: Encoding, into: Into },
    /// Around the parts of a multipart: what cannot stay becomes `?`.
    Mask,
}

/// What a body is encoded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Into {
    QuotedPrintable,
    Base64,
}

impl Into {
    fn label(self) -> &'static str {
        match self {
            Into::QuotedPrintable => "quoted-printable",
            Into::Base64 => "base64",
        }
    }
}

impl Plan {
    /// Whether the message can go as it is.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// A converter, to be fed the same message from its start.
    pub fn converter(&self) -> Downgrader {
        Downgrader::new(self.edits.clone())
    }
}

/// A whole message in memory as 7-bit lines.
pub fn downgrade(message: &[u8]) -> Result<Vec<u8>, Unconvertible> {
    let mut survey = Survey::new();
    survey.feed(message);
    let mut converter = survey.finish()?.converter();
    let mut out = Vec::with_capacity(message.len());
    converter.feed(message, &mut out);
    converter.finish(&mut out);
    Ok(out)
}

impl fmt::Display for Unconvertible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unconvertible::Signed => "a signed part has 8-bit octets, and converting them would break the signature",
            Unconvertible::Encrypted => "an encrypted part has 8-bit octets, which must not be changed",
            Unconvertible::Header => "a header has 8-bit octets",
            Unconvertible::Structure => "the 8-bit octets are in no part that could be converted",
        })
    }
}

impl std::error::Error for Unconvertible {}
