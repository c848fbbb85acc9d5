//! Where mail for an address goes.

use postroad_store::{AccountId, ReadTx};

use crate::{Address, Result};

/// Most levels of aliases and groups that lead to each other.
pub const MAX_ALIAS_DEPTH: usize = 10;
/// Most targets in the end.
pub const MAX_EXPANSION: usize = 10_000;

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Here and perhaps elsewhere too; at least one of the two is not empty.
    Found {
        /// Accounts of ours, each once.
        accounts: Vec<Target>,
        /// Addresses elsewhere that an alias or group of ours names, each once.
        remote: Vec<Address>,
    },
    /// The domain is ours, the recipient is not known: `550 5.1.1`.
    Unknown,
    /// The only account it leads to is suspended: `550 5.2.1`.
    Suspended,
    /// The domain is not ours: relay, for who may.
    NotOurs,
    /// Aliases lead in circles, too deep or to too many: `451 4.3.5`, the administrator must act.
    Endless,
}

/// An account that an address leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The account.
    pub account: AccountId,
    /// Its primary address.
    pub address: Address,
    /// The detail of `local+detail@`, when the recipient as given had one that was cut off.
    pub detail: Option<String>,
}

/// Resolves a recipient: domain aliases, exact address, then without sub-address, then postmaster
/// and abuse duties, then the catch-all; aliases and groups expanded level by level.
/// Two statements for an account's own address; three for each level of aliases.
pub fn resolve(tx: &ReadTx, recipient: &Address) -> Result<Resolution> {
    unimplemented!()
}

/// The bare `<postmaster>` of RFC 5321 §4.5.1: postmaster of the first domain.
pub fn postmaster(tx: &ReadTx) -> Result<Resolution> {
    unimplemented!()
}
