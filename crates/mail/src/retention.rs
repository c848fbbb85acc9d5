//! What was removed goes for good once the retention has passed; deleted accounts go in batches.

use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx};

use crate::Result;

/// How long removed messages stay restorable unless the settings say otherwise.
pub const RETENTION_DAYS: u32 = 30;
/// Most removed entries that one sweep takes.
pub const SWEEP_BATCH: usize = 1_000;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Removed entries forgotten.
    pub entries: u64,
    /// Messages whose content was given up.
    pub messages: u64,
    /// There is more to do now.
    pub more: bool,
}

/// Accounts that have something to sweep.
pub fn due(tx: &ReadTx, before: Timestamp, limit: usize) -> Result<Vec<AccountId>> {
    unimplemented!()
}

/// Forgets what was removed from an account before `before`, at most [`SWEEP_BATCH`] entries; of a deleted
/// account everything, and at last the account itself. Locks: the account's.
pub fn sweep(tx: &mut WriteTx, account: AccountId, before: Timestamp) -> Result<Swept> {
    unimplemented!()
}
