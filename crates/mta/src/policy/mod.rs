//! What each stage is answered: pure functions over facts. No store, no clock, no waiting.
//!
//! No open relay by construction: a recipient that is not ours is accepted in one place only
//! ([`rcpt::decide`]), and there an authenticated sender is required.

pub mod connect;
pub mod mail;
pub mod rcpt;
