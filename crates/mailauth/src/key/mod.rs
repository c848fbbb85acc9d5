//! Keys: those that sign, and the records that publish them.
//!
//! Standards: RFC 6376 §3.6.1 (records), RFC 8301 (key sizes), RFC 8463 (Ed25519), RFC 5958 (PKCS#8), RFC 8017.

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

/// A private key. Its debug output shows no secret.
pub struct SigningKey {}

impl SigningKey {
    /// A new RSA key of 2048 bits. Takes 50 to 500 ms of CPU.
    pub fn rsa() -> Result<SigningKey, Error> {
        unimplemented!()
    }

    /// A new Ed25519 key.
    pub fn ed25519() -> Result<SigningKey, Error> {
        unimplemented!()
    }

    /// A key of either kind from DER.
    pub fn from_pkcs8(_der: &[u8]) -> Result<SigningKey, Error> {
        unimplemented!()
    }

    /// A key of either kind from PEM: PKCS#8 (`PRIVATE KEY`), or PKCS#1 (`RSA PRIVATE KEY`) as `opendkim-genkey` writes it.
    pub fn from_pem(_pem: &str) -> Result<SigningKey, Error> {
        unimplemented!()
    }

    /// PKCS#8 DER: the secret itself.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, Error> {
        unimplemented!()
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        unimplemented!()
    }

    /// Bits of the modulus; 256 for Ed25519.
    pub fn bits(&self) -> u32 {
        unimplemented!()
    }

    /// The public key as it stands in `p=`: SubjectPublicKeyInfo for RSA, the 32 octets for Ed25519.
    pub fn public(&self) -> &[u8] {
        unimplemented!()
    }

    /// The TXT record to publish: `v=DKIM1; k=rsa; p=…`. Longer than one string of a record may be: who publishes splits it.
    pub fn record(&self) -> String {
        unimplemented!()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// A published key (RFC 6376 §3.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What `k=` says; `rsa` if it says nothing.
    pub kind: Kind,
    /// `p=`, decoded; empty: revoked.
    pub public: Vec<u8>,
    /// `t=y`: the domain is testing.
    pub testing: bool,
    /// `t=s`: `i=` must have the very domain of `d=`.
    pub strict: bool,
}

/// The kind of a published key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `k=rsa`
    Rsa,
    /// `k=ed25519`
    Ed25519,
}

/// Why a TXT record is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordError {
    /// Longer than [`RECORD_BYTES`].
    TooLong,
    /// No list of tags, or it breaks the grammar.
    Syntax(String),
    /// `v=` is there, but not first or not `DKIM1`: another kind of record.
    Version,
    /// `k=` names a kind that nobody here knows.
    Kind(String),
    /// `h=` has no `sha256`.
    Hash,
    /// `s=` has neither `email` nor `*`.
    Service,
    /// No `p=`, or no base64 in it.
    NoKey,
}

impl Record {
    /// Reads a TXT record (its strings joined).
    pub fn parse(_text: &[u8]) -> Result<Record, RecordError> {
        unimplemented!()
    }

    /// Whether this is the public half of that key.
    pub fn belongs_to(&self, _key: &SigningKey) -> bool {
        unimplemented!()
    }

    /// The name under which a key is published.
    pub fn name(_selector: &str, _domain: &str) -> Option<String> {
        unimplemented!()
    }
}

/// Octets of a TXT record that are looked at. A key of 8192 bits takes 1,500.
pub const RECORD_BYTES: usize = 16 << 10;
