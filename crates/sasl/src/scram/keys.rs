//! The keys of SCRAM: what is kept for an account, and what a client makes of a password (RFC 5802 §3).

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq;

use crate::Secret;

/// Which hash a SCRAM is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    /// RFC 5802.
    Sha1,
    /// RFC 7677.
    Sha256,
}

impl Hash {
    /// All.
    pub const ALL: [Hash; 2] = [Hash::Sha1, Hash::Sha256];

    /// Octets of a hash.
    pub fn length(self) -> usize {
        match self {
            Hash::Sha1 => digest::SHA1_OUTPUT_LEN,
            Hash::Sha256 => digest::SHA256_OUTPUT_LEN,
        }
    }

    /// Iterations of new keys: RFC 5802 §5.1 and RFC 7677 §4 ask for 4,096 at least. Some client libraries (Cyrus SASL) take no more
    /// than 65,536.
    pub fn iterations(self) -> u32 {
        match self {
            Hash::Sha1 => 10_000,
            Hash::Sha256 => 50_000,
        }
    }

    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "sha-1",
            Hash::Sha256 => "sha-256",
        }
    }

    fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
    }

    fn digest(self, message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, message).as_ref().to_vec()
    }
}

/// SaltedPassword, with which a client proves itself and knows its server.
pub(crate) struct Salted {
    hash: Hash,
    key: Secret,
}

impl Salted {
    /// `Hi(Normalize(password), salt, i)`: some 20 ms for 50,000 iterations.
    pub(crate) fn new(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> Salted {
        let algorithm = match hash {
            Hash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut key = vec![0; hash.length()];
        pbkdf2::derive(algorithm, iterations, salt, prepared(password).as_bytes(), &mut key);
        Salted { hash, key: Secret::of_bytes(key) }
    }

    /// ClientProof.
    pub(crate) fn proof(&self, auth_message: &[u8]) -> Vec<u8> {
        let client_key = self.hash.hmac(self.key.bytes(), CLIENT_KEY);
        let signature = self.hash.hmac(&self.hash.digest(&client_key), auth_message);
        client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect()
    }

    /// ServerSignature.
    pub(crate) fn signature(&self, auth_message: &[u8]) -> Vec<u8> {
        self.hash.hmac(&self.hash.hmac(self.key.bytes(), SERVER_KEY), auth_message)
    }
}

/// What is kept for an account: enough to verify a proof and to sign, not enough to log in elsewhere. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// For which mechanisms.
    pub hash: Hash,
    /// Of how many iterations.
    pub iterations: u32,
    /// Of which salt.
    pub salt: Vec<u8>,
    /// StoredKey.
    pub stored: Vec<u8>,
    /// ServerKey.
    pub server: Vec<u8>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("hash", &self.hash).field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Keys {
    /// Makes them of a password: slow on purpose, as [`Hash::iterations`] says. A zero of iterations counts as one.
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Keys {
        let count = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let salted = Salted::new(hash, password, salt, count);
        let stored = hash.digest(&hash.hmac(salted.key.bytes(), CLIENT_KEY));
        let server = hash.hmac(salted.key.bytes(), SERVER_KEY);
        Keys { hash, iterations, salt: salt.to_vec(), stored, server }
    }

    /// Keys that no password has, for names that nobody has: the same work, always in vain.
    pub fn nobody(hash: Hash) -> Keys {
        let (stored, server) = (vec![0; hash.length()], vec![0; hash.length()]);
        Keys { hash, iterations: hash.iterations(), salt: Vec::new(), stored, server }
    }

    /// Whether a proof was made with the password of these keys, in constant time; the server's signature if so.
    pub fn verify(&self, proof: &super::Proof) -> Option<Vec<u8>> {
        let signature = self.hash.hmac(&self.stored, &proof.auth_message);
        // A proof of another length is none, at the cost of one.
        let client_key: Vec<u8> = signature.iter().zip(&proof.proof).map(|(sign, one)| sign ^ one).collect();
        let server_signature = self.hash.hmac(&self.server, &proof.auth_message);
        let right = constant(&self.hash.digest(&client_key), &self.stored)
            & (proof.proof.len() == self.hash.length())
            & (proof.hash == self.hash);
        right.then_some(server_signature)
    }
}

/// Whether two secrets are the same, in a time that tells nothing but their lengths.
pub(crate) fn constant(one: &[u8], other: &[u8]) -> bool {
    bool::from(one.ct_eq(other))
}

/// `Normalize(str)`: SASLprep (RFC 4013), which is what clients do; as it is where that does not take it, as clients do
/// that know no other way.
pub fn prepared(text: &str) -> String {
    stringprep::saslprep(text).map_or_else(|_| text.to_owned(), |text| text.into_owned())
}

const CLIENT_KEY: &[u8] = b"Client Key";
const SERVER_KEY: &[u8] = b"Server Key";
