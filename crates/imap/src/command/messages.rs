//! STORE, COPY, MOVE, EXPUNGE (RFC 9051 §6.4.3, §6.4.6-6.4.9; RFC 7162 §3.1.3).

use crate::flags::Flag;
use crate::mailbox::MailboxName;
use crate::set::{MessageSet, Numbering};

/// STORE or UID STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// What the numbers of `set` are.
    pub numbering: Numbering,
    /// To which messages.
    pub set: MessageSet,
    /// `UNCHANGEDSINCE n`.
    pub unchanged_since: Option<u64>,
    /// What to do with the flags.
    pub action: StoreAction,
    /// `.SILENT`: do not tell the new flags.
    pub silent: bool,
    /// The flags, without doubles.
    pub flags: Vec<Flag>,
}

/// What STORE does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`.
    Replace,
    /// `+FLAGS`.
    Add,
    /// `-FLAGS`.
    Remove,
}

/// COPY or MOVE, by sequence number or UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What the numbers of `set` are.
    pub numbering: Numbering,
    /// Which messages.
    pub set: MessageSet,
    /// Where to.
    pub mailbox: MailboxName,
}
