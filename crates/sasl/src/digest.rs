//! CRAM-MD5 (RFC 2195) and APOP (RFC 1939 §7): a keyed MD5 of words that the server chose, shown in place of the password.
//!
//! Both are quick to guess against and bind to nothing. What they are checked with is worth as much as the password: for APOP it is the
//! password itself, for CRAM-MD5 the two states of HMAC (RFC 2195 §2) that open nothing else. They are for clients that have
//! nothing better, under TLS, and off until they are switched on. RFC 6331 tells of a kin what is wrong with them all.

use std::fmt::Write;

use md5::digest::common::hazmat::SerializableState;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;

use crate::secret::wipe;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// HMAC-MD5 of the challenge, with the password as key.
    CramMd5,
    /// MD5 of the greeting's timestamp and the password behind it.
    Apop,
}

impl Digest {
    /// Both.
    pub const ALL: [Digest; 2] = [Digest::CramMd5, Digest::Apop];

    /// `CRAM-MD5`, `APOP`.
    pub const fn name(self) -> &'static str {
        match self {
            Digest::CramMd5 => "CRAM-MD5",
            Digest::Apop => "APOP",
        }
    }

    /// By its name in any case.
    pub fn from_name(name: &str) -> Option<Digest> {
        Digest::ALL.into_iter().find(|digest| digest.name().eq_ignore_ascii_case(name))
    }
}

/// What the server says that a digest is made of: a msg-id that is never given twice (RFC 1939 §7, RFC 2195 §2), of random octets, the
/// time in microseconds, and the server's name.
pub fn challenge(random: &[u8; CHALLENGE_RANDOM], micros: i64, host: &str) -> String {
    let mut text = String::from("<");
    hex(random, &mut text);
    let _ = write!(text, ".{micros}@{host}>");
    text
}

/// What proofs of a password are checked with, to be kept sealed. `Debug` shows nothing of it.
pub struct Key {
    digest: Digest,
    kept: Vec<u8>,
}

impl Key {
    /// Of a password. `None`: it is too long to be kept ([`PASSWORD_MAX`]).
    pub fn of_password(digest: Digest, password: &str) -> Option<Key> {
        let kept = match digest {
            Digest::CramMd5 => states(password.as_bytes()),
            Digest::Apop => padded(password.as_bytes())?,
        };
        Some(Key { digest, kept })
    }

    /// As it was kept; `None` for what cannot be one.
    pub fn stored(digest: Digest, mut octets: Vec<u8>) -> Option<Key> {
        let is_one = match digest {
            Digest::CramMd5 => octets.len() == 2 * STATE,
            Digest::Apop => octets.len() == PADDED && usize::from(octets[0]) <= PASSWORD_MAX,
        };
        if !is_one {
            wipe(&mut octets);
            return None;
        }
        Some(Key { digest, kept: octets })
    }

    /// To be kept, sealed; the same length for every password. Every use of this method is a place where it could leak.
    pub fn expose(&self) -> &[u8] {
        &self.kept
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.digest).finish_non_exhaustive()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        wipe(&mut self.kept);
    }
}

/// What a client made of a challenge.
#[derive(Debug, PartialEq, Eq)]
pub struct Proof {
    digest: Digest,
    challenge: Vec<u8>,
    shown: [u8; 16],
}

impl Proof {
    /// Of the 32 hexadecimal digits that a client showed; RFC 2195 and RFC 1939 have them in lower case, some clients do not.
    pub fn read(digest: Digest, challenge: &[u8], digits: &str) -> Option<Proof> {
        let digits = digits.as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let mut shown = [0; 16];
        for (octet, pair) in shown.iter_mut().zip(digits.chunks_exact(2)) {
            *octet = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Proof { digest, challenge: challenge.to_vec(), shown })
    }

    /// Which of the two it is.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether it was made with the password of a key. Constant time in what is compared.
    pub fn verify(&self, key: &Key) -> bool {
        let right = match (self.digest, key.digest) {
            (Digest::CramMd5, Digest::Apop) | (Digest::Apop, Digest::CramMd5) => None,
            (Digest::CramMd5, Digest::CramMd5) => keyed(&key.kept, &self.challenge),
            (Digest::Apop, Digest::Apop) => {
                let length = key.kept.first().copied().map_or(0, usize::from);
                key.kept.get(1..=length).map(|password| apop(&self.challenge, password))
            }
        };
        right.is_some_and(|right| right.ct_eq(&self.shown).into())
    }
}

/// What a client shows.
pub(crate) fn shown(digest: Digest, challenge: &[u8], password: &[u8]) -> String {
    let octets = match digest {
        Digest::CramMd5 => crate::ntlm::hmac_md5(password, &[challenge]),
        Digest::Apop => apop(challenge, password),
    };
    let mut text = String::new();
    hex(&octets, &mut text);
    text
}

fn apop(challenge: &[u8], password: &[u8]) -> [u8; 16] {
    Md5::new().chain_update(challenge).chain_update(password).finalize().into()
}

/// RFC 2104 §4: what HMAC has computed once the key is in, inside and outside.
fn states(password: &[u8]) -> Vec<u8> {
    let mut key = match password.len() > BLOCK {
        true => Md5::digest(password).to_vec(),
        false => password.to_vec(),
    };
    key.resize(BLOCK, 0);
    let mut kept = Vec::with_capacity(2 * STATE);
    for pad in [0x36, 0x5c] {
        let mut block: Vec<u8> = key.iter().map(|octet| octet ^ pad).collect();
        let hash = Md5::new().chain_update(&block);
        // Behind the state stands what is left of a block: nothing, since the block is full.
        kept.extend_from_slice(&hash.serialize()[..STATE]);
        wipe(&mut block);
    }
    wipe(&mut key);
    kept
}

