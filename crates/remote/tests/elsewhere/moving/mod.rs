//! Accounts are taken over from real and from odd servers, and mirrored to them.

mod broken;
mod fake;
mod gmail;
mod labels;
mod nul;
mod odd;
mod round;
mod utf8;
mod world;
