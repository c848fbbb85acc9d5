//! The story of each message: what happened to it here, in order, and the words it can be found by.
//!
//! Invariants:
//! 1. Events are only added; they go together when their time has passed.
//! 2. A key leads to its story as long as one event written with it may be there.

use crate::{ReadTx, Result, Timestamp, TraceId, WriteTx, params};

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

pub(crate) const TABLES: &str = "
CREATE TABLE trace (
    number {id},
    story BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind {text} NOT NULL,
    detail {text} NOT NULL);
CREATE INDEX trace_story ON trace (story);
CREATE INDEX trace_at ON trace (at);
CREATE TABLE trace_key (
    name {text} NOT NULL,
    story BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (name, story)) {clustered};
CREATE INDEX trace_key_at ON trace_key (at);";

impl WriteTx {
    /// Adds an event to a message's story; `keys` are what the story can be found by (addresses, message-ids).
    /// Addresses come in the form in which they are searched: lower case.
    pub fn trace(&mut self, id: TraceId, at: Timestamp, event: &TraceEvent<'_>, keys: &[&str]) -> Result<()> {
        self.trace_all(id, &[(at, *event)], keys)
    }

    /// Adds events, in this order, and keys as of the first of them: two statements for a whole story (on PostgreSQL
    /// more when it is long).
    pub fn trace_all(&mut self, id: TraceId, events: &[(Timestamp, TraceEvent<'_>)], keys: &[&str]) -> Result<()> {
        let Some((at, _)) = events.first().copied() else { return Ok(()) };
        let rows: Vec<[crate::Param<'_>; 4]> = events
            .iter()
            .map(|(at, event)| [id.into(), (*at).into(), event.kind.into(), event.detail.into()])
            .collect();
        self.insert_rows("INSERT INTO trace (story, at, kind, detail)", &rows, "")?;
        let keys: Vec<_> = keys.iter().map(|key| [(*key).into(), id.into(), at.into()]).collect();
        // `at` is the latest event with the key, so that the key is not forgotten before it.
        let tail = "ON CONFLICT (name, story) DO UPDATE SET at = {greatest:trace_key.at, excluded.at}";
        for some in keys.chunks(KEYS_PER_STATEMENT) {
            self.insert_rows("INSERT INTO trace_key (name, story, at)", &distinct(some), tail)?;
        }
        Ok(())
    }
}

/// One statement must not touch a row twice.
fn distinct<'p>(rows: &[[crate::Param<'p>; 3]]) -> Vec<[crate::Param<'p>; 3]> {
    let mut kept: Vec<[crate::Param<'p>; 3]> = Vec::with_capacity(rows.len());
    for row in rows {
        if kept.iter().all(|other| other[0] != row[0]) {
            kept.push(row.clone());
        }
    }
    kept
}

/// The stories with `key` (an address, a message-id) of which an event with it happened at or after `since`, newest first.
pub fn find(tx: &ReadTx, key: &str, since: Timestamp, limit: u32) -> Result<Vec<TraceId>> {
    let sql = "SELECT story FROM trace_key WHERE name = $1 AND at >= $2 ORDER BY story DESC LIMIT $3";
    tx.rows(sql, params![key, since, limit], |row| row.id(0))
}

/// A story in order.
pub fn story(tx: &ReadTx, id: TraceId) -> Result<Vec<Event>> {
    tx.rows("SELECT at, kind, detail FROM trace WHERE story = $1 ORDER BY at, number", params![id], |row| {
        Ok(Event { at: row.id(0)?, kind: row.text(1)?, detail: row.text(2)? })
    })
}

/// Forgets up to `limit` events from before a moment; says how many. Call again while it answers `limit`.
pub fn sweep(tx: &mut WriteTx, before: Timestamp, limit: u32) -> Result<u64> {
    let events = tx.execute(
        "DELETE FROM trace WHERE number IN (SELECT number FROM trace WHERE at < $1 ORDER BY at LIMIT $2)",
        params![before, limit],
    )?;
    let keys = tx.execute(
        "DELETE FROM trace_key WHERE (name, story) IN
            (SELECT name, story FROM trace_key WHERE at < $1 ORDER BY at LIMIT $2)",
        params![before, limit],
    )?;
    Ok(events.max(keys))
}

/// Keys of one event beyond this many go into another statement.
const KEYS_PER_STATEMENT: usize = 256;
