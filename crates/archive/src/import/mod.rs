//! Mail from files into an account.
//!
//! [`send`] reads a [`Source`](crate::source::Source) with the rights of whoever asks; [`receive`] has the store.
//! Between them flow frames ([`crate::wire`]), over the administration socket or within one process.
//!
//! Promises, whenever either side is killed:
//! 1. A message is filed whole, with flags, keywords and date, or not at all: batches are transactions.
//! 2. In the same transaction its source is remembered: a hash of its bytes (as they are stored) and of how many equal
//!    ones came before it in the same folder; and of the folder's name, where two folders go to one mailbox. The next import of the same files finds it and does not file it again,
//!    wherever it was moved to since and whatever its flags are now.
//! 3. What was reported as taken is on disk.
//!
//! With [`Options::prove`] the source is read once more and every message compared with what is stored of it ([`proof`]).
//!
//! What does not follow: flags that changed in the files since, and messages that were removed from the files.

mod batch;
mod places;
mod proof;
mod receive;
mod send;

use serde::{Deserialize, Serialize};

pub use proof::hash_of;
pub use receive::receive;
pub use send::{PROBLEMS_MAX, Report, send};

use crate::source::Problem;

/// How to import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Everything goes to this mailbox and below it.
    pub into: Option<String>,
    /// `Sent Items` stays `Sent Items`, also when the account's mailbox for sent mail has another name.
    pub keep_names: bool,
    /// The account may become fuller than its quota.
    pub ignore_quota: bool,
    /// What an earlier import brought and is gone from its mailbox since comes again.
    pub again: bool,
    /// Nothing is written.
    pub dry_run: bool,
    /// Nothing is taken: what the source has is compared with what is stored of it, octet for octet.
    #[serde(default)]
    pub prove: bool,
}

impl Options {
    /// Whether mailboxes and messages are made.
    fn writes(&self) -> bool {
        !self.dry_run && !self.prove
    }
}

/// A folder is announced.
#[derive(Debug, Serialize, Deserialize)]
struct Announced {
    levels: Vec<String>,
    /// Not to be put into the account's mailbox for the same: another folder is for that too.
    keep_name: bool,
}

/// What is known of a message besides its bytes.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Meta {
    /// Where it is.
    label: String,
    /// Bits of its flags.
    #[serde(default, skip_serializing_if = "is_zero")]
    flags: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keywords: Vec<String>,
    /// Microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    received: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    prefer_header_date: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    was_crlf: bool,
    /// Of a large message: all lines end with LF, or all with CRLF.
    #[serde(default, skip_serializing_if = "is_false")]
    lf: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    crlf: bool,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What the side with the store says.
#[derive(Debug, Serialize, Deserialize)]
enum Event {
    /// A folder goes to this mailbox.
    Folder { folder: String, mailbox: String, new: bool },
    /// These are on disk; these were there already.
    Taken { messages: u64, known: u64, bytes: u64 },
    /// These are stored as the source has them; these their owner has removed since.
    Proved { equal: u64, removed: u64 },
    /// A message was not taken, or is not as the source has it.
    Refused { label: String, why: String },
    /// The import ends here.
    Failed { why: String },
    /// All is done.
    Done,
}

impl From<Problem> for Event {
    fn from(problem: Problem) -> Event {
        Event::Refused { label: problem.label, why: problem.why }
    }
}
