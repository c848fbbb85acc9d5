//! What both sides of SCRAM share: the keys and the grammar (RFC 5802 §3, §5.1, §7; RFC 7677).

mod grammar;
mod keys;

pub(crate) use grammar::{Gs2Header, attribute, escaped, gs2_header, is_nonce, saslname};
pub use keys::{Hash, Keys, prepared};
pub(crate) use keys::{Salted, constant};

/// What a server tells before a proof: from what the keys of the account are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The account's salt.
    pub salt: Vec<u8>,
    /// How often the hash is done.
    pub iterations: u32,
    /// The server's part of the nonce: fresh, of printable characters without a comma ([`Offer::nonce`]).
    pub nonce: String,
}

impl Offer {
    /// A nonce of random octets.
    pub fn nonce(random: &[u8]) -> String {
        use base64::Engine;
        base64::prelude::BASE64_STANDARD_NO_PAD.encode(random)
    }
}

/// What a client shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// With which hash.
    pub hash: Hash,
    /// All that was said (RFC 5802 §3, AuthMessage).
    pub auth_message: Vec<u8>,
    /// ClientProof, as long as the hash.
    pub proof: Vec<u8>,
}
