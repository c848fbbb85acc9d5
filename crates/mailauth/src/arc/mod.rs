//! The Authenticated Received Chain: what those who forwarded a message say about it, and our own seal.
//!
//! Same shape as [`crate::dkim`]: a [`Verifier`] from the header block, hashes from the stream, a [`Check`] that asks for keys.
//! Whom to believe is decided elsewhere: a chain that holds says who sealed, not that they are honest. Standards: RFC 8617.

mod seal;
mod sets;
#[cfg(test)]
mod suite;
mod verify;

pub use seal::{Sealing, seal};
pub use verify::{Check, Verifier};

use crate::dkim;

/// `cv=` (RFC 8617 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validation {
    /// No chain.
    None,
    /// Every seal and the newest message signature hold.
    Pass,
    /// The chain is broken, or could not be looked at.
    Fail,
}

impl Validation {
    /// The word in `cv=` and in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Validation::None => "none",
            Validation::Pass => "pass",
            Validation::Fail => "fail",
        }
    }
}

/// One hop that sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// `i=`, from 1.
    pub instance: u8,
    /// `d=` of the seal, lower case, A-labels.
    pub domain: String,
    /// `s=` of the seal.
    pub selector: String,
    /// `d=` of the message signature.
    pub signer: String,
    /// What ARC-Authentication-Results says after `i=N;`: authserv-id and results, raw and folded as they stand.
    pub results: Vec<u8>,
    /// `cv=` of the seal.
    pub cv: Validation,
    /// What became of the message signature. Of older ones only those are looked at whose key is that of a seal.
    pub signature: Option<dkim::Status>,
}

/// What is known of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The chain as a whole.
    pub cv: Validation,
    /// The next look may end otherwise: a key could not be asked for now. Whoever seals on such a verdict breaks a chain that may be whole.
    pub temporary: bool,
    /// The hops from the first, if each has the three fields; otherwise nothing. To be believed only with [`Validation::Pass`].
    pub sets: Vec<Set>,
    /// `arc.oldest-pass` (RFC 8617 §5.2): the lowest instance from which on all message signatures hold; 0: all do.
    pub oldest_pass: Option<u8>,
    /// The reason in words.
    pub why: String,
}

/// The highest instance (RFC 8617 §4.2.1).
pub const INSTANCES: u8 = 50;
