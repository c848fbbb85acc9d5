//! Entries are removed and restored.

use postroad_store::{AccountId, ModSeq, ReadTx, Timestamp, WriteTx};

use crate::{By, Flags, Keywords, MailboxId, MessageId, Result, UidSet};

/// What [`expunge`] or [`remove`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expunged {
    /// The operation; `None` when there was nothing to remove.
    pub modseq: Option<ModSeq>,
    /// What is gone.
    pub uids: UidSet,
}

/// Removes the entries with `\Deleted`, of `only` these uids (UID EXPUNGE) or all (EXPUNGE).
/// They stay restorable until the retention has passed. Eight statements for any number of entries.
pub fn expunge(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    only: Option<&UidSet>,
) -> Result<Expunged> {
    unimplemented!()
}

/// Removes entries whatever their flags (POP3 QUIT, JMAP).
pub fn remove(tx: &mut WriteTx, by: &By, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Expunged> {
    unimplemented!()
}

/// An entry that was removed and can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The uid it had.
    pub uid: u32,
    /// Its content.
    pub message: MessageId,
    /// The flags it had.
    pub flags: Flags,
    /// The keywords it had.
    pub keywords: Keywords,
    /// Bytes.
    pub size: u64,
    /// When it was removed.
    pub at: Timestamp,
    /// By which operation.
    pub modseq: ModSeq,
}

/// What was removed from a mailbox (also a deleted one) and can be restored, the latest first.
pub fn removed(tx: &ReadTx, account: AccountId, mailbox: MailboxId, limit: usize) -> Result<Vec<Removed>> {
    unimplemented!()
}

/// Puts removed entries back, under new uids, without `\Deleted`, into `to`. Counts against the quota again.
pub fn restore(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    to: MailboxId,
) -> Result<crate::copy::Copied> {
    unimplemented!()
}
