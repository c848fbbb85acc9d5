//! What a signature says: DKIM-Signature, and ARC-Message-Signature, which is one but for `v=` and `i=`.
//!
//! Standards: RFC 6376 §3.5, RFC 8301, RFC 8463, RFC 8616, RFC 8617 §4.1.2.

use super::Status;
use crate::body::Canonicalization;
use crate::key::Algorithm;
use crate::tags::{Tags, base64, name, shown};

/// Why a signature is not looked at any further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    pub(crate) why: String,
}

impl Refusal {
    pub(crate) fn new(status: Status, why: impl Into<String>) -> Refusal {
        Refusal { status, why: why.into() }
    }

    pub(crate) fn permanent(why: impl Into<String>) -> Refusal {
        Refusal::new(Status::PermError, why)
    }
}

/// A signature that can be verified.
#[derive(Debug, Clone)]
pub(crate) struct Signature<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) header: Canonicalization,
    pub(crate) body: Canonicalization,
    pub(crate) length: Option<u64>,
    pub(crate) signature: Vec<u8>,
    pub(crate) body_hash: Vec<u8>,
    /// `h=`, raw.
    names: &'a [u8],
}

/// Octets of a signature's field.
pub(crate) const SIGNATURE_BYTES: usize = 32 << 10;
/// Names in `h=`.
const NAMES: usize = 1_000;

impl<'a> Signature<'a> {
    /// Reads what all kinds of signatures have, but for domain and selector. `default`: the form if there is no `c=`.
    pub(crate) fn read(tags: &Tags<'a>, default: Canonicalization) -> Result<Signature<'a>, Refusal> {
        let algorithm = algorithm(required(tags, "a")?)?;
        let (header, body) = canonicalizations(tags.get("c"), default)?;
        let signature = base64(required(tags, "b")?).ok_or_else(|| Refusal::permanent("b= is no base64"))?;
        let body_hash = base64(required(tags, "bh")?).ok_or_else(|| Refusal::permanent("bh= is no base64"))?;
        let names = tags.get("h").ok_or_else(|| Refusal::permanent("no h="))?;
        check_names(names)?;
        let length = tags.get("l").map(length).transpose()?;
        Ok(Signature { algorithm, header, body, length, signature, body_hash, names })
    }

    /// The names in `h=`, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        split_names(self.names)
    }

    /// How often `h=` has a name.
    pub(crate) fn signs(&self, name: &str) -> usize {
        self.names().filter(|n| n.eq_ignore_ascii_case(name.as_bytes())).count()
    }
}

fn split_names(names: &[u8]) -> impl Iterator<Item = &[u8]> {
    names.split(|&b| b == b':').map(<[u8]>::trim_ascii)
}

fn check_names(names: &[u8]) -> Result<(), Refusal> {
    if names.iter().filter(|&&b| b == b':').count() >= NAMES {
        return Err(Refusal::new(Status::Policy, format!("h= has more than {NAMES} names")));
    }
    // An empty name is no field's: it signs nothing.
    let is_name = |name: &[u8]| name.iter().all(|&b| b > b' ' && b < 127 && b != b';');
    if split_names(names).all(is_name) { Ok(()) } else { Err(Refusal::permanent("h= is no list of names")) }
}

/// The value of a tag that must be there.
pub(crate) fn required<'a>(tags: &Tags<'a>, tag: &str) -> Result<&'a [u8], Refusal> {
    match tags.get(tag) {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) => Err(Refusal::permanent(format!("{tag}= is empty"))),
        None => Err(Refusal::permanent(format!("no {tag}="))),
    }
}

/// `d=` or `s=` in the form in which it is asked for.
pub(crate) fn required_name(tags: &Tags<'_>, tag: &str) -> Result<String, Refusal> {
    let value = required(tags, tag)?;
    name(value).ok_or_else(|| Refusal::permanent(format!("{tag}= can be no name")))
}

pub(crate) fn algorithm(value: &[u8]) -> Result<Algorithm, Refusal> {
    for known in [Algorithm::RsaSha256, Algorithm::Ed25519Sha256] {
        if value.eq_ignore_ascii_case(known.name().as_bytes()) {
            return Ok(known);
        }
    }
    // RFC 8301 §3.1: rsa-sha1 MUST NOT be used for verifying.
    if value.eq_ignore_ascii_case(b"rsa-sha1") {
        return Err(Refusal::new(Status::Policy, "rsa-sha1 is not believed any more (RFC 8301)"));
    }
    Err(Refusal::new(Status::Neutral, format!("a way to sign that is not known: {}", shown(value))))
}

/// RFC 6376 §3.5, `c=`: simple where nothing is said, also where nothing is said about the body.
fn canonicalizations(
    value: Option<&[u8]>,
    default: Canonicalization,
) -> Result<(Canonicalization, Canonicalization), Refusal> {
    let Some(value) = value else {
        return Ok((default, default));
    };
    let one = |word: &[u8]| match word.to_ascii_lowercase().as_slice() {
        b"simple" => Ok(Canonicalization::Simple),
        b"relaxed" => Ok(Canonicalization::Relaxed),
        _ => Err(Refusal::permanent(format!("c= is not known: {}", shown(value)))),
    };
    match memchr::memchr(b'/', value) {
        None => Ok((one(value)?, Canonicalization::Simple)),
        Some(slash) => Ok((one(value[..slash].trim_ascii())?, one(value[slash + 1..].trim_ascii())?)),
    }
}

/// `l=`: up to 76 digits; more than any body has is as good as more than this one has.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    let number = digits(value).ok_or_else(|| Refusal::permanent("l= is no number"))?;
    Ok(number)
}

/// A number that does not wrap; `None` for anything but 1 to 76 digits.
pub(crate) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 76 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0_u64, |sum, b| sum.saturating_mul(10).saturating_add(u64::from(b - b'0'))))
}

/// `t=` or `x=` in seconds since 1970.
pub(crate) fn time(tags: &Tags<'_>, tag: &str) -> Result<Option<i64>, Refusal> {
    let Some(value) = tags.get(tag) else {
        return Ok(None);
    };
    let number = digits(value).ok_or_else(|| Refusal::permanent(format!("{tag}= is no time")))?;
    Ok(Some(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// dkim-quoted-printable (RFC 6376 §2.11), as `i=` has it. Lenient: what is no escape stays.
pub(crate) fn unquoted(value: &[u8]) -> Vec<u8> {
    let hex = |b: Option<&u8>| b.and_then(|&b| char::from(b).to_digit(16)).map(|digit| digit as u8);
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        match (value[at], hex(value.get(at + 1)), hex(value.get(at + 2))) {
            (b'=', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            (b, _, _) => {
                if !b.is_ascii_whitespace() {
                    out.push(b);
                }
                at += 1;
            }
        }
    }
    out
}
