//! SCRAM, client side (RFC 5802 §5).

use std::num::NonZeroU32;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_protocol::Bindings;

use crate::scram::{Hash, Salted, attribute, constant, escaped, is_nonce, prepared};
use crate::{Error, Secret};

pub(super) struct Scram {
    hash: Hash,
    binding: Option<(&'static str, Vec<u8>)>,
    /// It could bind itself, if the server could.
    would_bind: bool,
    header: String,
    bare: String,
    nonce: String,
    /// What the server has to sign with, once a proof was given.
    expected: Option<Secret>,
    signed: bool,
}

impl std::fmt::Debug for Scram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scram").field("hash", &self.hash).field("signed", &self.signed).finish_non_exhaustive()
    }
}

/// The binding that is preferred where there are both (RFC 9266 §3).
pub(super) fn strongest(bindings: &Bindings) -> Option<(&'static str, Vec<u8>)> {
    let named = |name| Some((name, bindings.named(name)?.to_vec()));
    named("tls-exporter").or_else(|| named("tls-server-end-point"))
}

impl Scram {
    pub(super) fn new(hash: Hash, binding: Option<(&'static str, Vec<u8>)>, would_bind: bool) -> Scram {
        let (header, bare, nonce) = Default::default();
        Scram { hash, binding, would_bind, header, bare, nonce, expected: None, signed: false }
    }

    /// `client-first-message`.
    pub(super) fn first(&mut self, authzid: &str, user: &str, nonce: &str) -> String {
        // RFC 5802 §7: gs2-cbind-flag
        let flag = match &self.binding {
            Some((name, _)) => format!("p={name}"),
            None if self.would_bind => "y".to_owned(),
            None => "n".to_owned(),
        };
        let authzid = if authzid.is_empty() { String::new() } else { format!("a={}", escaped(authzid)) };
        self.header = format!("{flag},{authzid},");
        self.bare = format!("n={},r={nonce}", escaped(&prepared(user)));
        nonce.clone_into(&mut self.nonce);
        format!("{}{}", self.header, self.bare)
    }

    /// Answers the server's first message with the proof, and its signature with nothing.
    pub(super) fn answer(&mut self, challenge: &[u8], password: &str) -> Result<Vec<u8>, Error> {
        if self.expected.is_some() {
            self.signed(challenge)?;
            return Ok(Vec::new());
        }
        let server_first = std::str::from_utf8(challenge).map_err(|_| Error::NotUtf8)?;
        let mut attributes = server_first.split(',');
        let mut value = |key| attributes.next().and_then(|text| attribute(text, key)).ok_or(Error::BadMessage);
        let (nonce, salt, iterations) = (value("r")?, value("s")?, value("i")?);
        // RFC 5802 §5: the server's nonce begins with ours and adds to it.
        let added = nonce.strip_prefix(self.nonce.as_str()).ok_or(Error::NotTheServer)?;
        let salt = BASE64_STANDARD.decode(salt).map_err(|_| Error::BadMessage)?;
        let iterations: u32 = iterations.parse().map_err(|_| Error::BadMessage)?;
        let fit = (1..=ITERATIONS_MAX).contains(&iterations) && is_nonce(added) && !salt.is_empty();
        let iterations = NonZeroU32::new(iterations).filter(|_| fit).ok_or(Error::BadMessage)?;
        let mut binding = self.header.clone().into_bytes();
        if let Some((_, data)) = &self.binding {
            binding.extend_from_slice(data);
        }
        let without_proof = format!("c={},r={nonce}", BASE64_STANDARD.encode(binding));
        let auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let salted = Salted::new(self.hash, password, &salt, iterations);
        self.expected = Some(Secret::of_bytes(salted.signature(auth_message.as_bytes())));
        let proof = BASE64_STANDARD.encode(salted.proof(auth_message.as_bytes()));
        Ok(format!("{without_proof},p={proof}").into_bytes())
    }

    /// `server-final-message = "v=" base64 / "e=" reason`.
    pub(super) fn signed(&mut self, message: &[u8]) -> Result<(), Error> {
        let text = std::str::from_utf8(message).map_err(|_| Error::NotUtf8)?;
        let verifier = text.split(',').next().and_then(|text| attribute(text, "v")).ok_or(Error::NotTheServer)?;
        let signature = BASE64_STANDARD.decode(verifier).map_err(|_| Error::BadMessage)?;
        let expected = self.expected.as_ref().ok_or(Error::NotTheServer)?;
        if !constant(&signature, expected.bytes()) {
            return Err(Error::NotTheServer);
        }
        self.signed = true;
        Ok(())
    }

    pub(super) fn is_signed(&self) -> bool {
        self.signed
    }
}

/// A server that asks for more is not served: each million costs half a second of a core.
const ITERATIONS_MAX: u32 = 2_000_000;
