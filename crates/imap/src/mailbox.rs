//! Mailbox names and special uses.

use std::fmt;

/// The hierarchy separator of every namespace.
pub const SEPARATOR: char = '/';

/// A mailbox name in UTF-8: not empty, no control characters; `INBOX` in capitals, whether it is the
/// whole name or its first level (RFC 9051 §5.1). A trailing separator is kept: CREATE means something by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(pub(crate) String);

/// Why bytes are not a mailbox name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// It is empty.
    Empty,
    /// Octets that are neither UTF-8 nor modified UTF-7.
    NotText,
    /// A control character (RFC 9051 §5.1: Net-Unicode without them).
    Control,
}

impl MailboxName {
    /// The name of everyone's first mailbox.
    pub fn inbox() -> MailboxName {
        MailboxName("INBOX".to_owned())
    }
    /// From the bytes of a command; `utf8` as in [`crate::Syntax`].
    pub fn from_wire(_bytes: &[u8], _utf8: bool) -> Result<MailboxName, NameError> {
        unimplemented!()
    }
    /// From text, as the database holds it.
    pub fn from_text(_name: &str) -> Result<MailboxName, NameError> {
        unimplemented!()
    }
    /// As text, the form the database holds.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Without separators at its end; Thunderbird and others send `folder/`.
    pub fn without_trailing_separator(&self) -> MailboxName {
        unimplemented!()
    }
    /// Whether it is INBOX.
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a mailbox is for (RFC 6154 §2, RFC 8457).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// `\All`.
    All,
    /// `\Archive`.
    Archive,
    /// `\Drafts`.
    Drafts,
    /// `\Flagged`.
    Flagged,
    /// `\Junk`.
    Junk,
    /// `\Sent`.
    Sent,
    /// `\Trash`.
    Trash,
    /// `\Important`.
    Important,
}

impl SpecialUse {
    /// The attribute as it is written, with its backslash.
    pub fn as_str(self) -> &'static str {
        match self {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
            SpecialUse::Important => "\\Important",
        }
    }
}
