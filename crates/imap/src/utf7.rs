//! Modified UTF-7, the spelling of mailbox names before UTF-8 was enabled (RFC 3501 §5.1.3).
//!
//! Printable ASCII stands for itself, `&` is `&-`, everything else is UTF-16 in base64 with `,` for `/`,
//! between `&` and `-`.

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// Why text is not modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utf7Error {
    /// An octet above 0x7E or a control character outside of an encoding.
    NotPrintable,
    /// `&` without its `-`.
    Unterminated,
    /// Not modified base64, or bits left over.
    BadBase64,
    /// A lone surrogate.
    BadUtf16,
    /// Printable ASCII was encoded, or two encodings stand side by side: another spelling of the same name.
    NotCanonical,
}

/// Strict decoding: only the one spelling that [`to_utf7`] makes.
pub fn from_utf7(text: &[u8]) -> Result<String, Utf7Error> {
    let decoded = decode(text)?;
    if to_utf7(&decoded).as_bytes() == text { Ok(decoded) } else { Err(Utf7Error::NotCanonical) }
}

/// Decoding of any spelling: what broken clients mean although they write it in a way of their own.
pub fn decode(text: &[u8]) -> Result<String, Utf7Error> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'&' => {
                let end = rest.iter().position(|&byte| byte == b'-').ok_or(Utf7Error::Unterminated)?;
                if end == 0 {
                    decoded.push('&');
                } else {
                    decode_base64(&rest[..end], &mut decoded)?;
                }
                rest = &rest[end + 1..];
            }
            0x20..=0x7e => decoded.push(char::from(byte)),
            0..=0x1f | 0x7f..=0xff => return Err(Utf7Error::NotPrintable),
        }
    }
    Ok(decoded)
}

fn decode_base64(text: &[u8], decoded: &mut String) -> Result<(), Utf7Error> {
    let octets = BASE64.decode(text).map_err(|_| Utf7Error::BadBase64)?;
    if octets.len() % 2 != 0 {
        return Err(Utf7Error::BadBase64);
    }
    let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    for unit in char::decode_utf16(units) {
        decoded.push(unit.map_err(|_| Utf7Error::BadUtf16)?);
    }
    Ok(())
}

/// The one encoding of a text.
pub fn to_utf7(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    let mut pending: Vec<u8> = Vec::new();
    for character in text.chars() {
        if (' '..='~').contains(&character) {
            flush(&mut pending, &mut encoded);
            encoded.push(character);
            if character == '&' {
                encoded.push('-');
            }
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                pending.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut pending, &mut encoded);
    encoded
}

fn flush(pending: &mut Vec<u8>, encoded: &mut String) {
    if !pending.is_empty() {
        encoded.push('&');
        BASE64.encode_string(&pending, encoded);
        encoded.push('-');
        pending.clear();
    }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_spelling() {
        for (text, spelled) in [
            ("", ""),
            ("INBOX", "INBOX"),
            ("A&B", "A&-B"),
            ("&", "&-"),
            // RFC 3501 §5.1.3's example.
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("ä&ö", "&AOQ-&-&APY-"),
            ("😀", "&2D3eAA-"),
            ("été", "&AOk-t&AOk-"),
        ] {
            assert_eq!(to_utf7(text), spelled);
            assert_eq!(from_utf7(spelled.as_bytes()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn misspelt_names() {
        for (spelled, error) in [
            (&b"R&D"[..], Utf7Error::Unterminated),
            (b"&AOQ", Utf7Error::Unterminated),
            (b"&*-", Utf7Error::BadBase64),
            (b"&AO-", Utf7Error::BadBase64),
            (b"&A-", Utf7Error::BadBase64),
            (b"&2D0-", Utf7Error::BadUtf16),
            (b"&3gA-", Utf7Error::BadUtf16),
            (b"a\x01", Utf7Error::NotPrintable),
            (b"\xc3\xa4", Utf7Error::NotPrintable),
            // RFC 3501 §5.1.3: superfluous shifts and encoded ASCII are not permitted.
            (b"&U,BTFw-&ZeVnLIqe-", Utf7Error::NotCanonical),
            (b"&Jjo!", Utf7Error::Unterminated),
            (b"&AGE-", Utf7Error::NotCanonical),
        ] {
            assert_eq!(from_utf7(spelled), Err(error), "{}", spelled.escape_ascii());
        }
        assert_eq!(decode(b"&AGE-").as_deref(), Ok("a"));
    }
}
