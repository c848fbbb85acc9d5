//! Body hashes of one message, computed while it streams: each way of hashing once, however many signatures ask for it.
//!
//! Never keeps the body. Standards: RFC 6376 §3.4.3, §3.4.4, §3.4.5, §3.7; RFC 8301 (SHA-256 alone).

/// How a header field or a body is brought into one form before it is hashed (RFC 6376 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Canonicalization {
    /// As it is.
    Simple,
    /// White space does not count.
    Relaxed,
}

/// The SHA-256 of a body in one canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// The hash.
    pub sha256: [u8; 32],
    /// Octets that went into the hash.
    pub hashed: u64,
    /// Octets of the whole body in this form, those after a length limit included.
    pub total: u64,
}

/// All the ways in which the body of one message is to be hashed. Ask with [`Hashers::want`], feed, then [`Hashers::finish`].
#[derive(Debug)]
pub struct Hashers {}

/// What [`Hashers::finish`] gives.
#[derive(Debug, Clone, Default)]
pub struct Digests {}

impl Hashers {
    /// Nothing is asked for yet; hashing nothing costs nothing.
    pub fn new() -> Hashers {
        unimplemented!()
    }

    /// Asks for one more way, before the first [`Hashers::update`]: `length` is the `l=` of a signature, in octets of the canonical
    /// body. `false` if there are too many ways ([`HASHERS`]).
    pub fn want(&mut self, _canonicalization: Canonicalization, _length: Option<u64>) -> bool {
        unimplemented!()
    }

    /// The next octets of the body as it is on the wire (dot-unstuffed), in pieces of any size.
    pub fn update(&mut self, _bytes: &[u8]) {
        unimplemented!()
    }

    /// The end of the message.
    pub fn finish(self) -> Digests {
        unimplemented!()
    }
}

impl Digests {
    /// The hash that was asked for in this way; `None` if nobody did.
    pub fn get(&self, _canonicalization: Canonicalization, _length: Option<u64>) -> Option<Digest> {
        unimplemented!()
    }
}
