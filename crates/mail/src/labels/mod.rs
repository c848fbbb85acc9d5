//! Labels: an account whose mailboxes are labels of its messages, as Gmail's are (its IMAP extension X-GM-EXT-1).
//!
//! A label is an entry in a mailbox. For an account that has them on:
//! 1. Each message is in All Mail (the mailbox with the role `all`), or in Trash or Junk and nowhere else.
//! 2. A message is at most once in each mailbox.
//! 3. Flags and keywords are the message's: the same in all of its entries, `\Deleted` excepted, which says of an entry that
//!    it will go.
//! 4. A message is in the mailbox with the role `flagged` exactly when it has `\Flagged`, outside of Trash and Junk.
//! 5. When a message's labels change, the modseq of all of its entries rises.
//!
//! [`settle`] keeps this: every operation of the account ends in [`crate::journal::end`], which calls it, so that no writer
//! can forget it. What it changes are operations of their own, in the same transaction. While [`fill`] has not been through
//! (1) and (2) hold only of what came or moved since [`switch_on`].
//!
//! What it never does: know how labels are spelled in a protocol.

mod change;
mod fill;
mod look;
mod settle;
mod steps;

use postroad_store::{AccountId, ReadTx, WriteTx, params};

use crate::journal::{self, Note, Operation};
use crate::{By, Error, Mailbox, MailboxId, MailboxName, Result, Role, accounts, mailboxes, sql};

pub use change::{Change, Changed, Named, change};
pub use fill::{FILL_BATCH, Filled, fill};
pub use look::{Labels, Own, of, of_message, of_thread, with};
pub(crate) use settle::settle;

/// A row for each account that has labels: the last message that was looked at since, and whether all were.
pub(crate) const TABLES: &str = "
CREATE TABLE label_account (
    account BIGINT NOT NULL,
    since BIGINT NOT NULL,
    looked BIGINT NOT NULL,
    whole BIGINT NOT NULL,
    PRIMARY KEY (account)
);
";

/// The level that the mailboxes lie below which are made for labels: where clients of Gmail look for them.
pub const ROOT: &str = "[Gmail]";

/// What an account has of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// None: its mailboxes are mailboxes.
    Off,
    /// They are on, and what was there before is being put into All Mail: so many messages are, of so many.
    Filling {
        /// Looked at.
        done: u64,
        /// In all.
        of: u64,
    },
    /// They are on.
    On,
}

/// What an account has of labels. One statement, two while it is filled.
pub fn state(tx: &ReadTx, account: AccountId) -> Result<State> {
    let row = tx.row("SELECT looked, whole FROM label_account WHERE account = $1", params![account], |row| {
        Ok((row.int(0)?, row.int(1)? != 0))
    })?;
    let looked = match row {
        None => return Ok(State::Off),
        Some((_, true)) => return Ok(State::On),
        Some((looked, false)) => looked,
    };
    let (done, of) = tx.one(
        "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(CASE WHEN id <= $2 THEN 1 ELSE 0 END), 0) AS BIGINT)
         FROM message WHERE account = $1",
        params![account, looked],
        |row| Ok((sql::unsigned(row, 1)?, sql::unsigned(row, 0)?)),
    )?;
    Ok(State::Filling { done, of })
}

/// Whether an account's labels are on and whole: what clients are told. One statement.
pub fn are_on(tx: &ReadTx, account: AccountId) -> Result<bool> {
    let text = "SELECT EXISTS (SELECT 1 FROM label_account WHERE account = $1 AND whole = 1)";
    Ok(tx.one(text, params![account], |row| row.bool(0))?)
}

/// Whether labels are kept, perhaps not whole yet. One statement.
pub(crate) fn are_kept(tx: &ReadTx, account: AccountId) -> Result<bool> {
    let text = "SELECT EXISTS (SELECT 1 FROM label_account WHERE account = $1)";
    Ok(tx.one(text, params![account], |row| row.bool(0))?)
}

