//! Accounts: make, find, change, delete.
//!
//! A new account has INBOX, Drafts, Sent, Archive, Junk and Trash, subscribed and with their roles.

use postroad_store::{AccountId, ModSeq, ReadTx, Timestamp, WriteTx};

use crate::password::PasswordHash;
use crate::{Address, By, Result};

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
    unimplemented!()
}

/// An account by any of its own addresses (not through aliases with targets, not by sub-addresses).
pub fn find(tx: &ReadTx, address: &Address) -> Result<Option<Account>> {
    unimplemented!()
}

/// An account by its id.
pub fn by_id(tx: &ReadTx, id: AccountId) -> Result<Option<Account>> {
    unimplemented!()
}

/// Accounts in the order of their ids, after `after`.
pub fn list(tx: &ReadTx, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
    unimplemented!()
}

/// Gives it another display name.
pub fn set_display_name(tx: &mut WriteTx, by: &By, id: AccountId, name: &str) -> Result<()> {
    unimplemented!()
}

/// Gives it another quota (0: no limit). What is there stays, also above the quota.
pub fn set_quota(tx: &mut WriteTx, by: &By, id: AccountId, bytes: u64, messages: u64) -> Result<()> {
    unimplemented!()
}

/// Suspends it or lets it work again; `State::Deleted` is refused here.
pub fn set_state(tx: &mut WriteTx, by: &By, id: AccountId, state: State) -> Result<()> {
    unimplemented!()
}

/// Takes its addresses and credentials away at once; its mail goes in the background
/// ([`crate::retention::sweep`]).
pub fn delete(tx: &mut WriteTx, by: &By, id: AccountId) -> Result<()> {
    unimplemented!()
}
