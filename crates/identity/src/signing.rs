//! The keys that sign who somebody is, and the id_tokens they sign.
//!
//! A key's private half lies in the database, sealed. A new one is shown in the set of keys for a day before it signs, so
//! that who keeps the set for a while knows it by then; an old one is shown until nothing it signed is good any more.
//!
//! Standards: OpenID Connect Core 1.0 §2 and §10.1, RFC 7515, RFC 7517, RFC 7518 §3.3, RFC 7519.

use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroad_store::seal::Sealer;
use postroad_store::{ReadTx, Timestamp, WriteTx, params};
use serde_json::{Value, json};

use crate::{Error, Result};

/// Makes and uses of keys wait for each other under this name.
pub const LOCK: &str = "identity keys";
/// A key signs for so long.
pub const SIGNS: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// It is shown so long before it signs.
pub const SHOWN_BEFORE: Duration = Duration::from_secs(24 * 60 * 60);
/// It is shown so long after it signed last.
pub const SHOWN_AFTER: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// A key as stored.
#[derive(Debug, Clone)]
pub struct Stored {
    id: i64,
    jwk: String,
    sealed: Vec<u8>,
    created: Timestamp,
}

/// A new key, not stored yet: made outside of any transaction.
pub struct Fresh {
    id: i64,
    jwk: String,
    sealed: Vec<u8>,
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fresh({})", self.id)
    }
}

/// Makes a key: RSA with 2,048 bits (RS256 is what everybody has to understand), which takes a moment.
pub fn make(sealer: &Sealer) -> Result<Fresh> {
    let failed = |_| Error::Corrupt("a key that signs could not be made".into());
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let secret = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?;
    let id = postroad_store::new_id();
    let (modulus, exponent) =
        numbers(pair.public_key().as_ref()).ok_or_else(|| Error::Corrupt("a public key that is none".into()))?;
    let number = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let jwk = json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid(id),
        "n": number(modulus),
        "e": number(exponent),
    });
    Ok(Fresh { id, jwk: jwk.to_string(), sealed: sealer.seal(&purpose(id), secret.as_ref()) })
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017, appendix A.1.1), without leading zeros.
fn numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = value(der, 0x30)?;
    let (modulus, rest) = value(sequence, 0x02)?;
    let (exponent, _) = value(rest, 0x02)?;
    Some((without_zeros(modulus), without_zeros(exponent)))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().position(|octet| *octet != 0).unwrap_or(number.len())..]
}

/// The octets of a DER value with this tag, and what comes behind it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=127 => (usize::from(*length), rest),
        _ => {
            let (octets, rest) = rest.split_at_checked(usize::from(length & 127))?;
            let length = octets.iter().take(4).fold(0usize, |sum, octet| sum << 8 | usize::from(*octet));
            (length, rest)
        }
    };
    (*first == tag).then(|| rest.split_at_checked(length)).flatten()
}

fn kid(id: i64) -> String {
    format!("{id:x}")
}

fn purpose(id: i64) -> String {
    format!("identity:key:{id}")
}

/// All keys that are shown, the oldest first.
pub fn keys(tx: &ReadTx) -> Result<Vec<Stored>> {
    let sql = "SELECT id, jwk, sealed, created FROM signing_identity ORDER BY created, id LIMIT 20";
    Ok(tx.rows(sql, params![], |row| {
        Ok(Stored { id: row.int(0)?, jwk: row.text(1)?, sealed: row.bytes(2)?, created: row.id(3)? })
    })?)
}

/// Whether a new key is wanted: there is none, or the newest will soon have signed for long enough.
pub fn wants_new(keys: &[Stored], now: Timestamp) -> bool {
    keys.last().is_none_or(|newest| newest.created.plus(SIGNS) <= now)
}

/// Keeps a key, unless another node was faster, and forgets those that nobody needs. Locks: [`LOCK`].
pub fn put(tx: &mut WriteTx, fresh: &Fresh, now: Timestamp) -> Result<()> {
    let known = keys(tx)?;
    if wants_new(&known, now) {
        tx.execute(
            "INSERT INTO signing_identity (id, algorithm, jwk, sealed, created) VALUES ($1, 'RS256', $2, $3, $4)",
            params![fresh.id, &fresh.jwk, &fresh.sealed, now],
        )?;
    }
    // A key signed until its successor, a day after that was made.
    for pair in known.windows(2) {
        if pair[1].created.plus(SHOWN_BEFORE).plus(SHOWN_AFTER) < now {
            tx.execute("DELETE FROM signing_identity WHERE id = $1", params![pair[0].id])?;
        }
    }
    Ok(())
}

