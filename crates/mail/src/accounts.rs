//! Accounts: make, find, change, delete.
//!
//! A new account has INBOX, Drafts, Sent, Archive, Junk and Trash, subscribed and with their roles.

use postroad_store::{AccountId, ModSeq, ReadTx, Row, Timestamp, WriteTx, params};

use crate::journal::{self, Note, Operation};
use crate::password::PasswordHash;
use crate::{
    Address, By, Error, Result, What, acl, addresses, credentials, domains, forwards, mailbox_changes, metadata, sql,
};

/// Named lock that serialises changes of accounts, addresses and domains:
/// `Locks::named(accounts::DIRECTORY_LOCK)`.
pub const DIRECTORY_LOCK: &str = "directory";

/// Whether an account works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does.
    Active,
    /// It exists, but neither receives nor logs in.
    Suspended,
    /// It is being removed in the background; it answers to no address.
    Deleted,
}

/// An account, with what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its primary address.
    pub address: Address,
    /// For people.
    pub display_name: String,
    /// Whether it works.
    pub state: State,
    /// Bytes it may hold; 0: no limit.
    pub quota_bytes: u64,
    /// Messages it may hold; 0: no limit.
    pub quota_messages: u64,
    /// Bytes it holds (each content once).
    pub used_bytes: u64,
    /// Messages it holds (each content once).
    pub used_messages: u64,
    /// Its last operation.
    pub modseq: ModSeq,
    /// When it was made.
    pub created: Timestamp,
}

/// What a new account is made of.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its primary address, in a domain of ours.
    pub address: Address,
    /// For people; may be empty.
    pub display_name: String,
    /// Hashed outside of the transaction; without one only app passwords log in.
    pub password: Option<PasswordHash>,
    /// Bytes; 0: no limit.
    pub quota_bytes: u64,
    /// Messages; 0: no limit.
    pub quota_messages: u64,
}

/// Makes an account with its address and first mailboxes. Locks: [`DIRECTORY_LOCK`].
///
/// Errors: `NotFound(Domain)` when the domain is not ours, `Exists(Address)`.
pub fn create(tx: &mut WriteTx, by: &By, new: &NewAccount) -> Result<AccountId> {
    check_display_name(&new.display_name)?;
    let domain = domains::ours(tx, new.address.domain())?.ok_or(Error::NotFound(What::Domain))?;
    let address = Address::new(new.address.local(), domain.as_str()).map_err(Error::AddressInvalid)?;
    if addresses::find(tx, &address)?.is_some() {
        return Err(Error::Exists(What::Address));
    }
    let id: AccountId = tx
        .returning(
            "INSERT INTO account (address, display_name, state, quota_bytes, quota_messages, used_bytes,
                                  used_messages, modseq, next_mailbox, last_uidvalidity, created)
             VALUES ($1, $2, 'active', $3, $4, 0, 0, 1, 1, 0, $5) RETURNING id",
            params![
                &address.to_string(),
                &new.display_name,
                sql::number(new.quota_bytes),
                sql::number(new.quota_messages),
                by.now
            ],
            |row| row.id(0),
        )?
        .pop()
        .ok_or(Error::NotFound(What::Account))?;
    addresses::insert(tx, &address, "account", Some(id))?;
    // What a backup of others brought back for whoever had this address is not for this one.
    acl::forget_grantee(tx, &address)?;
    metadata::forget_grantee(tx, &address)?;
    mailbox_changes::furnish(tx, id, by.now)?;
    if let Some(hash) = &new.password {
        credentials::insert_password(tx, by, id, hash)?;
    }
    journal::end(tx, by, id, ModSeq(1), &Note { before: b"created\n", ..Note::plain(Operation::Account) })?;
    Ok(id)
}

const COLUMNS: &str = "id, address, display_name, state, quota_bytes, quota_messages, used_bytes, used_messages,
     modseq, created";

fn account(row: &Row<'_>) -> postroad_store::Result<Account> {
    Ok(Account {
        id: row.id(0)?,
        address: Address::stored(&row.text(1)?),
        display_name: row.text(2)?,
        state: State::from_name(&row.text(3)?),
        quota_bytes: sql::unsigned(row, 4)?,
        quota_messages: sql::unsigned(row, 5)?,
        used_bytes: sql::unsigned(row, 6)?,
        used_messages: sql::unsigned(row, 7)?,
        modseq: row.id(8)?,
        created: row.id(9)?,
    })
}

impl State {
    /// Its name in the database and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Suspended => "suspended",
            State::Deleted => "deleted",
        }
    }

    /// From the database; what is unknown is not let in.
    pub(crate) fn from_name(name: &str) -> State {
        match name {
            "active" => State::Active,
            "deleted" => State::Deleted,
            _ => State::Suspended,
        }
    }
}

