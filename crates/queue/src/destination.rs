//! Destinations that are blocked or crowded: one row each, whatever waits behind it.
use postroad_store::{ReadTx, Timestamp, WriteTx};

use crate::Result;

/// A destination that is blocked, or behind which recipients are parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The domain.
    pub domain: String,
    /// Nothing is tried before.
    pub not_before: Timestamp,
    /// How often in a row it could not be reached; 0 for one that is only crowded.
    pub failures: u32,
    /// Why it could not be reached.
    pub why: Option<String>,
    /// Since when it cannot be reached or is crowded.
    pub since: Timestamp,
}

/// The destination cannot be reached: nothing is tried there before `until`. `failures` in a row by now.
pub fn block(
    _tx: &mut WriteTx,
    _domain: &str,
    _until: Timestamp,
    _failures: u32,
    _why: &str,
    _now: Timestamp,
) -> Result<()> {
    unimplemented!()
}

/// The destination can be reached again.
pub fn unblock(_tx: &mut WriteTx, _domain: &str, _now: Timestamp) -> Result<()> {
    unimplemented!()
}

/// Destinations after `after`, by name.
pub fn destinations(_tx: &ReadTx, _after: Option<&str>, _limit: usize) -> Result<Vec<Destination>> {
    unimplemented!()
}
