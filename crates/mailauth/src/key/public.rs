//! Public keys as they verify.
//!
//! The size of a key is read before any arithmetic is done with it: an RSA key of a million bits is a bomb.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY};

use super::{Algorithm, Kind, Record};

/// A key that can verify.
#[derive(Debug)]
pub(crate) struct PublicKey {
    key: ParsedPublicKey,
    pub(crate) algorithm: Algorithm,
    pub(crate) bits: u32,
    pub(crate) testing: bool,
    pub(crate) strict: bool,
}

/// Why a published key verifies nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadKey {
    /// `p=` is empty.
    Revoked,
    /// `p=` is no key of its kind.
    Damaged,
    /// Fewer bits than are believed.
    Short(u32),
    /// More bits than are worth the time.
    Long(u32),
}

/// RFC 8301 §3.2: verifiers MUST NOT consider signatures using RSA keys of less than 1024 bits as valid.
const RSA_BITS_MIN: u32 = 1024;
/// The longest that the cryptography verifies.
const RSA_BITS_MAX: u32 = 8192;

impl PublicKey {
    /// The key of a record; RSA keys of more than `rsa_bits` are refused.
    pub(crate) fn of(record: &Record, rsa_bits: u32) -> Result<PublicKey, BadKey> {
        if record.public.is_empty() {
            return Err(BadKey::Revoked);
        }
        let (key, algorithm, bits) = match record.kind {
            Kind::Rsa => {
                let bits = rsa_bits_of(&record.public).ok_or(BadKey::Damaged)?;
                if bits < RSA_BITS_MIN {
                    return Err(BadKey::Short(bits));
                }
                if bits > rsa_bits.min(RSA_BITS_MAX) {
                    return Err(BadKey::Long(bits));
                }
                let key = ParsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &record.public);
                (key, Algorithm::RsaSha256, bits)
            }
            // RFC 8463 §4: the 32 octets alone.
            Kind::Ed25519 if record.public.len() == 32 => {
                (ParsedPublicKey::new(&ED25519, &record.public), Algorithm::Ed25519Sha256, 256)
            }
            Kind::Ed25519 => return Err(BadKey::Damaged),
        };
        let key = key.map_err(|_| BadKey::Damaged)?;
        Ok(PublicKey { key, algorithm, bits, testing: record.testing, strict: record.strict })
    }

    /// Whether the signature is of this digest by this key.
    pub(crate) fn verifies(&self, digest: &digest::Digest, signature: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::RsaSha256 => self.key.verify_digest_sig(digest, signature).is_ok(),
            // RFC 8463 §3: PureEdDSA of the hash.
            Algorithm::Ed25519Sha256 => self.key.verify_sig(digest.as_ref(), signature).is_ok(),
        }
    }
}

/// Bits of the modulus of an RSA key: RSAPublicKey (RFC 8017 §A.1.1), or SubjectPublicKeyInfo with one in it.
fn rsa_bits_of(der: &[u8]) -> Option<u32> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    let (inside, _) = element(der, SEQUENCE)?;
    let modulus = match element(inside, INTEGER) {
        Some((modulus, _)) => modulus,
        None => {
            let (_, rest) = element(inside, SEQUENCE)?;
            let (bits, _) = element(rest, BIT_STRING)?;
            let (inside, _) = element(bits.strip_prefix(&[0])?, SEQUENCE)?;
            element(inside, INTEGER)?.0
        }
    };
    let zeros = modulus.iter().take_while(|&&b| b == 0).count();
    let first = modulus.get(zeros)?;
    u32::try_from((modulus.len() - zeros) * 8).ok().map(|bits| bits - first.leading_zeros())
}

/// The content of the DER element at the start, which must have this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let octets = usize::from(first & 0x7f);
        if !(1..=3).contains(&octets) || rest.len() < octets {
            return None;
        }
        let (bytes, after) = rest.split_at(octets);
        length = bytes.iter().fold(0, |sum, &b| sum << 8 | usize::from(b));
        rest = after;
    }
    (found == tag).then(|| rest.split_at_checked(length))?
}
