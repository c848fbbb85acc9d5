//! What happened in a mailbox since a session last looked: the one function behind IMAP's untagged
//! responses, QRESYNC and JMAP.

use postroad_store::{AccountId, ModSeq, ReadTx};

use crate::{Entry, Mailbox, MailboxId, Result, UidSet};

/// How far a session has seen a mailbox: all operations below `modseq`, and of `modseq` itself the
/// entries up to `uid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The operation.
    pub modseq: ModSeq,
    /// Up to this uid.
    pub uid: u32,
}

impl Mark {
    /// Everything up to `modseq`, that operation included.
    pub fn at(modseq: ModSeq) -> Mark {
        Mark { modseq, uid: u32::MAX }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The mailbox as it is now; `None`: it was deleted (or became a placeholder). A rename changes its name.
    pub mailbox: Option<Mailbox>,
    /// Look from here the next time.
    pub mark: Mark,
    /// Entries that are gone. May name uids that the session never knew (RFC 7162 §3.2.10 allows it).
    pub vanished: UidSet,
    /// Entries that are new or whose flags changed (`Want::Flags`), by uid. New to a session are those at
    /// or above the uidnext it knew.
    pub changed: Vec<Entry>,
    /// There is more: ask again from `mark`.
    pub more: bool,
}

/// What happened in `mailbox` since `mark`, at most `limit` changed entries at a time. One statement when
/// nothing happened, three otherwise.
pub fn changes_since(tx: &ReadTx, account: AccountId, mailbox: MailboxId, mark: Mark, limit: usize) -> Result<Changes> {
    unimplemented!()
}
