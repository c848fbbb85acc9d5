//! PREVIEW (RFC 8970): the beginning of a message's text, as its summary has it.
//!
//! The summary was made when the message came, so that a preview is always there: it is never NIL, and LAZY changes
//! nothing. What has no text to show (encrypted, only pictures) has an empty one.
//!
//! What it never does: read a message.

/// What a client is shown: at most [`CHARACTERS_MAX`] characters. RFC 8970 §4: nothing of what is encrypted where it stands.
pub(super) fn of(stored: &str) -> &str {
    if ENCRYPTED.iter().any(|armour| stored.starts_with(armour)) {
        return "";
    }
    match stored.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => &stored[..end],
        None => stored,
    }
}

/// RFC 8970 §3.2: no preview has more characters.
const CHARACTERS_MAX: usize = 256;

/// How armour begins whose letters mean nothing to a reader.
const ENCRYPTED: [&str; 2] = ["-----BEGIN PGP MESSAGE-----", "-----BEGIN PKCS7-----"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_short_and_readable() {
        let long = "\u{e4}".repeat(300);
        for (stored, expected) in [
            ("", ""),
            ("Hello", "Hello"),
            ("-----BEGIN PGP MESSAGE----- hQEMA", ""),
            (
                "-----BEGIN PGP SIGNED MESSAGE----- Hash: SHA512 Hi",
                "-----BEGIN PGP SIGNED MESSAGE----- Hash: SHA512 Hi",
            ),
            (long.as_str(), &long[..512]),
        ] {
            assert_eq!(of(stored), expected, "{stored}");
        }
    }
}
