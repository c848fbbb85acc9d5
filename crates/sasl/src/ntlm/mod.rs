//! NTLM, version 2 alone, both sides ([MS-NLMP]): the messages, what is computed of them, and the proof that somebody knows
//! a password.
//!
//! It never takes a response of version 1 or of LM, an anonymous one, or one whose integrity code is missing where the
//! client says that there is one; and it signs and seals nothing afterwards ([MS-SMTPNTLM] §1.3: authentication alone).
//!
//! Whoever has the hash of a password ([`NtHash`]) can sign in with it as with the password, and it is quick to guess
//! against. NTLM is for clients that have nothing else, under TLS, and off until it is switched on.

mod crypt;
mod message;
mod pairs;
mod proof;

pub use crypt::NtHash;
pub use message::{MESSAGE_LIMIT, Names, challenge};
pub use proof::Proof;

pub(crate) use crypt::{end_point_hash, hmac_md5, rc4, response_key};
pub(crate) use message::{Authenticate, Challenge, Field, Flags, negotiate, utf16};
pub(crate) use pairs::Pairs;
