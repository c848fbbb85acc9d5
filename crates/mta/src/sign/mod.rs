//! Signing what leaves: the keys in memory, whose they are, and the fields that come before a message.
//!
//! Everything is signed when it is taken in or written, once: the local copy and all attempts carry the same signatures.
//! [`Signers`] keeps the keys of the domains that send, and reads them again when they have changed anywhere.
//!
//! For whom it signs is decided here too ([`authors`]): with the key of the domain in From where the login owns that
//! address, else with that of whoever answers for the message (Sender, Resent-From, the login itself). A login never
//! gets the signature of a domain that is not its own.
//!
//! Standards: RFC 6376, RFC 8463 (RSA first, then Ed25519), RFC 8617 (seals).

mod keys;

pub use keys::{Identity, Signers};
