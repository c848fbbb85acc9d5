//! Signing in where everybody has one password: what is shown by any mechanism, told as a password, and challenges that are
//! always the same.

use postroad_sasl::digest::Key;
use postroad_sasl::ntlm::{Names, NtHash, challenge};
use postroad_sasl::{Error, Evidence};

/// What was shown.
#[derive(Debug)]
pub enum Shown<'a> {
    /// This password, or a proof that was made with it; [`WRONG`] for one that was made with another.
    Password(&'a str),
    /// Nothing yet: this is the challenge.
    Challenge(Vec<u8>),
    /// Nothing that follows the mechanism.
    Malformed(Error),
}

/// Looks at evidence, for a server of this name.
///
/// # Panics
/// When it is of a kind that needs more than a password.
pub fn shown<'a>(evidence: &'a Evidence, password: &'a str, host: &str) -> Shown<'a> {
    let proved = |right| Shown::Password(if right { password } else { WRONG });
    match evidence {
        Evidence::Password(sent) => Shown::Password(sent.expose()),
        Evidence::NtlmFlags(flags) => Shown::Challenge(challenge(*flags, &Names::new(host), [7; 8], MICROSECONDS)),
        Evidence::NtlmProof(proof) => proved(proof.verify(&NtHash::of_password(password))),
        Evidence::DigestChallenge => Shown::Challenge(timestamp(host).into_bytes()),
        Evidence::DigestProof(proof) => {
            proved(Key::of_password(proof.digest(), password).is_some_and(|key| proof.verify(&key)))
        }
        Evidence::Malformed(error) => Shown::Malformed(*error),
        Evidence::ScramKeys(_)
        | Evidence::ScramProof(_)
        | Evidence::Token(_)
        | Evidence::Certificate(_)
        | Evidence::Gss(_) => panic!("{evidence:?} is not tried here"),
    }
}

/// What CRAM-MD5 and APOP are asked with.
pub fn timestamp(host: &str) -> String {
    format!("<0707.{MICROSECONDS}@{host}>")
}

/// Nobody's password.
pub const WRONG: &str = "wrong";

/// 2026-11-22T03:00:00Z.
const MICROSECONDS: i64 = 1_795_316_400_000_000;
