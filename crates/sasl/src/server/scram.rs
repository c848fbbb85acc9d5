//! SCRAM, server side (RFC 5802 §5, RFC 7677), with and without channel binding.
//!
//! Transitions: first message -> ask for the keys -> challenge -> final message -> ask whether the proof is right ->
//! the server's signature -> an empty response. Nothing on the way depends on whether there is such an account.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_protocol::Bindings;
use subtle::ConstantTimeEq;

use super::{Machine, Move, Moved};
use crate::exchange::Channel;
use crate::mechanism::Needs;
use crate::scram::{Gs2Header, Hash, Offer, Proof, attribute, gs2_header, is_nonce, saslname};
use crate::{Error, Evidence};

pub(crate) struct Scram {
    hash: Hash,
    plus: bool,
    bindings: Bindings,
    /// The client was told that it could bind itself to the connection.
    plus_offered: bool,
    state: State,
}

enum State {
    /// The client's first message is due.
    First,
    /// The keys are asked for.
    Keys(Box<First>),
    /// The client's final message is due.
    Final { first: Box<First>, server_first: String },
    /// The proof is being verified.
    Verdict,
    /// The client has the signature and acknowledges it.
    Last,
    /// Nothing more is due.
    Over,
}

/// The client's first message.
struct First {
    /// What `c=` of the final message has to be.
    binding: Vec<u8>,
    bare: String,
    name: String,
    authzid: Option<String>,
    nonce: String,
}

impl Scram {
    pub(crate) fn new(hash: Hash, plus: bool, channel: Channel<'_>) -> Scram {
        Scram {
            hash,
            plus,
            bindings: channel.tls.map(|tls| tls.bindings.clone()).unwrap_or_default(),
            plus_offered: channel.offered.iter().any(|row| row.needs == Needs::Binding),
            state: State::First,
        }
    }

    /// `client-first-message = gs2-header [ "m=" .. "," ] "n=" username ",r=" c-nonce [ "," extensions ]`.
    fn first(&mut self, message: &str) -> Moved {
        let (header, bare) = gs2_header(message)?;
        let binding = self.bound(&header)?;
        let mut attributes = bare.split(',');
        // RFC 5802 §5.1: "m" is a mandatory extension, and there is none that we know.
        let name = attributes.next().and_then(|text| attribute(text, "n")).ok_or(Error::BadMessage)?;
        let nonce = attributes.next().and_then(|text| attribute(text, "r")).ok_or(Error::BadMessage)?;
        let name = saslname(name).filter(|name| !name.is_empty()).ok_or(Error::BadMessage)?;
        if !is_nonce(nonce) {
            return Err(Error::BadMessage);
        }
        let authzid = header.authzid.filter(|authzid| *authzid != name);
        let (bare, nonce) = (bare.to_owned(), nonce.to_owned());
        let ask =
            Move::Ask { authzid: authzid.clone(), authcid: name.clone(), evidence: Evidence::ScramKeys(self.hash) };
        self.state = State::Keys(Box::new(First { binding, bare, name, authzid, nonce }));
        Ok(ask)
    }

    /// The binding's data behind the header that announces it (RFC 5802 §5.1, "c").
    fn bound(&self, header: &Gs2Header<'_>) -> Result<Vec<u8>, Error> {
        let mut binding = header.raw.as_bytes().to_vec();
        match (self.plus, header.binding) {
            (true, Some(name)) => {
                binding.extend_from_slice(self.bindings.named(name).ok_or(Error::BadBinding)?);
                Ok(binding)
            }
            // RFC 5802 §6: the client would bind itself, and thinks that we cannot: somebody took -PLUS out of the list.
            (false, None) if header.would_bind && self.plus_offered => Err(Error::BadBinding),
            (false, None) => Ok(binding),
            (true, None) | (false, Some(_)) => Err(Error::BadBinding),
        }
    }

    /// `client-final-message = "c=" base64 ",r=" nonce [ "," extensions ] ",p=" base64`.
    fn last(&mut self, message: &str, first: First, server_first: &str) -> Moved {
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Error::BadMessage)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|text| attribute(text, "c")).ok_or(Error::BadMessage)?;
        let nonce = attributes.next().and_then(|text| attribute(text, "r")).ok_or(Error::BadMessage)?;
        let binding = BASE64_STANDARD.decode(binding).map_err(|_| Error::BadMessage)?;
        let proof = BASE64_STANDARD.decode(proof).map_err(|_| Error::BadMessage)?;
        let expected = server_first.split(',').next().and_then(|text| attribute(text, "r"));
        if expected != Some(nonce) || proof.len() != self.hash.length() {
            return Err(Error::BadMessage);
        }
        if !bool::from(binding.ct_eq(&first.binding)) {
            return Err(Error::BadBinding);
        }
        self.state = State::Verdict;
        let auth_message = format!("{},{server_first},{without_proof}", first.bare).into_bytes();
        let evidence = Evidence::ScramProof(Proof { hash: self.hash, auth_message, proof });
        Ok(Move::Ask { authzid: first.authzid, authcid: first.name, evidence })
    }
}

impl Machine for Scram {
    fn begin(&mut self, initial: Option<&[u8]>) -> Moved {
        match initial {
            Some(message) => self.respond(message),
            None => Ok(Move::Challenge(Vec::new())),
        }
    }

    fn respond(&mut self, response: &[u8]) -> Moved {
        if response.len() > MESSAGE_LIMIT {
            return Err(Error::TooLong);
        }
        let message = std::str::from_utf8(response).map_err(|_| Error::NotUtf8)?;
        if message.contains('\0') {
            return Err(Error::BadMessage);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => self.first(message),
            State::Final { first, server_first } => self.last(message, *first, &server_first),
            State::Last if message.is_empty() => Ok(Move::Over),
            State::Last | State::Keys(_) | State::Verdict | State::Over => Err(Error::BadMessage),
        }
    }

    fn offered(&mut self, offer: &Offer) -> Moved {
        let State::Keys(first) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Error::BadMessage);
        };
        // RFC 5802 §5.1: the server's part of the nonce behind the client's.
        let (salt, iterations) = (BASE64_STANDARD.encode(&offer.salt), offer.iterations);
        let server_first = format!("r={}{},s={salt},i={iterations}", first.nonce, offer.nonce);
        let challenge = server_first.clone().into_bytes();
        self.state = State::Final { first, server_first };
        Ok(Move::Challenge(challenge))
    }

    fn granted(&mut self, last: Vec<u8>) -> Moved {
        self.state = State::Last;
        Ok(Move::Challenge(format!("v={}", BASE64_STANDARD.encode(last)).into_bytes()))
    }
}

/// Longest message: names, nonces and proofs have far less.
const MESSAGE_LIMIT: usize = 4_096;
