//! Addresses in our domains that are not an account's first: further addresses, aliases, groups.

use postroad_store::{AccountId, ReadTx, WriteTx};

use crate::{Address, By, Result};

/// Most targets of an alias or group.
pub const MAX_TARGETS: usize = 1_000;

/// What an address in a domain of ours is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An account's own address.
    Account(AccountId),
    /// Leads to other addresses, here or elsewhere; whoever gets its mail may send as it.
    Alias(Vec<Address>),
    /// As an alias, but its members may not send as it.
    Group(Vec<Address>),
}

/// An address in a domain of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRow {
    /// The address, as it was written when made.
    pub address: Address,
    /// What it is.
    pub kind: Kind,
}

/// Makes an address. Errors: `NotFound(Domain)`, `NotFound(Account)`, `Exists(Address)`,
/// `Limit(Targets)`, `Refused` for no target.
pub fn create(tx: &mut WriteTx, by: &By, address: &Address, kind: &Kind) -> Result<()> {
    unimplemented!()
}

/// Replaces what an address is; an account's primary address is refused.
pub fn replace(tx: &mut WriteTx, by: &By, address: &Address, kind: &Kind) -> Result<()> {
    unimplemented!()
}

/// Removes an address; an account's primary address is refused.
pub fn delete(tx: &mut WriteTx, by: &By, address: &Address) -> Result<()> {
    unimplemented!()
}

/// One address exactly as it is in the table (no sub-addressing, no catch-all).
pub fn find(tx: &ReadTx, address: &Address) -> Result<Option<AddressRow>> {
    unimplemented!()
}

/// All addresses by domain and local part, after `after`.
pub fn list(tx: &ReadTx, after: Option<&Address>, limit: usize) -> Result<Vec<AddressRow>> {
    unimplemented!()
}

/// Whether `account` may put `address` into MAIL FROM and From: its own addresses and their
/// sub-addresses in any name of the domain, aliases (not groups) that lead to it, and, when it is the
/// catch-all of a domain, any address there that nobody else has.
pub fn may_send_as(tx: &ReadTx, account: AccountId, address: &Address) -> Result<bool> {
    unimplemented!()
}