/// Switches labels on: makes All Mail, Starred and Important where no mailbox has their roles, and Trash and Junk too. What
/// is there already is put into All Mail by [`fill`], to be called until it has nothing left. Again is no error. Locks: the
/// account's.
///
/// Errors: `Limit(Mailboxes)`, `OverQuota` for so many mailboxes; `Refused` where a name is taken by something else.
pub fn switch_on(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<()> {
    accounts::existing(tx, account)?;
    if are_kept(tx, account)? {
        return Ok(());
    }
    for (role, name) in [
        (Role::Drafts, "Drafts"),
        (Role::Sent, "Sent"),
        (Role::Junk, "Junk"),
        (Role::Trash, "Trash"),
        (Role::All, "[Gmail]/All Mail"),
        (Role::Flagged, "[Gmail]/Starred"),
        (Role::Important, "[Gmail]/Important"),
    ] {
        house(tx, by, account, role, name)?;
    }
    let modseq = journal::begin(tx, account)?;
    tx.execute(
        "INSERT INTO label_account (account, since, looked, whole) VALUES ($1, $2, 0, 0)",
        params![account, by.now],
    )?;
    journal::end(tx, by, account, modseq, &Note { before: b"labels\toff\n", ..Note::plain(Operation::Account) })
}

/// Sees that a role has a mailbox: one of the usual name that is there, or a new one, subscribed.
fn house(tx: &mut WriteTx, by: &By, account: AccountId, role: Role, name: &str) -> Result<()> {
    if mailboxes::by_role(tx, account, role)?.is_some() {
        return Ok(());
    }
    let name = MailboxName::parse(name).map_err(Error::NameInvalid)?;
    let there = match mailboxes::find(tx, account, &name)? {
        Some(row) if row.selectable && row.role.is_none() => row,
        Some(row) if row.selectable => return Err(Error::Refused("a mailbox has the name of another role's")),
        Some(_) | None => mailboxes::create(tx, by, account, &name, None)?,
    };
    mailboxes::set_role(tx, by, account, there.id, Some(role))?;
    // The level above is none of its own, as with Gmail, unless somebody uses it.
    tx.execute(
        "UPDATE mailbox SET selectable = 0 WHERE account = $1 AND name = $2 AND messages = 0 AND uidnext = 1
                                             AND role IS NULL",
        params![account, ROOT],
    )?;
    mailboxes::subscribe(tx, by, account, &name)
}

/// Switches labels off: all mail stays where it is, in ordinary mailboxes; All Mail and Starred lose their roles, for nobody
/// keeps them any more. Again is no error. Locks: the account's.
pub fn switch_off(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<()> {
    accounts::existing(tx, account)?;
    if !are_kept(tx, account)? {
        return Ok(());
    }
    let modseq = journal::begin(tx, account)?;
    tx.execute("DELETE FROM label_account WHERE account = $1", params![account])?;
    journal::end(tx, by, account, modseq, &Note { before: b"labels\ton\n", ..Note::plain(Operation::Account) })?;
    for role in [Role::All, Role::Flagged] {
        if let Some(row) = mailboxes::by_role(tx, account, role)? {
            mailboxes::set_role(tx, by, account, row.id, None)?;
        }
    }
    Ok(())
}

/// Whether a mailbox cannot be deleted, nor get another role, because labels are made of it. One statement where its role is
/// such, none otherwise.
pub(crate) fn needs(tx: &ReadTx, account: AccountId, row: &Mailbox) -> Result<bool> {
    match row.role {
        Some(role) => is_for(tx, account, role),
        None => Ok(false),
    }
}

/// Whether a role stays with the mailbox that has it, because labels are made of that. Statements as [`needs`].
pub(crate) fn is_for(tx: &ReadTx, account: AccountId, role: Role) -> Result<bool> {
    Ok(ROLES.contains(&role) && are_kept(tx, account)?)
}

/// The mailboxes that rules are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Homes {
    pub(crate) all: MailboxId,
    pub(crate) trash: Option<MailboxId>,
    pub(crate) junk: Option<MailboxId>,
    pub(crate) starred: Option<MailboxId>,
}

impl Homes {
    /// `None` without All Mail. One statement.
    pub(crate) fn find(tx: &ReadTx, account: AccountId) -> Result<Option<Homes>> {
        let rows = tx.rows(
            "SELECT id, role FROM mailbox WHERE account = $1 AND role {in:$2}",
            params![account, &ROLES.map(Role::name)],
            |row| Ok((row.text(1)?, MailboxId(row.int(0)?))),
        )?;
        let of = |role: Role| rows.iter().find(|(name, _)| name == role.name()).map(|(_, id)| *id);
        let Some(all) = of(Role::All) else { return Ok(None) };
        Ok(Some(Homes { all, trash: of(Role::Trash), junk: of(Role::Junk), starred: of(Role::Flagged) }))
    }

    /// Whether mail in this mailbox has no labels.
    pub(crate) fn is_outside(&self, mailbox: MailboxId) -> bool {
        Some(mailbox) == self.trash || Some(mailbox) == self.junk
    }
}

const ROLES: [Role; 4] = [Role::All, Role::Trash, Role::Junk, Role::Flagged];
