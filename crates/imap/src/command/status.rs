//! STATUS (RFC 9051 §6.3.11; RFC 7162, RFC 8438, RFC 8474).

/// One thing to tell about a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusItem {
    /// `MESSAGES`.
    Messages,
    /// `RECENT` (RFC 3501).
    Recent,
    /// `UIDNEXT`.
    UidNext,
    /// `UIDVALIDITY`.
    UidValidity,
    /// `UNSEEN`.
    Unseen,
    /// `DELETED`.
    Deleted,
    /// `SIZE`.
    Size,
    /// `HIGHESTMODSEQ`: also a CONDSTORE-enabling command.
    HighestModSeq,
    /// `MAILBOXID`.
    MailboxId,
    /// `DELETED-STORAGE` (RFC 9208).
    DeletedStorage,
}
