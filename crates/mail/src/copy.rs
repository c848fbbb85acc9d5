//! Entries are copied and moved: the same messages, other places.

use postroad_store::{AccountId, ModSeq, WriteTx};

use crate::{By, MailboxId, Result, UidSet};

/// What [`copy`] or [`move_to`] did (RFC 4315 COPYUID: the n-th source uid became the n-th target uid).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The operation; `None` when none of the entries exists.
    pub modseq: Option<ModSeq>,
    /// The target's uidvalidity.
    pub uidvalidity: u32,
    /// The entries that existed.
    pub source: UidSet,
    /// Their new uids, as many, in the same order.
    pub target: UidSet,
}

/// Copies entries into a mailbox of the same account (which may be the same mailbox) with their flags.
/// Costs nothing of the quota. Six statements for any number of entries, one or two more for keywords.
pub fn copy(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    from: MailboxId,
    uids: &UidSet,
    to: MailboxId,
) -> Result<Copied> {
    unimplemented!()
}

/// Moves entries (RFC 6851): in one operation they are in `to` and gone from `from`.
/// Nine statements for any number of entries, one or two more for keywords.
pub fn move_to(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    from: MailboxId,
    uids: &UidSet,
    to: MailboxId,
) -> Result<Copied> {
    unimplemented!()
}
