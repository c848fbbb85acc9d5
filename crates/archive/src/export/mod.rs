//! Mail from an account into files.
//!
//! [`serve`] has the store, [`write()`] has the folder and its rights; between them flow frames ([`crate::wire`]).
//!
//! A Maildir is brought up to date: a message that is in it is not written again, only its flags are set. What was
//! removed from the account stays in the Maildir. An mbox is written once, under a name of its own until it is whole.
//!
//! Bytes come out as they went in: what has CRLF throughout is written with LF, unless it was brought by an import of
//! a file with CRLF; what has a bare LF somewhere is written as it is.

pub(crate) mod place;
mod serve;
mod write;

use serde::{Deserialize, Serialize};

pub use serve::serve;
pub use write::{Newline, Report, write};
pub(crate) use write::{Outgoing, Target};

/// What to export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// These mailboxes by name; none for all.
    pub mailboxes: Vec<String>,
    /// Only messages received since then, in microseconds.
    pub since: Option<i64>,
}

/// A mailbox is announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announced {
    pub(crate) name: String,
    pub(crate) uidvalidity: u32,
    pub(crate) messages: u32,
}

/// What the other side has of it.
#[derive(Debug, Serialize, Deserialize)]
struct Have {
    /// A set of uids, as IMAP writes it.
    uids: String,
    /// Nothing of this mailbox is wanted.
    skip: bool,
}

/// What is known of a message besides its bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) uid: u32,
    pub(crate) flags: i64,
    pub(crate) keywords: Vec<String>,
    pub(crate) received: i64,
    /// It came from a file with CRLF.
    pub(crate) was_crlf: bool,
    /// Of a large message: somewhere a line ends with LF alone.
    pub(crate) bare_lf: bool,
    /// Of a large message: how many bytes come.
    pub(crate) size: u64,
}

/// What the side with the store says.
#[derive(Debug, Serialize, Deserialize)]
enum Event {
    /// So many messages will come or are there already.
    Coming { messages: u64 },
    /// Flags of a message that the other side has.
    Marks(Meta),
    /// A message or mailbox that cannot be given.
    Damaged { label: String, why: String },
    /// The export ends here.
    Failed { why: String },
}
