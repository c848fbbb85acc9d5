//! Mail kept in files: reading and writing Maildir, mbox and folders of .eml, and the format of backups.
//!
//! - [`source`] finds folders of mail below a path and reads their messages: [`maildir`], [`mbox`], [`eml`].
//! - [`import`] takes them into an account: one side reads files with the rights of whoever asks, the other one writes
//!   to the store; between them flows [`wire`], over a socket or within one process, always the same.
//! - [`export`] is the way back.
//!
//! Never here: a clock (`now` comes in), the command line, the administration socket.
//!
//! Standards: RFC 4155 (mbox, and what of it is really written), Maildir and Maildir++ as their authors describe them.

pub mod backup;
pub mod eml;
pub mod export;
pub mod folder;
pub mod import;
pub mod maildir;
pub mod marks;
pub mod mbox;
pub mod newline;
pub mod source;
pub mod wire;

mod error;

pub use error::{Error, Result};
