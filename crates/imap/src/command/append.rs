//! APPEND (RFC 9051 §6.3.12): what stands before the message.

use crate::command::Tag;
use crate::date::DateTime;
use crate::flags::Flag;
use crate::mailbox::MailboxName;

/// An APPEND up to its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The client's name for the command.
    pub tag: Tag,
    /// Where to.
    pub mailbox: MailboxName,
    /// The flags to set.
    pub flags: Vec<Flag>,
    /// The internal date, if given.
    pub date: Option<DateTime>,
}
