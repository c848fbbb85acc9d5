//! The Authenticated Received Chain: what those who forwarded a message say about it, and our own seal.
//!
//! Same shape as [`crate::dkim`]: a [`Verifier`] from the header block, hashes from the stream, a [`Check`] that asks for keys.
//! Whom to believe is decided elsewhere. Standards: RFC 8617.

use crate::ask::{Failure, Machine, Records, Step};
use crate::body::{Digest, Digests, Hashers};
use crate::dkim;
use crate::key::{Error, SigningKey};

/// `cv=` (RFC 8617 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validation {
    /// No chain.
    None,
    /// Every seal and the newest message signature hold.
    Pass,
    /// The chain is broken, or could not be looked at.
    Fail,
}

impl Validation {
    /// The word in `cv=` and in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Validation::None => "none",
            Validation::Pass => "pass",
            Validation::Fail => "fail",
        }
    }
}

/// One hop that sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// `i=`, from 1.
    pub instance: u8,
    /// `d=` of the seal, lower case, A-labels.
    pub domain: String,
    /// `s=` of the seal.
    pub selector: String,
    /// `d=` of the message signature.
    pub signer: String,
    /// What ARC-Authentication-Results says after `i=N;`: authserv-id and results, raw and folded as they stand.
    pub results: Vec<u8>,
    /// `cv=` of the seal.
    pub cv: Validation,
    /// What became of the message signature; only the newest one, and older ones whose key was asked for anyway, are looked at.
    pub signature: Option<dkim::Status>,
}

/// What is known of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The chain as a whole.
    pub cv: Validation,
    /// The next look may end otherwise: a key could not be asked for now.
    pub temporary: bool,
    /// The hops from the first; empty if there is no chain or its structure is broken.
    pub sets: Vec<Set>,
    /// `arc.oldest-pass` (RFC 8617 §5.2, §10.1): the lowest instance whose message signature still holds; 0: all.
    pub oldest_pass: Option<u8>,
    /// The reason in words.
    pub why: String,
}

/// The chain of a message whose body streams.
#[derive(Debug)]
pub struct Verifier {}

impl Verifier {
    /// Looks at the header block and asks `body` for the hashes that the chain needs.
    pub fn new(_header: &[u8], _now: i64, _limits: &dkim::Limits, _body: &mut Hashers) -> Verifier {
        unimplemented!()
    }

    /// The body has ended.
    pub fn finish(self, _body: &Digests) -> Check {
        unimplemented!()
    }
}

/// Asks for the keys, each once, all in one step.
#[derive(Debug)]
pub struct Check {}

impl Machine for Check {
    type Verdict = Verdict;

    fn step(&mut self) -> Step<Verdict> {
        unimplemented!()
    }

    fn answer(&mut self, _answer: Result<Records, Failure>) {
        unimplemented!()
    }
}

/// What a seal of ours says.
#[derive(Debug, Clone)]
pub struct Sealing<'a> {
    /// `d=`, in A-labels.
    pub domain: &'a str,
    /// `s=`
    pub selector: &'a str,
    /// `t=`, seconds since 1970.
    pub now: i64,
    /// What our Authentication-Results says: authserv-id, `;`, results. Folded or not, without the name of the field.
    pub results: &'a str,
    /// What [`Check`] said about the chain as it came in.
    pub cv: Validation,
}

/// The three fields of the next instance, `ARC-Seal` first, folded, each ended by CRLF, to be put before the header. `None`: nobody
/// may seal this (RFC 8617 §5.1: a chain that was sealed as failed, or one of [`INSTANCES`]). `body`: relaxed, no length, of what is
/// sent on.
pub fn seal(
    _key: &SigningKey,
    _sealing: &Sealing<'_>,
    _header: &[u8],
    _body: &Digest,
) -> Result<Option<String>, Error> {
    unimplemented!()
}

/// The highest instance (RFC 8617 §4.2.1).
pub const INSTANCES: u8 = 50;
