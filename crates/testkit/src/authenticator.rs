//! An authenticator that holds one passkey in memory, honest or not: what a browser would hand on from it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Somebody touched it, it verified who they are, and its key never leaves it.
pub const HONEST: u8 = 0x05;

/// A passkey and what holds it.
#[derive(Debug)]
pub struct Authenticator {
    key: EcdsaKeyPair,
    /// Its id.
    pub credential: Vec<u8>,
    /// What it says that browser and server are, such as `https://mail.example`.
    pub origin: String,
    /// The relying party it was made for.
    pub party: String,
    /// How often it has signed; 0 counts nothing.
    pub count: u32,
    /// The flags of its answers ([`HONEST`]).
    pub flags: u8,
}

impl Authenticator {
    /// One for this site.
    ///
    /// # Panics
    /// When the system gives no random numbers.
    pub fn new(origin: &str) -> Authenticator {
        let mut credential = vec![0; 16];
        fill(&mut credential).expect("random numbers");
        let host = origin.split_once("://").expect("an origin").1;
        Authenticator {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"),
            credential,
            origin: origin.to_owned(),
            party: host.split(':').next().expect("a host").to_owned(),
            count: 1,
            flags: HONEST,
        }
    }

    /// `clientDataJSON` and `attestationObject` of its registration for a challenge in base64url.
    pub fn make(&self, challenge: &str) -> (Vec<u8>, Vec<u8>) {
        let point = self.key.public_key().as_ref();
        let key = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32][..], &point[1..33], &[0x22, 0x58, 32], &point[33..]];
        let length = u8::try_from(self.credential.len()).expect("a short id");
        let attested = [&[0; 16][..], &[0, length], &self.credential, &key.concat()].concat();
        let data = self.data(0x40, &attested);
        let length = u8::try_from(data.len()).expect("a short key");
        let object = [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58", &[length][..], &data].concat();
        (self.client("webauthn.create", challenge), object)
    }

    /// `clientDataJSON`, `authenticatorData` and the signature of a log-in for a challenge in base64url. It counts on.
    pub fn sign(&mut self, challenge: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        self.count += u32::from(self.count > 0);
        let (client, data) = (self.client("webauthn.get", challenge), self.data(0, &[]));
        let text = [&data[..], digest(&SHA256, &client).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &text).expect("signed");
        (client, data, signature.as_ref().to_vec())
    }

    fn client(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let origin = &self.origin;
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#).into_bytes()
    }

    fn data(&self, more: u8, rest: &[u8]) -> Vec<u8> {
        let party = digest(&SHA256, self.party.as_bytes());
        [party.as_ref(), &[self.flags | more], &self.count.to_be_bytes(), rest].concat()
    }
}

/// Octets as they stand in forms.
pub fn base64url(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}
