//! Accounts are taken over from real and from odd servers, and mirrored to them.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod broken;
mod dovecot;
mod fake;
mod gmail;
mod odd;
mod round;
mod world;
