//! Accounts elsewhere: taking one over from any IMAP server, and mirroring one outwards, so that nobody is locked in.
//!
//! - [`Access`] connects and signs in; [`connection`] drives the session of `postroad_imap::client` over a socket.
//! - [`desk`] has the store: the same requests over the administration socket of a running server or within one process.
//! - [`pop3`] collects from accounts that have only that.
//! - [`migrate`] takes an account over; [`mirror`] is the way back. Both go on where they stopped.
//!
//! What passes for proof: BLAKE3 of the octets that the other server sent, written down in the transaction that files the
//! message, compared with that of the octets that the store gives back afterwards.
//!
//! Never here: what mail means, a command line, passwords on a disk.

pub mod connection;
pub mod desk;
mod error;
mod exact;
mod frame;
pub mod login;
pub mod migrate;
pub mod mirror;
pub mod place;
pub mod pop3;
pub mod tls;

pub use error::{Error, Result};
pub use login::{Access, Credential};
pub use place::{Place, Security};
