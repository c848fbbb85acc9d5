//! Keys: those that sign, and the records that publish them.
//!
//! Standards: RFC 6376 §3.6.1 (records), RFC 8301 (key sizes), RFC 8463 (Ed25519), RFC 5958 (PKCS#8), RFC 8017.

mod lookup;
mod public;
mod record;
mod signing;

pub use record::{Kind, RECORD_BYTES, Record, RecordError};
pub use signing::SigningKey;

pub(crate) use lookup::{KeyAt, Keys};
pub(crate) use public::PublicKey;

use std::fmt;

/// The ways to sign that are not historic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RFC 6376 §3.3.1.
    RsaSha256,
    /// RFC 8463.
    Ed25519Sha256,
}

impl Algorithm {
    /// The value of `a=`.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::RsaSha256 => "rsa-sha256",
            Algorithm::Ed25519Sha256 => "ed25519-sha256",
        }
    }
}

/// What can go wrong with a key of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The system gave no randomness, or a key could not be made of it: try again, then look at the machine.
    Generation,
    /// These bytes are no PKCS#8 of an RSA key of 2048 to 8192 bits or of an Ed25519 key: give another key. Says what is wrong.
    NotAKey(String),
    /// The key did not sign: the key is damaged, make a new one.
    Signing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Generation => f.write_str("no key could be made: the system's randomness failed"),
            Error::NotAKey(why) => write!(f, "this is no PKCS#8 private key for signatures ({why})"),
            Error::Signing => f.write_str("the key did not sign: make a new one"),
        }
    }
}

impl std::error::Error for Error {}
