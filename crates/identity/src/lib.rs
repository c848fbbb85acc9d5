//! Who may do what without showing a password each time: OAuth clients, grants and their tokens, devices that ask to be
//! let in, sessions of the web pages, the second step of logging in to them and passkeys, the keys that sign who somebody is,
//! and the news that something was cut off.
//!
//! Synchronous functions over a transaction. What is never here: HTTP, pages, passwords (those are `mail`'s), a clock.
//! Nothing that lets somebody in is kept: hashes of it are.
//!
//! Invariants:
//! 1. A code gives tokens once, to the client that it was made for, with the redirect URI and the PKCE verifier it was
//!    made with. Shown again, it takes away what it gave.
//! 2. A refresh token is good once. One that was replaced takes its grant away, but for the moment in which an answer
//!    may have been lost.
//! 3. What is cut off is gone in the same transaction, and told to all nodes by its COMMIT ([`cuts`]).
//! 4. What a device may do, the person who typed its code has said; nobody else can.
//!
//! Standards: RFC 6749, 7009, 7636, 7662, 8252, 8628, 9700; OpenID Connect Core 1.0; RFC 7515, 7517, 7519; RFC 4226, 6238; WebAuthn
//! level 2.

pub mod clients;
pub mod codes;
pub mod cuts;
pub mod devices;
pub mod grants;
pub mod held;
pub mod passkeys;
mod pkce;
pub mod redirect;
mod schema;
mod scope;
pub mod second;
mod secret;
pub mod sessions;
pub mod signing;
pub mod sweep;
pub mod tokens;
pub mod totp;
pub mod webauthn;

pub use pkce::Challenge;
pub use postroad_mail::Error;
pub use schema::MIGRATIONS;
pub use scope::{Scope, Scopes};
pub use secret::{Bearing, Kind};

/// The result of everything here: what can go wrong is what can go wrong with accounts.
pub type Result<T, E = Error> = std::result::Result<T, E>;
