//! tmp
use super::Blobs;
use crate::{Result, Store, Timestamp};
use std::time::Duration;
/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Rows removed.
    pub rows: u64,
    /// Files or objects removed.
    pub objects: u64,
    /// Whether there is more to do now.
    pub more: bool,
}
#[derive(Default)]
pub(crate) struct Progress {}
pub(crate) fn sweep(_store: &Store, _blobs: &Blobs, _now: Timestamp, _grace: Duration) -> Result<Swept> {
    Ok(Swept::default())
}