/// The rest of HMAC. `None` for states that are none.
fn keyed(states: &[u8], message: &[u8]) -> Option<[u8; 16]> {
    let (inside, outside) = states.split_at_checked(STATE)?;
    let begun = |state: &[u8]| {
        let mut whole = Md5::new().serialize();
        whole.get_mut(..STATE)?.copy_from_slice(state);
        Md5::deserialize(&whole).ok()
    };
    let inside = begun(inside)?.chain_update(message).finalize();
    Some(begun(outside)?.chain_update(inside).finalize().into())
}

/// Its length and noughts, so that what is sealed does not tell how long a password is.
fn padded(password: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(password.len()).ok().filter(|_| password.len() <= PASSWORD_MAX)?;
    let mut kept = Vec::with_capacity(PADDED);
    kept.push(length);
    kept.extend_from_slice(password);
    kept.resize(PADDED, 0);
    Some(kept)
}

fn hex(octets: &[u8], text: &mut String) {
    for octet in octets {
        let _ = write!(text, "{octet:02x}");
    }
}

fn value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Random octets of a challenge.
pub const CHALLENGE_RANDOM: usize = 16;
/// Longest password that is kept for APOP, in octets.
pub const PASSWORD_MAX: usize = 250;
/// Octets of what is kept for APOP.
const PADDED: usize = 256;
/// Octets of a block of MD5.
const BLOCK: usize = 64;
/// Octets of a state of MD5, with the count of its blocks.
const STATE: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_numbers_come_out() {
        for (digest, challenge, password, digits) in [
            // RFC 2195 §2
            (
                Digest::CramMd5,
                "<1896.697170952@postoffice.reston.mci.net>",
                "tanstaaftanstaaf",
                "b913a602c7eda7a495b4e6e7334d3890",
            ),
            // RFC 1939 §7
            (Digest::Apop, "<1896.697170952@dbc.mtview.ca.us>", "tanstaaf", "c4c9334bac560ecc979e58001b3e22fb"),
        ] {
            assert_eq!(shown(digest, challenge.as_bytes(), password.as_bytes()), digits);
            let proof = |text: &str| Proof::read(digest, challenge.as_bytes(), text).expect("32 digits");
            let key = |password: &str| {
                let key = Key::of_password(digest, password).expect("not long");
                Key::stored(digest, key.expose().to_vec()).expect("what was kept")
            };
            assert!(proof(digits).verify(&key(password)) && proof(&digits.to_uppercase()).verify(&key(password)));
            assert!(!proof(digits).verify(&key("tanstaag")) && !proof(digits).verify(&key("")));
            assert!(!proof(&digits.replace('c', "d")).verify(&key(password)));
            let other = Proof::read(digest, b"<another@challenge>", digits).expect("32 digits");
            assert!(!other.verify(&key(password)));
        }
    }

    #[test]
    fn keys_of_one_are_none_of_the_other_and_tell_no_length() {
        for (password, kept) in [("", true), ("x", true), (&"y".repeat(64), true), (&"z".repeat(251), false)] {
            let cram = Key::of_password(Digest::CramMd5, password).expect("any length");
            assert_eq!(cram.expose().len(), 48);
            let proof = Proof::read(Digest::CramMd5, b"<c>", &shown(Digest::CramMd5, b"<c>", password.as_bytes()));
            assert!(proof.expect("digits").verify(&cram), "{password}");
            let Some(apop) = Key::of_password(Digest::Apop, password) else {
                assert!(!kept);
                continue;
            };
            assert_eq!(apop.expose().len(), 256);
            let proof = Proof::read(Digest::Apop, b"<c>", &shown(Digest::Apop, b"<c>", password.as_bytes()));
            let proof = proof.expect("digits");
            assert!(kept && proof.verify(&apop) && !proof.verify(&cram), "{password}");
            assert!(Key::stored(Digest::CramMd5, apop.expose().to_vec()).is_none());
            assert!(Key::stored(Digest::Apop, cram.expose().to_vec()).is_none());
        }
        // The password is in no state.
        let secret = "correct horse battery";
        let kept = Key::of_password(Digest::CramMd5, secret).expect("a key");
        let pads = [0, 0x36, 0x5c].map(|pad| secret.bytes().map(|octet| octet ^ pad).collect::<Vec<u8>>());
        assert!(pads.iter().all(|text| !kept.expose().windows(4).any(|part| part == &text[..4])));
        assert_eq!(format!("{kept:?}"), "Key(CramMd5, ..)");
    }

    #[test]
    fn digits_are_digits() {
        let good = "b913a602c7eda7a495b4e6e7334d3890";
        for bad in ["", "b9", &good[1..], &format!("{good}0"), &good.replace('a', "g"), &good.replace('a', "+")] {
            assert_eq!(Proof::read(Digest::CramMd5, b"x", bad), None, "{bad}");
        }
        assert_eq!(Proof::read(Digest::Apop, b"x", &"é".repeat(16)), None);
        assert_eq!(challenge(&[0xab; 16], 7, "h"), format!("<{}.7@h>", "ab".repeat(16)));
    }
}
