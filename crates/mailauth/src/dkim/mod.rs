//! DomainKeys Identified Mail: whose signatures hold, and our own.
//!
//! Verifying: [`Verifier::new`] with the header block, the body through [`crate::body::Hashers`], then [`Verifier::finish`] gives a
//! [`Check`] that asks for keys. Signing: [`sign`] makes the field to put before the header.
//!
//! Never fetches, never decides what a failure means. Standards: RFC 6376, 8301, 8463, 8616.

use crate::ask::{Failure, Machine, Records, Step};
use crate::body::{Digest, Digests, Hashers};
use crate::key::{Algorithm, Error, SigningKey};

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
    /// `t=`, seconds since 1970.
    pub signed_at: Option<i64>,
    /// `x=`, seconds since 1970.
    pub expires_at: Option<i64>,
    /// The reason in words; for [`Status::Pass`] what to know about it, or nothing.
    pub why: String,
}

/// The signatures of a message whose body streams.
#[derive(Debug)]
pub struct Verifier {}

impl Verifier {
    /// Looks at the header block (with or without its blank line) and asks `body` for the hashes that the signatures need. `now` in
    /// seconds since 1970.
    pub fn new(_header: &[u8], _now: i64, _limits: &Limits, _body: &mut Hashers) -> Verifier {
        unimplemented!()
    }

    /// Signatures beyond [`Limits::signatures`], which nobody looked at.
    pub fn ignored(&self) -> usize {
        unimplemented!()
    }

    /// The body has ended.
    pub fn finish(self, _body: &Digests) -> Check {
        unimplemented!()
    }
}

/// Asks for the keys, each once, all in one step.
#[derive(Debug)]
pub struct Check {}

impl Machine for Check {
    /// In the order of the message; empty: not signed.
    type Verdict = Vec<Outcome>;

    fn step(&mut self) -> Step<Vec<Outcome>> {
        unimplemented!()
    }

    fn answer(&mut self, _answer: Result<Records, Failure>) {
        unimplemented!()
    }
}

/// What a signature of ours says.
#[derive(Debug, Clone)]
pub struct Signing<'a> {
    /// `d=`, in A-labels.
    pub domain: &'a str,
    /// `s=`
    pub selector: &'a str,
    /// `t=`, seconds since 1970.
    pub now: i64,
    /// `x=`: seconds that it is valid.
    pub valid_for: Option<i64>,
}

/// The whole `DKIM-Signature:` field, folded, ended by CRLF, to be put before the header. relaxed/relaxed; covers every field of
/// [`COVERED`] that is there, and those of [`OVERSIGNED`] once more than they are there. `body`: [`crate::body::Canonicalization::Relaxed`], no length.
pub fn sign(_key: &SigningKey, _signing: &Signing<'_>, _header: &[u8], _body: &Digest) -> Result<String, Error> {
    unimplemented!()
}

/// Whether these algorithms are ours, for who lists them.
pub fn algorithms() -> [Algorithm; 2] {
    [Algorithm::RsaSha256, Algorithm::Ed25519Sha256]
}
