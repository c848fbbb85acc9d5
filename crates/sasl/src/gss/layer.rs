//! The security layer of GSSAPI (RFC 4752 §3.2 and §3.3): there is none, TLS does that.

use crate::Error;
use crate::server::text;

/// What the server offers: no layer, and therefore nothing that it could receive in one (RFC 4752 §3.2: the size has to be 0).
pub const OFFER: [u8; 4] = [NONE, 0, 0, 0];

/// What the client chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Whom it wants to act as; `None`: as itself.
    pub authzid: Option<String>,
}

impl Choice {
    /// Reads an unwrapped answer: the layer, a size, and the authorization identity in UTF-8 without an end mark. Errors: a layer
    /// that was not offered, several or none; text that is none.
    pub fn read(message: &[u8]) -> Result<Choice, Error> {
        // RFC 4752 §3.1: the size is 0 without a layer. Java's client says 65536 all the same, and nothing comes of it.
        let [layer, _, _, _, authzid @ ..] = message else { return Err(Error::BadMessage) };
        if *layer != NONE || authzid.len() > AUTHZID_LIMIT {
            return Err(Error::BadMessage);
        }
        let authzid = text(authzid)?;
        Ok(Choice { authzid: (!authzid.is_empty()).then_some(authzid) })
    }
}

/// The bit for "no security layer" (RFC 4752 §3.3).
const NONE: u8 = 1;
/// Longest authorization identity, in octets.
const AUTHZID_LIMIT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_was_not_offered_is_refused() {
        let itself = Ok(Choice { authzid: None });
        let other = Ok(Choice { authzid: Some("bob@example.test".into()) });
        let bad = Err(Error::BadMessage);
        for (message, expected) in [
            (&b"\x01\0\0\0"[..], &itself),
            (b"\x01\0\0\0bob@example.test", &other),
            (b"\x01\x01\0\0bob@example.test", &other),
            (b"", &bad),
            (b"\x01\0\0", &bad),
            (b"\0\0\0\0", &bad),
            (b"\x02\0\x10\0", &bad),
            (b"\x04\0\x10\0", &bad),
            (b"\x03\0\0\0", &bad),
            (b"\x07\xff\xff\xff", &bad),
            (b"\x81\0\0\0", &bad),
            (b"\x01\0\0\0bob\0", &bad),
            (b"\x01\0\0\0\xff", &Err(Error::NotUtf8)),
        ] {
            assert_eq!(Choice::read(message), *expected, "{message:?}");
        }
        let long = [&OFFER[..], &[b'a'; AUTHZID_LIMIT + 1]].concat();
        assert_eq!((Choice::read(&long), Choice::read(&long[..long.len() - 1]).is_ok()), (bad, true));
    }
}
