//! Public keys of authenticators.
//!
//! Standards: RFC 9052 §7 and RFC 9053 §2 and §7 (ES256, EdDSA), RFC 8230 (RSA), WebAuthn level 2 §5.8.5.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::cbor::{self, Value};

/// What may sign, the best first: for `pubKeyCredParams`.
pub const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];

/// A public key that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// ECDSA on P-256 with SHA-256: an uncompressed point.
    Es256(Vec<u8>),
    /// Ed25519.
    Ed25519(Vec<u8>),
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256 {
        /// The modulus, big endian, without leading zeros.
        modulus: Vec<u8>,
        /// The public exponent.
        exponent: Vec<u8>,
    },
}

impl Key {
    /// Reads a COSE_Key that stands alone.
    pub fn parse(octets: &[u8]) -> Option<Key> {
        match cbor::read(octets)? {
            (map, []) => Key::of(&map),
            _ => None,
        }
    }

    /// `None` for algorithms and curves that are not ours, and for what contradicts itself.
    pub fn of(map: &Value) -> Option<Key> {
        let number = |label: i64| map.at(label).and_then(Value::int);
        let octets = |label: i64, length: usize| map.at(label).and_then(Value::bytes).filter(|it| it.len() == length);
        match (number(KTY)?, number(ALG)?) {
            (2, ES256) if number(-1) == Some(1) => Some(Key::Es256([&[4], octets(-2, 32)?, octets(-3, 32)?].concat())),
            (1, EDDSA) if number(-1) == Some(6) => Some(Key::Ed25519(octets(-2, 32)?.to_vec())),
            (3, RS256) => {
                let (modulus, exponent) = (map.at(-1)?.bytes()?, map.at(-2)?.bytes()?);
                let sound = (256..=1024).contains(&modulus.len())
                    && modulus[0] != 0
                    && (1..=8).contains(&exponent.len())
                    && exponent[0] != 0;
                sound.then(|| Key::Rs256 { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
            }
            _ => None,
        }
    }

    /// Its number at IANA.
    pub fn algorithm(&self) -> i64 {
        match self {
            Key::Es256(_) => ES256,
            Key::Ed25519(_) => EDDSA,
            Key::Rs256 { .. } => RS256,
        }
    }

    /// Whether it signed this.
    pub fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::Es256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(text, signature).is_ok(),
            Key::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(text, signature).is_ok(),
            Key::Rs256 { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                .verify(&RSA_PKCS1_2048_8192_SHA256, text, signature)
                .is_ok(),
        }
    }
}

const KTY: i64 = 1;
const ALG: i64 = 3;
const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;
