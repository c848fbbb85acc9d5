//! Passkeys: what an authenticator says at registration and at log-in is verified here.
//!
//! Pure: octets in, verdict out. What is never here: which challenges were given, whose credentials there are, HTTP.
//! Attestation is not asked for: whose make an authenticator is, is nobody's business. `none` is taken, and `packed` where
//! the credential vouches for itself, which browsers leave as it is (level 2 §5.1.3).
//!
//! Standards: WebAuthn level 2 §7.1 (registration), §7.2 (assertion), §6.1 (authenticator data), §5.8.1 (client data), §8.2
//! (self attestation); level 3 §6.1.3 (what may be copied).

pub mod cbor;
pub mod cose;

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;

use cose::Key;

/// What this server expects of an answer.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The challenge that was given, as octets.
    pub challenge: &'a [u8],
    /// Such as `https://mail.example`.
    pub origin: &'a str,
    /// The relying party: the host alone.
    pub party: &'a str,
    /// Whether the authenticator must have verified who holds it (a PIN, a finger): where nothing else is asked for.
    pub verified: bool,
}

/// What is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read, or is longer than anything honest.
    Malformed,
    /// An answer to another question (`webauthn.get` for `webauthn.create`).
    Type,
    /// Another challenge.
    Challenge,
    /// Another site's, or framed by one.
    Origin,
    /// For another relying party.
    Party,
    /// Nobody touched it, or it did not verify who did.
    User,
    /// An attestation that was not asked for.
    Attestation,
    /// A key of a kind that was not offered.
    Key,
    /// The signature is wrong.
    Signature,
    /// Its counter went back: there is a copy of it.
    Counter,
    /// It could be copied and now cannot, or the other way round: it is not the one that was made.
    Copied,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Malformed => "it cannot be read",
            Fault::Type => "it answers another question",
            Fault::Challenge => "it answers another challenge",
            Fault::Origin => "it was made on another site",
            Fault::Party => "it is for another server",
            Fault::User => "nobody touched it, or it did not verify who did",
            Fault::Attestation => "it has an attestation that was not asked for",
            Fault::Key => "its key is of an unknown kind",
            Fault::Signature => "its signature is wrong",
            Fault::Counter => "its counter went back: there may be a copy of it",
            Fault::Copied => "whether it may be copied has changed",
        })
    }
}

/// A credential that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub credential: Vec<u8>,
    /// The COSE_Key, as it came.
    pub key: Vec<u8>,
    /// Its counter.
    pub count: u32,
    /// Whether it verified who holds it.
    pub verified: bool,
    /// Whether it may be on several devices.
    pub copied: bool,
}

/// A credential as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The COSE_Key.
    pub key: &'a [u8],
    /// The counter when it was last used.
    pub count: u32,
    /// Whether it may be on several devices.
    pub copied: bool,
}

/// What an authenticator has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asserted {
    /// Its counter now.
    pub count: u32,
    /// Whether it verified who holds it.
    pub verified: bool,
}

