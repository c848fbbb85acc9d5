//! The journal: each operation of an account in one row, in the order of its modseqs.

use postroad_store::{AccountId, ModSeq, ReadTx, Timestamp};

use crate::{MailboxId, Result, UidSet};

/// What an operation was. On disk by [`Operation::name`]: names are never reused for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The account itself: made, suspended, quota, name.
    Account,
    /// A credential was set or removed.
    Credential,
    /// A mailbox was made.
    Create,
    /// A mailbox was deleted.
    Delete,
    /// A mailbox was renamed.
    Rename,
    /// A mailbox's role changed.
    Role,
    /// A name was subscribed or unsubscribed.
    Subscription,
    /// A message came in.
    Append,
    /// Flags changed.
    Flags,
    /// Entries were copied.
    Copy,
    /// Entries were moved.
    Move,
    /// Entries were removed.
    Expunge,
    /// Removed entries were put back.
    Restore,
}

/// A row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub modseq: ModSeq,
    /// When.
    pub at: Timestamp,
    /// Who: `Actor`'s text.
    pub actor: String,
    /// What.
    pub operation: Operation,
    /// In which mailbox (the source of a copy or move).
    pub mailbox: Option<MailboxId>,
    /// Into which mailbox.
    pub other: Option<MailboxId>,
    /// The entries concerned, by their uids in `mailbox` (of an append: the new one).
    pub uids: UidSet,
    /// The new uids in `other`.
    pub other_uids: UidSet,
    /// What was before, enough to take it back; the operation's own text form.
    pub before: Vec<u8>,
}

/// The operations of an account after `since`, oldest first. One statement.
pub fn changes(tx: &ReadTx, account: AccountId, since: ModSeq, limit: usize) -> Result<Vec<Record>> {
    unimplemented!()
}