/// An account by any of its own addresses (not through aliases with targets, not by sub-addresses).
pub fn find(tx: &ReadTx, address: &Address) -> Result<Option<Account>> {
    let Some(domain) = domains::ours(tx, address.domain())? else {
        return Ok(None);
    };
    let text = format!(
        "SELECT {COLUMNS} FROM account
         WHERE id = (SELECT account FROM address WHERE domain = $1 AND local = $2 AND kind = 'account')"
    );
    Ok(tx.row(&text, params![domain.as_str(), &address.key()], account)?)
}

/// An account by its id. One statement.
pub fn by_id(tx: &ReadTx, id: AccountId) -> Result<Option<Account>> {
    Ok(tx.row(&format!("SELECT {COLUMNS} FROM account WHERE id = $1"), params![id], account)?)
}

/// Accounts in the order of their ids, after `after`; deleted ones are not among them.
pub fn list(tx: &ReadTx, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
    let text = format!("SELECT {COLUMNS} FROM account WHERE id > $1 AND state <> 'deleted' ORDER BY id LIMIT $2");
    Ok(tx.rows(&text, params![after.unwrap_or_default(), sql::limit(limit)], account)?)
}

/// Gives it another display name.
pub fn set_display_name(tx: &mut WriteTx, by: &By, id: AccountId, name: &str) -> Result<()> {
    check_display_name(name)?;
    let old = existing(tx, id)?;
    let modseq = journal::begin(tx, id)?;
    tx.execute("UPDATE account SET display_name = $2 WHERE id = $1", params![id, name])?;
    let before = format!("display_name\t{}\n", old.display_name);
    journal::end(tx, by, id, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Account) })
}

/// Gives it another quota (0: no limit). What is there stays, also above the quota.
pub fn set_quota(tx: &mut WriteTx, by: &By, id: AccountId, bytes: u64, messages: u64) -> Result<()> {
    let old = existing(tx, id)?;
    let modseq = journal::begin(tx, id)?;
    tx.execute(
        "UPDATE account SET quota_bytes = $2, quota_messages = $3 WHERE id = $1",
        params![id, sql::number(bytes), sql::number(messages)],
    )?;
    let before = format!("quota\t{}\t{}\n", old.quota_bytes, old.quota_messages);
    journal::end(tx, by, id, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Account) })
}

/// Suspends it or lets it work again; `State::Deleted` is refused here.
pub fn set_state(tx: &mut WriteTx, by: &By, id: AccountId, state: State) -> Result<()> {
    if state == State::Deleted {
        return Err(Error::Refused("an account is deleted by its own command"));
    }
    let old = existing(tx, id)?;
    if old.state == state {
        return Ok(());
    }
    write_state(tx, by, id, state, &format!("state\t{}\n", old.state.name()))
}

/// Takes its addresses and credentials away at once; its mail goes in the background
/// ([`crate::retention::sweep`]). Locks: the account's and [`DIRECTORY_LOCK`].
pub fn delete(tx: &mut WriteTx, by: &By, id: AccountId) -> Result<()> {
    let old = existing(tx, id)?;
    let addresses =
        tx.returning("DELETE FROM address WHERE account = $1 RETURNING domain, shown", params![id], |row| {
            Ok(format!("address\t{}@{}\n", row.text(1)?, row.text(0)?))
        })?;
    tx.execute("DELETE FROM credential WHERE account = $1", params![id])?;
    credentials::prune_keys(tx, id)?;
    credentials::forget_certificates(tx, id)?;
    credentials::forget_principals(tx, id)?;
    credentials::forget_ntlm(tx, id)?;
    credentials::forget_digests(tx, id)?;
    credentials::forget_delegates(tx, id)?;
    tx.execute("UPDATE domain SET postmaster = NULL WHERE postmaster = $1", params![id])?;
    let forward = forwards::of(tx, id)?.map(|forward| forwards::text(Some(&forward))).unwrap_or_default();
    forwards::clear(tx, id)?;
    acl::forget_grantee(tx, &old.address)?;
    metadata::forget_grantee(tx, &old.address)?;
    acl::forget_account(tx, id)?;
    let before = format!("state\t{}\n{}{forward}", old.state.name(), sorted(addresses).concat());
    write_state(tx, by, id, State::Deleted, &before)
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}

/// Longest display name in bytes.
pub const MAX_DISPLAY_NAME_BYTES: usize = 500;

fn check_display_name(name: &str) -> Result<()> {
    if name.len() > MAX_DISPLAY_NAME_BYTES || name.contains(char::is_control) {
        return Err(Error::Refused("a display name has at most 500 bytes and no control characters"));
    }
    Ok(())
}

/// An account that is not deleted.
pub(crate) fn existing(tx: &ReadTx, id: AccountId) -> Result<Account> {
    by_id(tx, id)?.filter(|account| account.state != State::Deleted).ok_or(Error::NotFound(What::Account))
}

fn write_state(tx: &mut WriteTx, by: &By, id: AccountId, new: State, before: &str) -> Result<()> {
    let modseq = journal::begin(tx, id)?;
    tx.execute("UPDATE account SET state = $2 WHERE id = $1", params![id, new.name()])?;
    journal::end(tx, by, id, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Account) })
}
