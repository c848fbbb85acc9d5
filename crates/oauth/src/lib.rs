//! Tokens of other providers of OAuth 2.0, with which this server signs in elsewhere.
//!
//! - [`Service`] says where a provider is: by a preset's name, or by its issuer, which is asked ([`Service::discover`]).
//! - [`device`] gets the first token with somebody's consent, on whatever device has a browser (RFC 8628).
//! - [`Tokens`] gives the access token that is good now, and renews it: one at a time of all nodes, before it ends, and a
//!   refresh token that rotates is sealed and kept before the new access token is used.
//!
//! Never here: a secret in a log, in an error or unsealed in the database; a certificate that does not convince; a redirect.
//!
//! Standards: RFC 6749 (§4.4, §5, §6), RFC 8628, RFC 8414.

pub mod device;
mod error;
mod http;
mod service;
mod tokens;

pub use error::{Error, Result};
pub use http::Http;
pub use service::Service;
pub use tokens::{Granted, Token, Tokens, ask, refreshed, store};
