//! Proof Key for Code Exchange: whoever redeems a code proves to be who asked for it. S256 alone; `plain` proves nothing
//! to whoever reads the request.
//!
//! Standards: RFC 7636 §4; RFC 9700 §2.1.1.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::same;

/// What a client committed to: base64url of the SHA-256 of its verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// `None` unless it is 43 letters of base64url that stand for 32 octets.
    pub fn parse(text: &str) -> Option<Challenge> {
        let octets = URL_SAFE_NO_PAD.decode(text).ok()?;
        (text.len() == 43 && octets.len() == 32).then(|| Challenge(text.to_owned()))
    }

    pub(crate) fn stored(text: String) -> Challenge {
        Challenge(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the verifier of it. RFC 7636 §4.1: 43 to 128 of the unreserved characters.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
            return false;
        }
        same(&self.0, &URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_and_what_is_not_it() {
        // RFC 7636, appendix B.
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").expect("a challenge");
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(challenge.is_met_by(verifier));
        for wrong in ["", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", &verifier[1..], &format!("{verifier}A")] {
            assert!(!challenge.is_met_by(wrong), "{wrong}");
        }
        for wrong in
            ["", "a", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="]
        {
            assert_eq!(Challenge::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_verifier_has_its_length_and_letters() {
        for wrong in ["a".repeat(42), "a".repeat(129), "ä".repeat(43), format!("{} ", "a".repeat(50))] {
            let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, wrong.as_bytes()));
            assert!(!Challenge::parse(&hash).expect("a challenge").is_met_by(&wrong), "{wrong}");
        }
        let right = "a".repeat(128);
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, right.as_bytes()));
        assert!(Challenge::parse(&hash).expect("a challenge").is_met_by(&right));
    }
}
