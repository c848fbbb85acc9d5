//! The story of each message: what happened to it here, in order, and the words it can be found by.
//!
//! Invariants:
//! 1. Events are only added; they go together when their time has passed.
//! 2. A key leads to its story as long as one event written with it may be there.
//! 3. A story is not written of before the moment that its number tells.

use crate::id::first_id;
use crate::{ReadTx, Result, Timestamp, TraceId, WriteTx, new_id, params};

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

/// Fewer pages for each message. Stories lie by their numbers, which rise with time, so that new events come to the end
/// and old ones are taken from the front. Keys lie by day for the same reason: what comes today shares few pages.
pub(crate) const BY_TIME: &str = "
CREATE TABLE trace_by_story (
    story BIGINT NOT NULL,
    number BIGINT NOT NULL,     -- rises from event to event
    at BIGINT NOT NULL,
    kind {text} NOT NULL,
    detail {text} NOT NULL,
    PRIMARY KEY (story, number)) {clustered};
INSERT INTO trace_by_story (story, number, at, kind, detail)
    SELECT story, number, at, kind, detail FROM trace ORDER BY story, number;
DROP TABLE trace;
ALTER TABLE trace_by_story RENAME TO trace;
CREATE TABLE trace_key_by_day (
    day BIGINT NOT NULL,        -- of `at`, since 1970
    name {text} NOT NULL,
    story BIGINT NOT NULL,
    at BIGINT NOT NULL,         -- of the latest event with this key on this day
    PRIMARY KEY (day, name, story)) {clustered};
INSERT INTO trace_key_by_day (day, name, story, at)
    SELECT at / 86400000000, name, story, at FROM trace_key ORDER BY 1, 2, 3;
DROP TABLE trace_key;
ALTER TABLE trace_key_by_day RENAME TO trace_key;";

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
        let rows: Vec<[crate::Param<'_>; 5]> = events
            .iter()
            .map(|(at, event)| [id.into(), new_id().into(), (*at).into(), event.kind.into(), event.detail.into()])
            .collect();
        self.insert_rows("INSERT INTO trace (story, number, at, kind, detail)", &rows, "")?;
        let keys: Vec<_> = keys.iter().map(|key| [day(at).into(), (*key).into(), id.into(), at.into()]).collect();
        // The day of the latest event with the key is the last to be forgotten.
        let tail = "ON CONFLICT (day, name, story) DO UPDATE SET at = {greatest:trace_key.at, excluded.at}";
        for some in keys.chunks(KEYS_PER_STATEMENT) {
            self.insert_rows("INSERT INTO trace_key (day, name, story, at)", &distinct(some), tail)?;
        }
        Ok(())
    }
}

/// The day of a moment, since 1970.
fn day(at: Timestamp) -> i64 {
    at.0.max(0) / MICROS_PER_DAY
}

/// One statement must not touch a row twice.
fn distinct<'p>(rows: &[[crate::Param<'p>; 4]]) -> Vec<[crate::Param<'p>; 4]> {
    let mut kept: Vec<[crate::Param<'p>; 4]> = Vec::with_capacity(rows.len());
    for row in rows {
        if kept.iter().all(|other| other[1] != row[1]) {
            kept.push(row.clone());
        }
    }
    kept
}

/// The stories with `key` (an address, a message-id) of which an event with it happened at or after `since`, newest first.
pub fn find(tx: &ReadTx, key: &str, since: Timestamp, limit: u32) -> Result<Vec<TraceId>> {
    let (first, last) = tx.one(DAYS, params![], |row| Ok((row.int_or_null(0)?, row.int_or_null(1)?)))?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(Vec::new()) };
    let first = first.max(day(since)).max(last.saturating_sub(DAYS_MAX));
    let days: Vec<i64> = (first..=last).collect();
    tx.rows(FIND, params![&days, key, since, limit], |row| row.id(0))
}

/// A story in order.
pub fn story(tx: &ReadTx, id: TraceId) -> Result<Vec<Event>> {
    tx.rows(STORY, params![id], |row| Ok(Event { at: row.id(0)?, kind: row.text(1)?, detail: row.text(2)? }))
}

/// Forgets up to `limit` events from before a moment; says how many. Call again while it answers `limit`. An event whose
/// story began after that moment stays (a clock was set back), and keys stay until their day is over.
pub fn sweep(tx: &mut WriteTx, before: Timestamp, limit: u32) -> Result<u64> {
    let events = tx.execute(SWEEP_EVENTS, params![first_id(before), before, limit])?;
    let keys = tx.execute(SWEEP_KEYS, params![day(before), limit])?;
    Ok(events.max(keys))
}

const DAYS: &str = "SELECT (SELECT min(day) FROM trace_key), (SELECT max(day) FROM trace_key)";
const FIND: &str = "SELECT DISTINCT story FROM trace_key WHERE day {in:$1} AND name = $2 AND at >= $3
                    ORDER BY story DESC LIMIT $4";
const STORY: &str = "SELECT at, kind, detail FROM trace WHERE story = $1 ORDER BY at, number";
/// What it passes over are late events of old stories: few.
const SWEEP_EVENTS: &str = "DELETE FROM trace WHERE (story, number) IN
    (SELECT story, number FROM trace WHERE story < $1 AND at < $2 ORDER BY story, number LIMIT $3)";
const SWEEP_KEYS: &str = "DELETE FROM trace_key WHERE (day, name, story) IN
    (SELECT day, name, story FROM trace_key WHERE day < $1 ORDER BY day, name, story LIMIT $2)";

/// Days that a search looks at, at most, from the last one back.
const DAYS_MAX: i64 = 10_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Keys of one event beyond this many go into another statement.
const KEYS_PER_STATEMENT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Locks, MIGRATIONS, Param, Settings, Store};

    /// SQLite says how it finds what is asked for.
    #[test]
    fn stories_and_keys_are_found_by_their_places() {
        let store = Store::open(Settings::memory()).expect("it opens");
        store.migrate(MIGRATIONS).expect("tables are made");
        let (one, days) = (Param::Int(1), [1i64, 2]);
        let table: [(&str, Vec<Param<'_>>, &str); 5] = [
            (DAYS, vec![], "SEARCH trace_key"),
            (
                FIND,
                vec![Param::Ints(days.to_vec().into()), Param::Text("a"), one.clone(), one.clone()],
                "SEARCH trace_key USING PRIMARY KEY (day=? AND name=?)",
            ),
            (STORY, vec![one.clone()], "SEARCH trace USING PRIMARY KEY (story=?)"),
            (SWEEP_EVENTS, vec![one.clone(); 3], "SEARCH trace USING PRIMARY KEY (story<?)"),
            (SWEEP_KEYS, vec![one.clone(); 2], "SEARCH trace_key USING PRIMARY KEY (day<?)"),
        ];
        let table: Vec<_> = table.into_iter().collect();
        let done = store.write_blocking(Locks::none(), move |tx| {
            for (sql, params, expected) in &table {
                let plan = tx.rows(&format!("EXPLAIN QUERY PLAN {sql}"), params, |row| row.text(3))?;
                assert!(plan.iter().any(|said| said.starts_with(expected)), "{expected} for {sql}: {plan:#?}");
                assert!(plan.iter().all(|said| !said.starts_with("SCAN trace")), "{sql}: {plan:#?}");
            }
            Ok::<_, Error>(())
        });
        done.expect("all are looked at");
    }
}
