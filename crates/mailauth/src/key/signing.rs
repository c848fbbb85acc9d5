//! Private keys: made here, kept by whoever asked for them.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Algorithm, Error};

/// A private key. Its debug output shows no secret.
pub struct SigningKey {
    pair: Pair,
    public: Vec<u8>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A new RSA key of 2048 bits. Takes 50 to 500 ms of CPU.
    pub fn rsa() -> Result<SigningKey, Error> {
        // RFC 8301 §3.2: signers SHOULD use 2048 bits. More would not fit into what some DNS panels take.
        of_rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::Generation)?)
    }

    /// A new Ed25519 key.
    pub fn ed25519() -> Result<SigningKey, Error> {
        Ok(of_ed25519(Ed25519KeyPair::generate().map_err(|_| Error::Generation)?))
    }

    /// A key of either kind from DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<SigningKey, Error> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            return Ok(of_ed25519(pair));
        }
        of_rsa(RsaKeyPair::from_pkcs8(der).map_err(|why| Error::NotAKey(why.to_string()))?)
    }

    /// A key of either kind from PEM: PKCS#8 (`PRIVATE KEY`), or PKCS#1 (`RSA PRIVATE KEY`) as `opendkim-genkey` writes it.
    pub fn from_pem(pem: &str) -> Result<SigningKey, Error> {
        for (label, is_pkcs1) in [("PRIVATE KEY", false), ("RSA PRIVATE KEY", true)] {
            let Some(der) = between(pem, label)? else {
                continue;
            };
            return match is_pkcs1 {
                true => of_rsa(RsaKeyPair::from_der(&der).map_err(|why| Error::NotAKey(why.to_string()))?),
                false => SigningKey::from_pkcs8(&der),
            };
        }
        Err(Error::NotAKey("no PRIVATE KEY in it".to_owned()))
    }

    /// PKCS#8 DER: the secret itself.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, Error> {
        let der: Result<Pkcs8V1Der<'_>, _> = match &self.pair {
            Pair::Rsa(pair) => pair.as_der(),
            Pair::Ed25519(pair) => pair.as_der(),
        };
        Ok(der.map_err(|_| Error::Signing)?.as_ref().to_vec())
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::RsaSha256,
            Pair::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// Bits of the modulus; 256 for Ed25519.
    pub fn bits(&self) -> u32 {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_modulus_len() as u32 * 8,
            Pair::Ed25519(_) => 256,
        }
    }

    /// The public key as it stands in `p=`: SubjectPublicKeyInfo for RSA, the 32 octets for Ed25519.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The TXT record to publish: `v=DKIM1; k=rsa; p=…`. Longer than one string of a record may be: who publishes splits it.
    pub fn record(&self) -> String {
        let kind = match self.pair {
            Pair::Rsa(_) => "rsa",
            Pair::Ed25519(_) => "ed25519",
        };
        format!("v=DKIM1; k={kind}; p={}", STANDARD.encode(&self.public))
    }

    /// Signs what was hashed.
    pub(crate) fn sign(&self, digest: &digest::Digest) -> Result<Vec<u8>, Error> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, digest, &mut signature).map_err(|_| Error::Signing)?;
                Ok(signature)
            }
            // RFC 8463 §3: PureEdDSA of the hash.
            Pair::Ed25519(pair) => Ok(pair.try_sign(digest.as_ref()).map_err(|_| Error::Signing)?.as_ref().to_vec()),
        }
    }
}

fn of_rsa(pair: RsaKeyPair) -> Result<SigningKey, Error> {
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| Error::Generation)?;
    let public = public.as_ref().to_vec();
    Ok(SigningKey { pair: Pair::Rsa(pair), public })
}

fn of_ed25519(pair: Ed25519KeyPair) -> SigningKey {
    let public = pair.public_key().as_ref().to_vec();
    SigningKey { pair: Pair::Ed25519(pair), public }
}

/// The DER between the lines of a PEM.
fn between(pem: &str, label: &str) -> Result<Option<Vec<u8>>, Error> {
    let Some((_, rest)) = pem.split_once(&format!("-----BEGIN {label}-----")) else {
        return Ok(None);
    };
    let broken = || Error::NotAKey("the PEM is cut off or damaged".to_owned());
    let (body, _) = rest.split_once(&format!("-----END {label}-----")).ok_or_else(broken)?;
    crate::tags::base64(body.as_bytes()).map(Some).ok_or_else(broken)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("bits", &self.bits())
            .finish_non_exhaustive()
    }
}