/// Verifies a registration: `clientDataJSON` and `attestationObject` (WebAuthn level 2 §7.1).
pub fn registered(expected: &Expected<'_>, client_data: &[u8], attestation: &[u8]) -> Result<Registered, Fault> {
    client(expected, "webauthn.create", client_data)?;
    let (object, rest) = cbor::read(attestation).ok_or(Fault::Malformed)?;
    if !rest.is_empty() {
        return Err(Fault::Malformed);
    }
    let data = object.named("authData").and_then(cbor::Value::bytes).ok_or(Fault::Malformed)?;
    let facts = facts(expected, data)?;
    // §6.5.1: AAGUID, length of the id, id, key; extensions behind it, if the flag says so.
    if facts.flags & ATTESTED == 0 {
        return Err(Fault::Malformed);
    }
    let (_, rest) = facts.rest.split_at_checked(AAGUID_LEN).ok_or(Fault::Malformed)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(Fault::Malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > CREDENTIAL_MAX {
        return Err(Fault::Malformed);
    }
    let (credential, rest) = rest.split_at_checked(length).ok_or(Fault::Malformed)?;
    let (map, behind) = cbor::read(rest).ok_or(Fault::Malformed)?;
    let made = Key::of(&map).ok_or(Fault::Key)?;
    extensions(facts.flags, behind)?;
    attested(&object, &made, &[data, digest(&SHA256, client_data).as_ref()].concat())?;
    Ok(Registered {
        credential: credential.to_vec(),
        key: rest[..rest.len() - behind.len()].to_vec(),
        count: facts.count,
        verified: facts.flags & VERIFIED != 0,
        copied: facts.flags & MAY_BE_BACKED_UP != 0,
    })
}

/// §8.7: nothing; §8.2: the credential's own signature, without any certificate.
fn attested(object: &cbor::Value, made: &Key, text: &[u8]) -> Result<(), Fault> {
    let (Some(cbor::Value::Text(format)), Some(cbor::Value::Map(pairs))) =
        (object.named("fmt"), object.named("attStmt"))
    else {
        return Err(Fault::Malformed);
    };
    let statement = object.named("attStmt").ok_or(Fault::Malformed)?;
    let own = || {
        let algorithm = statement.named("alg").and_then(cbor::Value::int);
        let signature = statement.named("sig").and_then(cbor::Value::bytes).filter(|it| it.len() <= SIGNATURE_MAX);
        algorithm == Some(made.algorithm()) && signature.is_some_and(|signature| made.has_signed(text, signature))
    };
    match (format.as_str(), pairs.len()) {
        ("none", 0) => Ok(()),
        ("packed", 2) if own() => Ok(()),
        _ => Err(Fault::Attestation),
    }
}

/// Verifies a log-in with a known credential (WebAuthn level 2 §7.2).
pub fn asserted(
    expected: &Expected<'_>,
    known: Known<'_>,
    client_data: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<Asserted, Fault> {
    client(expected, "webauthn.get", client_data)?;
    let facts = facts(expected, data)?;
    if facts.flags & ATTESTED != 0 || signature.len() > SIGNATURE_MAX {
        return Err(Fault::Malformed);
    }
    extensions(facts.flags, facts.rest)?;
    let key = Key::parse(known.key).ok_or(Fault::Key)?;
    let text = [data, digest(&SHA256, client_data).as_ref()].concat();
    if !key.has_signed(&text, signature) {
        return Err(Fault::Signature);
    }
    // §7.2 step 21: many count nothing at all; who counts, counts up.
    if (facts.count != 0 || known.count != 0) && facts.count <= known.count {
        return Err(Fault::Counter);
    }
    if (facts.flags & MAY_BE_BACKED_UP != 0) != known.copied {
        return Err(Fault::Copied);
    }
    Ok(Asserted { count: facts.count, verified: facts.flags & VERIFIED != 0 })
}

/// What the browser says (§5.8.1).
fn client(expected: &Expected<'_>, kind: &str, octets: &[u8]) -> Result<(), Fault> {
    if octets.len() > CLIENT_DATA_MAX {
        return Err(Fault::Malformed);
    }
    let data: Json = serde_json::from_slice(octets).map_err(|_| Fault::Malformed)?;
    let text = |name: &str| data.get(name).and_then(Json::as_str);
    if text("type") != Some(kind) {
        return Err(Fault::Type);
    }
    let challenge = text("challenge").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(Fault::Malformed)?;
    if verify_slices_are_equal(&challenge, expected.challenge).is_err() {
        return Err(Fault::Challenge);
    }
    let framed = data.get("crossOrigin").is_some_and(|framed| *framed != Json::Bool(false));
    if text("origin") != Some(expected.origin) || framed || data.get("topOrigin").is_some() {
        return Err(Fault::Origin);
    }
    Ok(())
}

struct Facts<'a> {
    flags: u8,
    count: u32,
    rest: &'a [u8],
}

/// What the authenticator says (§6.1).
fn facts<'a>(expected: &Expected<'_>, data: &'a [u8]) -> Result<Facts<'a>, Fault> {
    if data.len() > DATA_MAX {
        return Err(Fault::Malformed);
    }
    let (party, rest) = data.split_first_chunk::<32>().ok_or(Fault::Malformed)?;
    let (flags, rest) = rest.split_first().ok_or(Fault::Malformed)?;
    let (count, rest) = rest.split_first_chunk::<4>().ok_or(Fault::Malformed)?;
    if party != digest(&SHA256, expected.party.as_bytes()).as_ref() {
        return Err(Fault::Party);
    }
    if flags & PRESENT == 0 || (expected.verified && flags & VERIFIED == 0) {
        return Err(Fault::User);
    }
    // Level 3 §6.1.3: what cannot be copied is not copied.
    if flags & BACKED_UP != 0 && flags & MAY_BE_BACKED_UP == 0 {
        return Err(Fault::Malformed);
    }
    Ok(Facts { flags: *flags, count: u32::from_be_bytes(*count), rest })
}

/// A map, if the flag says so, and nothing else.
fn extensions(flags: u8, octets: &[u8]) -> Result<(), Fault> {
    match (flags & EXTENDED != 0, octets) {
        (false, []) => Ok(()),
        (true, octets) => match cbor::read(octets) {
            Some((cbor::Value::Map(_), [])) => Ok(()),
            Some(_) | None => Err(Fault::Malformed),
        },
        (false, [..]) => Err(Fault::Malformed),
    }
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const MAY_BE_BACKED_UP: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENDED: u8 = 0x80;
const AAGUID_LEN: usize = 16;
/// §4: an id has at most so many octets.
pub const CREDENTIAL_MAX: usize = 1_023;
/// Octets of `clientDataJSON`.
const CLIENT_DATA_MAX: usize = 4 * 1024;
/// Octets of authenticator data.
const DATA_MAX: usize = 8 * 1024;
/// An RSA key of 8,192 bits makes these.
const SIGNATURE_MAX: usize = 1_024;

#[cfg(test)]
mod tests;
