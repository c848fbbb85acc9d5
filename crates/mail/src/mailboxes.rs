//! Mailboxes of an account: find, list, create, delete, rename, subscribe.
//!
//! Names are full paths. A name that was deleted while others lie below it stays as a placeholder that
//! cannot be selected (RFC 9051 §6.3.5) and goes with the last name below it.

use postroad_store::{AccountId, ModSeq, ReadTx, WriteTx};

use crate::{By, MailboxId, MailboxName, Result, Role};

/// Most mailboxes of an account, placeholders included.
pub const MAX_MAILBOXES: usize = 5_000;
/// Most subscriptions of an account.
pub const MAX_SUBSCRIPTIONS: usize = 10_000;

/// A mailbox's own row: everything that SELECT, STATUS and JMAP show of it, kept and never counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its id, also its object id.
    pub id: MailboxId,
    /// Its full name.
    pub name: MailboxName,
    /// What it is for.
    pub role: Option<Role>,
    /// False for a placeholder (`\Noselect`).
    pub selectable: bool,
    /// Never given twice in the account.
    pub uidvalidity: u32,
    /// The next uid to be given.
    pub uidnext: u32,
    /// Entries from this uid on have not been announced to any session: `\Recent`.
    pub first_recent: u32,
    /// The last operation that touched its entries (RFC 7162 HIGHESTMODSEQ); at least 1.
    pub highest_modseq: ModSeq,
    /// Entries.
    pub messages: u32,
    /// Entries without `\Seen`.
    pub unseen: u32,
    /// Entries with `\Deleted`.
    pub deleted: u32,
    /// Sum of the entries' sizes in bytes (RFC 8438).
    pub size: u64,
    /// The operation that made it.
    pub created: ModSeq,
}

impl Mailbox {
    /// Entries that are recent, by uid: an upper bound (RFC 3501 §2.3.2), exact without gaps.
    pub fn has_recent(&self) -> bool {
        self.first_recent < self.uidnext
    }
}

/// A line of LIST: a mailbox, a placeholder, or a subscription to a name that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The full name.
    pub name: MailboxName,
    /// The row; `None` for a subscription to a name that does not exist (`\NonExistent`).
    pub mailbox: Option<Mailbox>,
    /// Whether it is subscribed.
    pub subscribed: bool,
    /// Whether there are mailboxes below it.
    pub has_children: bool,
    /// Whether there are subscribed names below it (LIST-EXTENDED CHILDINFO).
    pub has_subscribed_children: bool,
}

/// A mailbox by name; placeholders too.
pub fn find(tx: &ReadTx, account: AccountId, name: &MailboxName) -> Result<Option<Mailbox>> {
    unimplemented!()
}

/// A mailbox by id.
pub fn by_id(tx: &ReadTx, account: AccountId, id: MailboxId) -> Result<Option<Mailbox>> {
    unimplemented!()
}

/// The mailbox that has a role.
pub fn by_role(tx: &ReadTx, account: AccountId, role: Role) -> Result<Option<Mailbox>> {
    unimplemented!()
}

/// Everything there is to list, INBOX first, then by name; two statements. Patterns are the caller's.
pub fn list(tx: &ReadTx, account: AccountId) -> Result<Vec<Listed>> {
    unimplemented!()
}

/// Makes a mailbox, and the levels above it that are missing (RFC 9051 §6.3.4). A placeholder becomes
/// a mailbox with a new uidvalidity. Errors: `Exists(Mailbox)`, also when the role is taken, `Limit`.
pub fn create(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    name: &MailboxName,
    role: Option<Role>,
) -> Result<Mailbox> {
    unimplemented!()
}

/// Deletes a mailbox; its messages stay restorable until the retention has passed. With names below it
/// becomes a placeholder. Errors: `NotFound`, `Refused` for INBOX and for a placeholder with names below.
pub fn delete(tx: &mut WriteTx, by: &By, account: AccountId, name: &MailboxName) -> Result<()> {
    unimplemented!()
}

/// Renames a mailbox and all below it; missing levels above the new name are made. Renaming INBOX moves
/// its messages into a new mailbox and leaves it empty (RFC 9051 §6.3.6). Subscriptions stay by name.
pub fn rename(tx: &mut WriteTx, by: &By, account: AccountId, from: &MailboxName, to: &MailboxName) -> Result<()> {
    unimplemented!()
}

/// Gives a mailbox a role or takes it away; taken from whoever had it.
pub fn set_role(tx: &mut WriteTx, by: &By, account: AccountId, id: MailboxId, role: Option<Role>) -> Result<()> {
    unimplemented!()
}

/// Subscribes to a name, existing or not (RFC 9051 §6.3.7). Again is no error.
pub fn subscribe(tx: &mut WriteTx, by: &By, account: AccountId, name: &MailboxName) -> Result<()> {
    unimplemented!()
}

/// Takes a subscription away. None there is no error.
pub fn unsubscribe(tx: &mut WriteTx, by: &By, account: AccountId, name: &MailboxName) -> Result<()> {
    unimplemented!()
}
