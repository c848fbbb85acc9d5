//! The first token of a client, before any library sees it: is it one of Kerberos?
//!
//! NTLM comes in the same clothes, bare or inside SPNEGO. It has a mechanism of its own here ([`crate::ntlm`]), with switches of its
//! own, and must not come in by another door.

use super::TOKEN_LIMIT;
use super::der::Elements;
use crate::Error;

/// Which mechanism of SASL a token came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `GSSAPI`: a security layer is spoken of at the end (RFC 4752).
    Gssapi,
    /// `GSS-SPNEGO`: it is over when the context stands.
    Spnego,
}

/// What a first token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Kerberos by itself.
    Kerberos,
    /// SPNEGO, and Kerberos is among what it offers.
    Negotiation,
}

/// Looks at a first token. SPNEGO is taken in [`Form::Gssapi`] too, though RFC 4752 §1 keeps that name for Kerberos: programs of
/// Windows do it so, and nothing weaker than Kerberos can come of it here. Errors: `TooLong`; `BadMessage` for what is none,
/// NTLM, and what offers no Kerberos.
pub fn first(form: Form, token: &[u8]) -> Result<Kind, Error> {
    if token.len() > TOKEN_LIMIT {
        return Err(Error::TooLong);
    }
    kind(token).filter(|kind| form == Form::Gssapi || *kind == Kind::Negotiation).ok_or(Error::BadMessage)
}

/// RFC 2743 §3.1: `[APPLICATION 0] IMPLICIT SEQUENCE { thisMech OBJECT IDENTIFIER, innerContextToken ANY }`.
fn kind(token: &[u8]) -> Option<Kind> {
    let mut whole = Elements(token);
    let mut frame = Elements(whole.next(APPLICATION_0)?);
    if !whole.is_empty() {
        return None;
    }
    match frame.next(OBJECT_IDENTIFIER)? {
        KERBEROS => Some(Kind::Kerberos),
        SPNEGO => offers_kerberos(frame).then_some(Kind::Negotiation),
        _ => None,
    }
}

/// RFC 4178 §4.2.1: `[0] NegTokenInit ::= SEQUENCE { mechTypes [0] SEQUENCE OF OBJECT IDENTIFIER, .. }`.
fn offers_kerberos(mut inner: Elements<'_>) -> bool {
    let types = inner.next(CONTEXT_0).and_then(|token| {
        let mut fields = Elements(Elements(token).next(SEQUENCE)?);
        Elements(fields.next(CONTEXT_0)?).next(SEQUENCE)
    });
    let mut types = Elements(types.unwrap_or_default());
    let mut names = std::iter::from_fn(|| types.next(OBJECT_IDENTIFIER)).take(MECHANISMS_MAX);
    names.any(|name| matches!(name, KERBEROS | KERBEROS_OF_WINDOWS))
}

const APPLICATION_0: u8 = 0x60;
const CONTEXT_0: u8 = 0xa0;
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// 1.2.840.113554.1.2.2 (RFC 4121 §1).
const KERBEROS: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// 1.2.840.48018.1.2.2, which Windows 2000 made of it by a slip and all after it still offer ([MS-SPNG] §3.1.5.9).
const KERBEROS_OF_WINDOWS: &[u8] = b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02";
/// 1.3.6.1.5.5.2 (RFC 4178 §4).
const SPNEGO: &[u8] = b"\x2b\x06\x01\x05\x05\x02";
/// Most mechanisms of a negotiation that are looked at.
const MECHANISMS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        [&[tag, u8::try_from(content.len()).expect("short")][..], &content].concat()
    }

    fn negotiation(names: &[&[u8]]) -> Vec<u8> {
        let names: Vec<Vec<u8>> = names.iter().map(|name| element(OBJECT_IDENTIFIER, &[name])).collect();
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let list = element(CONTEXT_0, &[&element(SEQUENCE, &names)]);
        let token = element(CONTEXT_0, &[&element(SEQUENCE, &[&list])]);
        element(APPLICATION_0, &[&element(OBJECT_IDENTIFIER, &[SPNEGO]), &token])
    }

    const NTLM: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a";

    #[test]
    fn kerberos_alone_is_taken() {
        use Form::{Gssapi, Spnego};
        let kerberos = element(APPLICATION_0, &[&element(OBJECT_IDENTIFIER, &[KERBEROS]), b"\x01\0rest"]);
        let ntlm = element(APPLICATION_0, &[&element(OBJECT_IDENTIFIER, &[NTLM]), b"NTLMSSP\0"]);
        let (longer, shorter) = ([&kerberos[..], b"x"].concat(), &kerberos[..kerberos.len() - 1]);
        for (form, token, expected) in [
            (Gssapi, &kerberos[..], Ok(Kind::Kerberos)),
            (Spnego, &kerberos, Err(Error::BadMessage)),
            (Spnego, &negotiation(&[KERBEROS]), Ok(Kind::Negotiation)),
            (Spnego, &negotiation(&[NTLM, KERBEROS_OF_WINDOWS]), Ok(Kind::Negotiation)),
            (Gssapi, &negotiation(&[KERBEROS_OF_WINDOWS, KERBEROS, NTLM]), Ok(Kind::Negotiation)),
            (Spnego, &negotiation(&[NTLM]), Err(Error::BadMessage)),
            (Gssapi, &negotiation(&[NTLM]), Err(Error::BadMessage)),
            (Spnego, &negotiation(&[]), Err(Error::BadMessage)),
            (Gssapi, &ntlm, Err(Error::BadMessage)),
            (Spnego, b"NTLMSSP\0\x01\0\0\0", Err(Error::BadMessage)),
            (Gssapi, b"NTLMSSP\0\x01\0\0\0", Err(Error::BadMessage)),
            (Gssapi, &longer, Err(Error::BadMessage)),
            (Gssapi, shorter, Err(Error::BadMessage)),
            (Gssapi, b"", Err(Error::BadMessage)),
            (Gssapi, &[0; TOKEN_LIMIT + 1], Err(Error::TooLong)),
        ] {
            assert_eq!(first(form, token), expected, "{form:?} {token:?}");
        }
        for cut in 0..negotiation(&[KERBEROS]).len() {
            assert_eq!(first(Spnego, &negotiation(&[KERBEROS])[..cut]), Err(Error::BadMessage), "{cut}");
        }
    }
}
