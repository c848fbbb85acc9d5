//! Destinations that are blocked or crowded: one row each, whatever waits behind it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use postroad_store::{Param, ReadTx, Timestamp, WriteTx, params};

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
    /// Why nothing more went to it last, though it works: a limit, a slow start.
    pub rests: Option<String>,
    /// Since when it cannot be reached or is crowded.
    pub since: Timestamp,
    /// Whether recipients may be parked behind it.
    pub parked: bool,
}

/// The destination cannot be reached: nothing is tried there before `until`. `failures` in a row by now (at least 1),
/// one more than [`crate::Job::failures`] said. One row, however many wait.
pub fn block(tx: &mut WriteTx, domain: &str, until: Timestamp, failures: u32, why: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO queue_destination (domain, not_before, failures, why, since, parked)
         VALUES ($1, $2, $3, $4, $5, 0)
         ON CONFLICT (domain) DO UPDATE SET not_before = excluded.not_before, failures = excluded.failures,
            why = excluded.why, rests = NULL,
            since = CASE WHEN queue_destination.failures = 0 THEN excluded.since ELSE queue_destination.since END",
        params![domain, until, failures.max(1), crate::storable(why).as_ref(), now],
    )?;
    Ok(())
}

/// The destination works and has enough to do: nothing more is tried there before `until`, for this reason. What is known of its
/// failures stays.
pub fn rest(tx: &mut WriteTx, domain: &str, until: Timestamp, why: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO queue_destination (domain, not_before, failures, since, parked, rests) VALUES ($1, $2, 0, $3, 0, $4)
         ON CONFLICT (domain) DO UPDATE SET not_before = excluded.not_before, rests = excluded.rests",
        params![domain, until, now, crate::storable(why).as_ref()],
    )?;
    Ok(())
}

/// The destination can be reached again: what is parked behind it goes on.
pub fn unblock(tx: &mut WriteTx, domain: &str, now: Timestamp) -> Result<()> {
    let known = tx.execute(
        "UPDATE queue_destination SET failures = 0, why = NULL, rests = NULL, since = $2, not_before = {least:not_before, $2}
         WHERE domain = $1",
        params![domain, now],
    )?;
    if known > 0 {
        // The row is ours now: nobody parks behind it meanwhile.
        tx.execute("DELETE FROM queue_destination WHERE domain = $1 AND parked = 0", params![domain])?;
        crate::news(tx);
    }
    Ok(())
}

/// Destinations after `after`, by name.
pub fn destinations(tx: &ReadTx, after: Option<&str>, limit: usize) -> Result<Vec<Destination>> {
    let sql = format!("SELECT {COLUMNS} FROM queue_destination WHERE domain > $1 ORDER BY domain LIMIT $2");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(tx.rows(&sql, params![after.unwrap_or(""), limit], read)?)
}

/// Those of these domains that have a row.
pub(crate) fn named(tx: &ReadTx, domains: &BTreeSet<&str>) -> Result<HashMap<String, Destination>> {
    let domains: Vec<&str> = domains.iter().copied().collect();
    let sql = format!("SELECT {COLUMNS} FROM queue_destination WHERE domain {{in:$1}}");
    let found = tx.rows(&sql, params![&domains], read)?;
    Ok(found.into_iter().map(|destination| (destination.domain.clone(), destination)).collect())
}

/// Those whose time has come and behind which something is parked, the longest waiting first, without the crowded
/// ones. They are this transaction's own until its end.
pub(crate) fn ready(tx: &ReadTx, now: Timestamp, crowded: &[String], limit: usize) -> Result<Vec<Destination>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM queue_destination {{by:queue_destination_due}}
         WHERE parked = 1 AND not_before <= $1 AND NOT domain {{in:$2}} ORDER BY not_before LIMIT $3 {{free}}"
    );
    Ok(tx.rows(&sql, params![now, crowded, i64::try_from(limit).unwrap_or(i64::MAX)], read)?)
}

/// Recipients may be parked behind these from now on; their rows are this transaction's own.
pub(crate) fn open_parking(tx: &mut WriteTx, domains: &BTreeSet<&str>, now: Timestamp) -> Result<()> {
    let rows: Vec<[Param<'_>; 5]> =
        domains.iter().map(|domain| [(*domain).into(), now.into(), now.into(), 0i64.into(), 1i64.into()]).collect();
    tx.insert_rows(
        "INSERT INTO queue_destination (domain, not_before, since, failures, parked)",
        &rows,
        "ON CONFLICT (domain) DO UPDATE SET parked = 1",
    )?;
    Ok(())
}

/// Nothing is tried there before, unless somebody says more.
pub(crate) fn wait_until(tx: &mut WriteTx, domains: &[&str], until: Timestamp) -> Result<()> {
    if !domains.is_empty() {
        tx.execute("UPDATE queue_destination SET not_before = $1 WHERE domain {in:$2}", params![until, domains])?;
    }
    Ok(())
}

/// Looks whether anything is parked behind destinations whose rows this transaction has; remembers where nothing is.
pub(crate) fn close_parking(tx: &mut WriteTx, domains: &[String]) -> Result<()> {
    if domains.is_empty() {
        return Ok(());
    }
    let empty = tx.rows(
        "SELECT l.value FROM {texts:$1} AS l WHERE NOT EXISTS
            (SELECT 1 FROM queue_recipient r {by:queue_recipient_place}
             WHERE r.domain = l.value AND r.state = 'parked')",
        params![domains],
        |row| row.text(0),
    )?;
    tx.execute("DELETE FROM queue_destination WHERE domain {in:$1} AND failures = 0", params![&empty])?;
    tx.execute("UPDATE queue_destination SET parked = 0 WHERE domain {in:$1}", params![&empty])?;
    Ok(())
}

/// Forgets failures of long ago at destinations that nobody writes to.
pub(crate) fn sweep(tx: &mut WriteTx, now: Timestamp) -> Result<()> {
    tx.execute(
        "DELETE FROM queue_destination WHERE parked = 0 AND domain IN
            (SELECT domain FROM queue_destination {by:queue_destination_due}
             WHERE parked = 0 AND not_before < $1 ORDER BY not_before LIMIT $2 {free})",
        params![now.minus(REMEMBERED), SWEPT_MAX],
    )?;
    Ok(())
}

fn read(row: &postroad_store::Row<'_>) -> postroad_store::Result<Destination> {
    Ok(Destination {
        domain: row.text(0)?,
        not_before: row.id(1)?,
        failures: u32::try_from(row.int(2)?).unwrap_or(u32::MAX),
        why: row.text_or_null(3)?,
        since: row.id(4)?,
        parked: row.bool(5)?,
        rests: row.text_or_null(6)?,
    })
}

const COLUMNS: &str = "domain, not_before, failures, why, since, parked, rests";
/// How long it is remembered that a destination could not be reached, after its time to be tried again.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// Destinations forgotten at a time.
const SWEPT_MAX: i64 = 1000;
