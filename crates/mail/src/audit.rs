//! Compares everything that is kept with a recount. For `postroad check` and the crash tests.

use postroad_store::{AccountId, ReadTx};

use crate::Result;

/// Most faults reported at a time.
pub const MAX_FAULTS: usize = 100;

/// A contradiction in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In which account.
    pub account: AccountId,
    /// What contradicts what, with both values.
    pub what: String,
}

/// Checks an account: counters, uids below uidnext, modseqs, journal without gaps, entries with content,
/// quota, keywords. Reads every entry: not for a request.
pub fn audit(tx: &ReadTx, account: AccountId) -> Result<Vec<Fault>> {
    unimplemented!()
}
