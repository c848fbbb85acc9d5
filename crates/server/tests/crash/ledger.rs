//! What the clients know: what they tried, and what they were promised.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// All promises so far.
#[derive(Default)]
pub(crate) struct Ledger {
    inside: Mutex<Inside>,
}

#[derive(Default)]
pub(crate) struct Inside {
    /// By Message-ID.
    pub(crate) messages: BTreeMap<String, Message>,
    /// By Message-ID.
    pub(crate) appends: BTreeMap<String, Append>,
    pub(crate) copies: Vec<Copy>,
}

/// A message handed to SMTP or LMTP.
pub(crate) struct Message {
    /// Indexes of accounts.
    pub(crate) recipients: Vec<usize>,
    pub(crate) body: usize,
    /// The recipients that were answered 250.
    pub(crate) acknowledged: Vec<usize>,
}

/// A message appended to Drafts.
pub(crate) struct Append {
    pub(crate) account: usize,
    /// What APPENDUID promised.
    pub(crate) promised: Option<Uid>,
}

/// What COPYUID promised: a message of INBOX is also in Archive.
pub(crate) struct Copy {
    pub(crate) account: usize,
    pub(crate) source: u32,
    pub(crate) target: Uid,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uid {
    pub(crate) uidvalidity: u32,
    pub(crate) uid: u32,
}

impl Ledger {
    /// A client that panicked must not hide why from the others.
    pub(crate) fn open(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How much was tried and promised.
    pub(crate) fn count(&self) -> Count {
        let inside = self.open();
        Count {
            messages: inside.messages.len(),
            acknowledged: inside.messages.values().filter(|message| !message.acknowledged.is_empty()).count(),
            appends: inside.appends.values().filter(|append| append.promised.is_some()).count(),
            copies: inside.copies.len(),
        }
    }
}

/// How much was tried and promised.
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) messages: usize,
    pub(crate) acknowledged: usize,
    pub(crate) appends: usize,
    pub(crate) copies: usize,
}

/// The bytes of a message behind its header: they follow from its id, so that they can be checked.
pub(crate) fn body(id: &str, size: usize) -> String {
    let line = format!("{id} says this line of its body\r\n");
    line.repeat(size.div_ceil(line.len()))
}