/// The set of keys that others verify with (RFC 7517 §5).
pub fn jwks(keys: &[Stored]) -> Value {
    let keys: Vec<Value> = keys.iter().filter_map(|key| serde_json::from_str(&key.jwk).ok()).collect();
    json!({ "keys": keys })
}

/// The key that signs now: the newest that has been shown for long enough, or the oldest there is.
pub fn signer(keys: &[Stored], now: Timestamp) -> Option<&Stored> {
    keys.iter().rev().find(|key| key.created.plus(SHOWN_BEFORE) <= now).or(keys.first())
}

/// A key that is ready to sign. Not inside a transaction.
pub struct Signer {
    id: i64,
    pair: RsaKeyPair,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}

impl Signer {
    /// Opens a stored key. Errors: the sealing key is another than the one it was made with, and says so.
    pub fn open(stored: &Stored, sealer: &Sealer) -> Result<Signer> {
        let secret = sealer.unseal(&purpose(stored.id), &stored.sealed)?;
        let pair = RsaKeyPair::from_pkcs8(&secret)
            .map_err(|error| Error::Corrupt(format!("a key that signs cannot be read: {error}")))?;
        Ok(Signer { id: stored.id, pair })
    }

    /// Which of the stored it is.
    pub fn is(&self, stored: &Stored) -> bool {
        self.id == stored.id
    }

    /// Signs claims (RFC 7515 §3.1).
    pub fn sign(&self, claims: &Value) -> Result<String> {
        let head = json!({ "alg": "RS256", "typ": "JWT", "kid": kid(self.id) });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&head), part(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| Error::Corrupt("an identity could not be signed".into()))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    fn stored(id: i64, created: i64) -> Stored {
        Stored { id, jwk: "{}".into(), sealed: Vec::new(), created: Timestamp(created) }
    }

    #[test]
    fn a_key_is_shown_before_it_signs_and_follows_in_time() {
        let day = 24 * 60 * 60 * 1_000_000;
        assert!(wants_new(&[], Timestamp(0)));
        let first = [stored(1, 0)];
        assert_eq!(signer(&first, Timestamp(1)).map(|key| key.id), Some(1), "the only one signs at once");
        assert!(!wants_new(&first, Timestamp(89 * day)) && wants_new(&first, Timestamp(90 * day)));
        let both = [stored(1, 0), stored(2, 90 * day)];
        assert_eq!(signer(&both, Timestamp(90 * day + 1)).map(|key| key.id), Some(1));
        assert_eq!(signer(&both, Timestamp(91 * day)).map(|key| key.id), Some(2));
        assert!(signer(&[], Timestamp(0)).is_none());
    }

    #[test]
    fn what_is_signed_verifies_with_what_is_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let sealer = Sealer::open(&folder.path().join("secret.key")).expect("a key");
        let fresh = make(&sealer).expect("made");
        let stored = Stored { id: fresh.id, jwk: fresh.jwk, sealed: fresh.sealed, created: Timestamp(0) };
        let signed = Signer::open(&stored, &sealer).expect("opens").sign(&json!({ "sub": "7" })).expect("signed");
        let shown = jwks(std::slice::from_ref(&stored));
        let number =
            |name: &str| URL_SAFE_NO_PAD.decode(shown["keys"][0][name].as_str().expect("a text")).expect("base64url");
        let public = RsaPublicKeyComponents { n: number("n"), e: number("e") };
        let (text, signature) = signed.rsplit_once('.').expect("three parts");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature).is_ok());
        assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, b"other", &signature).is_err());
        assert!(shown["keys"][0].get("d").is_none(), "nothing private is shown");
        let other = Sealer::open(&folder.path().join("other.key")).expect("a key");
        assert!(Signer::open(&stored, &other).is_err());
    }
}
