//! New keys.

use postroad_mailauth::key::{self, SigningKey};
use postroad_trust::keys::{Algorithm, NewKey};

/// Makes a key of each kind. An RSA key takes some tenths of a second: never within a transaction or on an async thread.
pub(crate) fn make(algorithms: &[Algorithm]) -> Result<Vec<NewKey>, key::Error> {
    algorithms
        .iter()
        .map(|algorithm| {
            let key = match algorithm {
                Algorithm::Rsa => SigningKey::rsa()?,
                Algorithm::Ed25519 => SigningKey::ed25519()?,
            };
            new_key(&key)
        })
        .collect()
}

/// A key that somebody brings along.
pub(crate) fn new_key(key: &SigningKey) -> Result<NewKey, key::Error> {
    let algorithm = match key.algorithm() {
        key::Algorithm::RsaSha256 => Algorithm::Rsa,
        key::Algorithm::Ed25519Sha256 => Algorithm::Ed25519,
    };
    Ok(NewKey { algorithm, pkcs8: key.to_pkcs8()?, record: key.record() })
}
