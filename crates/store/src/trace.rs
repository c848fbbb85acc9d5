//! The story of each message: what happened to it here, in order, and the words it can be found by.

use crate::{ReadTx, Result, Timestamp, TraceId, WriteTx};

/// Something that happened to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceEvent<'a> {
    /// A short word: `connect`, `accepted`, `filed`, `refused`.
    pub kind: &'a str,
    /// JSON or a sentence.
    pub detail: &'a str,
}

/// An event as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// A short word.
    pub kind: String,
    /// JSON or a sentence.
    pub detail: String,
}

/// The stories with `key` (an address, a message-id) that began at or after `since`, newest first.
pub fn find(_tx: &ReadTx, _key: &str, _since: Timestamp, _limit: u32) -> Result<Vec<TraceId>> {
    unimplemented!()
}

/// A story in order.
pub fn story(_tx: &ReadTx, _id: TraceId) -> Result<Vec<Event>> {
    unimplemented!()
}

/// Forgets up to `limit` events from before a moment; says how many. Call again while it answers `limit`.
pub fn sweep(_tx: &mut WriteTx, _before: Timestamp, _limit: u32) -> Result<u64> {
    unimplemented!()
}
