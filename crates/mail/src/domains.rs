//! Domains of ours, their aliases, catch-all and postmaster.

use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx};

use crate::{Address, By, Domain, Result};

/// A domain of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRow {
    /// Its name.
    pub name: Domain,
    /// Other names of the same domain: `x@alias` is `x@name`.
    pub aliases: Vec<Domain>,
    /// Who gets what has no recipient of its own.
    pub catch_all: Option<Address>,
    /// Who gets `postmaster@` and `abuse@` when these have no address of their own; without it the
    /// first account of the domain, else the first account of the server.
    pub postmaster: Option<AccountId>,
    /// When it was made.
    pub created: Timestamp,
}

/// Makes a domain. Errors: `Exists(Domain)`, also when it is an alias of another.
pub fn create(tx: &mut WriteTx, by: &By, name: &Domain) -> Result<()> {
    unimplemented!()
}

/// Removes a domain without accounts and addresses; with them it is refused.
pub fn delete(tx: &mut WriteTx, by: &By, name: &Domain) -> Result<()> {
    unimplemented!()
}

/// All domains, by name.
pub fn list(tx: &ReadTx) -> Result<Vec<DomainRow>> {
    unimplemented!()
}

/// Whether `name` is a domain of ours or an alias of one: its real name.
pub fn ours(tx: &ReadTx, name: &Domain) -> Result<Option<Domain>> {
    unimplemented!()
}

/// Makes `alias` another name of `name`.
pub fn add_alias(tx: &mut WriteTx, by: &By, alias: &Domain, name: &Domain) -> Result<()> {
    unimplemented!()
}

/// Takes an alias away.
pub fn remove_alias(tx: &mut WriteTx, by: &By, alias: &Domain) -> Result<()> {
    unimplemented!()
}

/// Sets or clears the catch-all.
pub fn set_catch_all(tx: &mut WriteTx, by: &By, name: &Domain, target: Option<&Address>) -> Result<()> {
    unimplemented!()
}

/// Sets or clears who is postmaster.
pub fn set_postmaster(tx: &mut WriteTx, by: &By, name: &Domain, account: Option<AccountId>) -> Result<()> {
    unimplemented!()
}
