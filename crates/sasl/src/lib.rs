//! SASL (RFC 4422) as challenge/response machines, both sides, over the base64 lines that SMTP
//! (RFC 4954), IMAP (RFC 9051 §6.2.2), POP3 (RFC 5034) and ManageSieve share.
//!
//! A server machine never verifies anything: it ends in a [`Check`] which its caller has verified
//! against the accounts. Mechanisms are rows of [`MECHANISMS`]; a new one is a row and a file.
//! Standards: RFC 4422, RFC 4616 (PLAIN), [MS-XLOGIN] (LOGIN).

mod client;
mod error;
mod exchange;
mod login;
mod mechanism;
mod plain;
mod secret;

pub use client::Client;
pub use error::Error;
pub use exchange::{Check, Exchange, LINE_LIMIT, Turn};
pub use mechanism::{MECHANISMS, Mechanism, find};
pub use secret::{Secret, wipe};
