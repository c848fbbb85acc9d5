//! Mailboxes of an account: find, list, create, delete, rename, subscribe.
//!
//! Names are full paths. A name that was deleted while others lie below it stays as a placeholder that
//! cannot be selected (RFC 9051 §6.3.5) and goes with the last name below it.

use std::collections::{BTreeMap, HashSet};

use postroad_store::{AccountId, ModSeq, ReadTx, Row, params};

pub use crate::mailbox_changes::{create, delete, rename, set_role, subscribe, unsubscribe};
use crate::{MailboxId, MailboxName, Result, Role, sql};

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

/// The columns that [`mailbox`] reads.
pub(crate) const COLUMNS: &str = "id, name, role, selectable, uidvalidity, uidnext, first_recent, highest_modseq,
     messages, unseen, deleted, size, created";

pub(crate) fn mailbox(row: &Row<'_>) -> postroad_store::Result<Mailbox> {
    Ok(Mailbox {
        id: row.id(0)?,
        name: MailboxName::stored(row.text(1)?),
        role: row.text_or_null(2)?.and_then(|name| Role::from_name(&name)),
        selectable: row.int(3)? != 0,
        uidvalidity: sql::small(row, 4)?,
        uidnext: sql::small(row, 5)?,
        first_recent: sql::small(row, 6)?,
        highest_modseq: row.id(7)?,
        messages: sql::small(row, 8)?,
        unseen: sql::small(row, 9)?,
        deleted: sql::small(row, 10)?,
        size: sql::unsigned(row, 11)?,
        created: row.id(12)?,
    })
}

/// A mailbox by name; placeholders too. One statement that reads one row.
pub fn find(tx: &ReadTx, account: AccountId, name: &MailboxName) -> Result<Option<Mailbox>> {
    let text = format!("SELECT {COLUMNS} FROM mailbox WHERE account = $1 AND name = $2");
    Ok(tx.row(&text, params![account, name.as_str()], mailbox)?)
}

/// A mailbox by id. One statement that reads one row.
pub fn by_id(tx: &ReadTx, account: AccountId, id: MailboxId) -> Result<Option<Mailbox>> {
    let text = format!("SELECT {COLUMNS} FROM mailbox WHERE account = $1 AND id = $2");
    Ok(tx.row(&text, params![account, id], mailbox)?)
}

/// Mailboxes by their ids, in no order. One statement.
pub fn by_ids(tx: &ReadTx, account: AccountId, ids: &[i64]) -> Result<Vec<Mailbox>> {
    let text = format!("SELECT {COLUMNS} FROM mailbox WHERE account = $1 AND id {{in:$2}}");
    Ok(tx.rows(&text, params![account, ids.to_vec()], mailbox)?)
}

/// The mailbox that has a role. One statement that reads one row.
pub fn by_role(tx: &ReadTx, account: AccountId, role: Role) -> Result<Option<Mailbox>> {
    let text = format!("SELECT {COLUMNS} FROM mailbox WHERE account = $1 AND role = $2");
    Ok(tx.row(&text, params![account, role.name()], mailbox)?)
}

/// All mailboxes and placeholders of an account, by name. One statement.
pub(crate) fn all(tx: &ReadTx, account: AccountId) -> Result<Vec<Mailbox>> {
    let text = format!("SELECT {COLUMNS} FROM mailbox WHERE account = $1 ORDER BY name");
    Ok(tx.rows(&text, params![account], mailbox)?)
}

/// Everything there is to list, INBOX first, then by name; two statements. Patterns are the caller's.
pub fn list(tx: &ReadTx, account: AccountId) -> Result<Vec<Listed>> {
    let mailboxes = all(tx, account)?;
    let subscribed: Vec<MailboxName> =
        tx.rows("SELECT name FROM subscription WHERE account = $1", params![account], |row| {
            Ok(MailboxName::stored(row.text(0)?))
        })?;
    let parents: HashSet<MailboxName> = mailboxes.iter().filter_map(|row| row.name.parent()).collect();
    let subscribed_parents: HashSet<MailboxName> =
        subscribed.iter().flat_map(|name| name.ancestors().collect::<Vec<_>>()).collect();
    let mut names: BTreeMap<MailboxName, Option<Mailbox>> =
        subscribed.iter().map(|name| (name.clone(), None)).collect();
    names.extend(mailboxes.into_iter().map(|row| (row.name.clone(), Some(row))));
    let subscribed: HashSet<MailboxName> = subscribed.into_iter().collect();
    let mut listed: Vec<Listed> = names
        .into_iter()
        .map(|(name, mailbox)| Listed {
            subscribed: subscribed.contains(&name),
            has_children: parents.contains(&name),
            has_subscribed_children: subscribed_parents.contains(&name),
            name,
            mailbox,
        })
        .collect();
    listed.sort_by_key(|listed| !listed.name.is_inbox());
    Ok(listed)
}
