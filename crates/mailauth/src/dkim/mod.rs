//! DomainKeys Identified Mail: whose signatures hold, and our own.
//!
//! Verifying: [`Verifier::new`] with the header block, the body through [`crate::body::Hashers`], then [`Verifier::finish`] gives a
//! [`Check`] that asks for keys. Signing: [`sign`] makes the field to put before the header.
//!
//! Never fetches, never decides what a failure means. Standards: RFC 6376, 8301, 8463, 8616.

mod block;
mod fold;
mod sign;
mod signature;
mod verify;

pub use sign::{COVERED, OVERSIGNED, Signing, sign};
pub use verify::{Check, Verifier};

use crate::dmarc;

pub(crate) use block::{Block, FIELDS, digest_fields, without_signature};
pub(crate) use fold::{BASE64_WIDTH, Folded};
pub(crate) use sign::covered;
pub(crate) use signature::{Refusal, SIGNATURE_BYTES, Signature, algorithm, digits, required, required_name, time};
pub(crate) use verify::{Open, check_once, compare_body};

/// What bounds the work that a message can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Signatures that are looked at, from the top; the others are counted only.
    pub signatures: usize,
    /// Octets that may follow the part of the body that `l=` covers; more is [`Status::Policy`].
    pub unsigned_octets: u64,
    /// Longest RSA key, in bits.
    pub rsa_bits: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { signatures: 10, unsigned_octets: 64 << 10, rsa_bits: 4096 }
    }
}

/// What became of a signature (RFC 8601 §2.7.1). `none` is a message without outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It holds.
    Pass,
    /// It was looked at and does not hold: body or header were changed, it expired, or somebody else made it.
    Fail,
    /// It could not be looked at for reasons that are not its own.
    Neutral,
    /// It may hold, but it is not of the kind that is believed here: SHA-1, a short key, a long unsigned tail.
    Policy,
    /// The key could not be asked for now.
    TempError,
    /// It cannot ever hold: bad syntax, no key, a revoked key, From not signed.
    PermError,
}

impl Status {
    /// The word in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Fail => "fail",
            Status::Neutral => "neutral",
            Status::Policy => "policy",
            Status::TempError => "temperror",
            Status::PermError => "permerror",
        }
    }
}

/// What is known of one signature. Strings are the sender's words: empty where the signature does not say, to be quoted where shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub status: Status,
    /// `d=`, lower case, A-labels: who vouches.
    pub domain: String,
    /// `s=`, lower case, A-labels.
    pub selector: String,
    /// `i=`, decoded, or `@` and the domain.
    pub identity: String,
    /// `a=`, lower case, as it was written: also those that are not looked at.
    pub algorithm: String,
    /// Bits of the key, once it was seen.
    pub key_bits: Option<u32>,
    /// The first characters of `b=`, which tell signatures of one domain apart (RFC 6008).
    pub b: String,
    /// `t=y` in the key's record: the domain is testing, a failure is to be treated as no signature.
    pub testing: bool,
    /// Octets of the canonical body after the part that `l=` covers: anybody may have put them there.
    pub unsigned_octets: u64,
    /// These are white space alone, or there are none: nobody reads anything that is not signed.
    pub tail_is_blank: bool,
    /// `t=`, seconds since 1970.
    pub signed_at: Option<i64>,
    /// `x=`, seconds since 1970.
    pub expires_at: Option<i64>,
    /// The reason in words; for [`Status::Pass`] what to know about it, or nothing.
    pub why: String,
}

impl Outcome {
    /// Whether the domain stands behind all that is read: the signature holds, and no words follow what it covers. RFC 6376 §8.2:
    /// with `l=`, anybody can put words behind a message that somebody else signed, and have the readers see those.
    pub fn vouches(&self) -> bool {
        self.status == Status::Pass && self.tail_is_blank
    }

    /// What DMARC makes of it.
    pub fn identifier(&self) -> dmarc::Identifier {
        let outcome = match self.status {
            Status::Pass if self.vouches() => dmarc::Outcome::Pass,
            Status::TempError => dmarc::Outcome::TempError,
            Status::Pass | Status::Fail | Status::Neutral | Status::Policy | Status::PermError => dmarc::Outcome::Other,
        };
        dmarc::Identifier { domain: self.domain.clone(), outcome }
    }
}
