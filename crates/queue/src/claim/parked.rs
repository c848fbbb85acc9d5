//! The lane of destinations that were blocked or crowded.

use std::collections::HashMap;

use postroad_store::{ReadTx, Timestamp, WriteTx, params};

use super::parcel::{self, KEY, Key, read_key};
use super::{PROBE, Round, WINDOW_MAX};
use crate::{Purpose, Result, destination};

/// Jobs for destinations whose time has come, as many as are left.
pub(super) fn take(tx: &mut WriteTx, round: &mut Round<'_>) -> Result<()> {
    let ask = round.ask;
    let (mut chosen, mut visited, mut empty) = (Vec::new(), HashMap::new(), Vec::new());
    for destination in destination::ready(tx, ask.now, ask.crowded, round.left().min(VISITS_MAX))? {
        let left = round.left().saturating_sub(chosen.len());
        let want = if destination.failures > 0 { 1 } else { round.room(&destination.domain) }.min(left);
        if want == 0 {
            continue;
        }
        let keys = behind(tx, &destination.domain, ask.now, want.saturating_mul(round.per_job()).min(WINDOW_MAX))?;
        if keys.is_empty() {
            empty.push(destination.domain.clone());
        }
        chosen.extend(parcel::gather(keys, round.per_job()).into_iter().take(want));
        visited.insert(destination.domain.clone(), destination);
    }
    let jobs = parcel::hand_out(tx, ask.node, chosen, Purpose::Send, ask.now, &visited)?;
    let probed: Vec<&str> = jobs.iter().filter(|job| job.probe).map(|job| job.domain.as_str()).collect();
    // To the end of the row of those that wait; a probe's outcome is waited for.
    let waits: Vec<&str> = visited.keys().map(String::as_str).filter(|domain| !probed.contains(domain)).collect();
    destination::wait_until(tx, &waits, ask.now)?;
    destination::wait_until(tx, &probed, ask.now.plus(PROBE))?;
    round.give(jobs);
    destination::close_parking(tx, &empty)
}

/// What is due and what is parked for a destination, in order; each index is read up to the limit.
pub(super) fn behind(tx: &ReadTx, domain: &str, now: Timestamp, limit: usize) -> Result<Vec<Key>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut keys = tx.rows(&behind_sql(), params![domain, now, limit], read_key)?;
    keys.sort_by_key(Key::order);
    keys.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(keys)
}

/// `$1` the domain, `$2` the time, `$3` the limit.
pub(crate) fn behind_sql() -> String {
    let one = |condition: &str, name: &str| {
        format!(
            "SELECT * FROM (SELECT {KEY} FROM queue_recipient {{by:queue_recipient_place}}
                WHERE domain = $1 AND {condition} ORDER BY due LIMIT $3 {{free}}) AS {name}"
        )
    };
    [
        one("state = 'waiting' AND due <= $2", "waiting"),
        one("state = 'parked'", "parked"),
        one("state = 'backlog'", "backlog"),
    ]
    .join(" UNION ALL ")
}

/// Destinations looked at in one claim.
const VISITS_MAX: usize = 16;
