//! Accounts elsewhere: taken over from real and from odd servers and mirrored to them by IMAP, collected from by POP3.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod account;
mod collecting;
mod moving;
