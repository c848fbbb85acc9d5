//! Collecting from accounts that have only POP3: a client session without sockets, what drives it, and one look at a place.
//!
//! Standards: RFC 1939, RFC 2449 (CAPA, PIPELINING), RFC 2595 (STLS), RFC 5034 (AUTH), RFC 7628 and XOAUTH2 (tokens), RFC 8314 (TLS from the first octet).

pub mod collect;
pub mod connection;
pub mod session;

pub use collect::{Done, Limits, collect};
pub use connection::Shown;
