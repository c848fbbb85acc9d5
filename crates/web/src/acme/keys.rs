//! Private keys: made here, read from files, and what TLSA records say of them.

use aws_lc_rs::digest;
use postroad_trust::certificates::{NewKey, Secret};
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256,
    PublicKeyData, RsaKeySize,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Small and quick; everything of the last fifteen years knows it.
    EcdsaP256,
    /// Larger.
    EcdsaP384,
    /// For clients that know nothing else.
    Rsa2048,
    /// Slow.
    Rsa4096,
}

impl Algorithm {
    /// As settings and the database have it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::EcdsaP256 => "ecdsa-p256",
            Algorithm::EcdsaP384 => "ecdsa-p384",
            Algorithm::Rsa2048 => "rsa-2048",
            Algorithm::Rsa4096 => "rsa-4096",
        }
    }
}

/// Makes a key. RSA takes a moment: not for async code.
pub fn make_key(algorithm: Algorithm) -> Result<NewKey, String> {
    let pair = match algorithm {
        Algorithm::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        Algorithm::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        Algorithm::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        Algorithm::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
    };
    let pair = pair.map_err(|error| format!("a key cannot be made: {error}"))?;
    Ok(described(&pair, algorithm.name()))
}

/// A key that somebody brings: PKCS#8, PKCS#1 or SEC1 in DER.
pub fn import_key(key: &PrivateKeyDer<'_>) -> Result<NewKey, String> {
    let pair = KeyPair::try_from(key).map_err(|error| format!("the key cannot be used: {error}"))?;
    let name = match pair.algorithm() {
        one if *one == PKCS_ECDSA_P256_SHA256 => "ecdsa-p256",
        one if *one == PKCS_ECDSA_P384_SHA384 => "ecdsa-p384",
        one if *one == PKCS_RSA_SHA256 => "rsa",
        _ => "other",
    };
    Ok(described(&pair, name))
}

fn described(pair: &KeyPair, algorithm: &str) -> NewKey {
    NewKey {
        algorithm: algorithm.to_owned(),
        pkcs8: Secret::new(pair.serialize_der()),
        spki: sha256(&pair.subject_public_key_info()),
    }
}

/// A request for a certificate with this key (PKCS#8) for these names; DER. RFC 8555 §7.4: names stand in the
/// extension, the subject is empty.
pub(crate) fn request(pkcs8: &[u8], names: &[String]) -> Result<Vec<u8>, String> {
    let words = |error: rcgen::Error| format!("the request for a certificate cannot be made: {error}");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8));
    let pair = KeyPair::try_from(&key).map_err(words)?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(words)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(&pair).map_err(words)?.der().to_vec())
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_say_and_hide_themselves() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Rsa2048] {
            let key = make_key(algorithm).expect("a key");
            assert_eq!((key.algorithm.as_str(), key.spki.len()), (algorithm.name(), 32));
            let again = import_key(&PrivatePkcs8KeyDer::from(key.pkcs8.expose().as_slice()).into()).expect("its own");
            assert_eq!(again.spki, key.spki);
            assert!(format!("{key:?}").contains("Secret(..)"));
            let request = request(key.pkcs8.expose(), &["a.example.test".into()]).expect("a request");
            assert!(request.windows(14).any(|window| window == b"a.example.test"));
        }
        assert!(import_key(&PrivatePkcs8KeyDer::from(&b"none"[..]).into()).is_err());
    }
}
