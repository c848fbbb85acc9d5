//! The lanes in the order of the time index: what is due, and the backlog.

use std::collections::{BTreeSet, HashMap, VecDeque};

use postroad_store::{ReadTx, Timestamp, WriteTx, params};

use super::parcel::{self, KEY, Key, Parcel, read_key};
use super::{Round, SHARE, SPACING, WINDOW_MAX, WINDOW_MIN, WINDOW_PER_JOB};
use crate::destination::Destination;
use crate::{Purpose, Result, destination};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Due,
    Backlog,
}

/// Up to `most` jobs. Notes what is to be parked, sets back what one sender has too much of. Says how many it gave.
pub(super) fn take(tx: &mut WriteTx, round: &mut Round<'_>, lane: Lane, most: usize) -> Result<usize> {
    let (ask, most) = (round.ask, most.min(round.left()));
    if most == 0 {
        return Ok(0);
    }
    let size = (round.most * WINDOW_PER_JOB).clamp(WINDOW_MIN, WINDOW_MAX);
    let keys = window(tx, lane, ask.now, size)?;
    if keys.is_empty() {
        return Ok(0);
    }
    let full = keys.len() == size;
    let keys = match lane {
        Lane::Due if round.urgent => with_urgent(tx, keys, ask.now, size)?,
        Lane::Due | Lane::Backlog => {
            let mut keys = keys;
            keys.sort_by_key(Key::order);
            keys
        }
    };
    let parcels = parcel::gather(keys, round.per_job());
    let domains: BTreeSet<&str> = parcels.iter().map(|parcel| parcel.domain.as_str()).collect();
    let known = destination::named(tx, &domains)?;
    let mut sorted = sort(round, parcels, &known);
    let mut back = Vec::new();
    let parked: usize = sorted.park.iter().map(|parcel| parcel.rows.len()).sum();
    if full || sorted.go.len() > most || parked > size / SHARE {
        let senders = senders(tx, sorted.go.iter().chain(&sorted.park))?;
        let name = |parcel: &Parcel| senders.get(&parcel.message).cloned().unwrap_or_default();
        sorted.go = in_turns(sorted.go, name);
        let rest = sorted.go.split_off(most.min(sorted.go.len()));
        if full && lane == Lane::Due {
            back = beyond_share(rest, size / SHARE, ask.now, name);
        }
        // Also behind a destination nobody stands before all others.
        space_out(&mut sorted.park, size / SHARE, ask.now, name);
    }
    if !round.settled {
        round.park.append(&mut sorted.park);
    }
    parcel::set_back(tx, &back)?;
    let jobs = parcel::hand_out(tx, ask.node, sorted.go, Purpose::Send, ask.now, &known)?;
    round.probed.extend(jobs.iter().filter(|job| job.probe).map(|job| job.domain.clone()));
    let given = jobs.len();
    round.give(jobs);
    Ok(given)
}

/// The first of a lane.
fn window(tx: &ReadTx, lane: Lane, now: Timestamp, limit: usize) -> Result<Vec<Key>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(match lane {
        Lane::Due => tx.rows(&due_sql(), params![now, limit], read_key)?,
        Lane::Backlog => tx.rows(&backlog_sql(), params![limit], read_key)?,
    })
}

/// The window with what is urgent, however far behind it stands, in the order of priority and time. What is urgent may
/// fill a part of the window only: the rest of it is seen in any case.
fn with_urgent(tx: &ReadTx, keys: Vec<Key>, now: Timestamp, size: usize) -> Result<Vec<Key>> {
    let limit = i64::try_from((size / URGENT_SHARE).max(1)).unwrap_or(i64::MAX);
    let mut all = tx.rows(&urgent_sql(), params![now, limit], read_key)?;
    let known: BTreeSet<(i64, i64)> = all.iter().map(|key| (key.message, key.number)).collect();
    all.extend(keys.into_iter().filter(|key| !known.contains(&(key.message, key.number))));
    all.sort_by_key(Key::order);
    Ok(all)
}

/// `$1` the time, `$2` the limit.
pub(crate) fn urgent_sql() -> String {
    format!(
        "SELECT {KEY} FROM queue_recipient {{by:queue_recipient_urgent}}
         WHERE state = 'waiting' AND priority > 0 AND due <= $1 ORDER BY due, message, number LIMIT $2 {{free}}"
    )
}

/// Of a window, so much is for what is urgent.
const URGENT_SHARE: usize = 2;

/// `$1` the time, `$2` the limit.
pub(crate) fn due_sql() -> String {
    format!(
        "SELECT {KEY} FROM queue_recipient {{by:queue_recipient_waiting}} WHERE state = 'waiting' AND due <= $1
         ORDER BY due, message, number LIMIT $2 {{free}}"
    )
}

/// `$1` the limit.
pub(crate) fn backlog_sql() -> String {
    format!(
        "SELECT {KEY} FROM queue_recipient {{by:queue_recipient_backlog}} WHERE state = 'backlog'
         ORDER BY due, message, number LIMIT $1 {{free}}"
    )
}

struct Sorted {
    go: Vec<Parcel>,
    park: Vec<Parcel>,
}

/// Who can go, and who has to wait for the destination.
fn sort(round: &Round<'_>, parcels: Vec<Parcel>, known: &HashMap<String, Destination>) -> Sorted {
    let crowded: BTreeSet<&str> = round.ask.crowded.iter().map(String::as_str).collect();
    let mut room: HashMap<String, usize> = HashMap::new();
    let mut sorted = Sorted { go: Vec::new(), park: Vec::new() };
    for parcel in parcels {
        let room = room.entry(parcel.domain.clone()).or_insert_with(|| match known.get(&parcel.domain) {
            Some(known) if known.not_before > round.ask.now => 0,
            _ if crowded.contains(parcel.domain.as_str()) => 0,
            Some(known) if known.failures > 0 && round.settled => 0,
            Some(known) if known.failures > 0 => round.room(&parcel.domain).min(1),
            Some(_) | None => round.room(&parcel.domain),
        });
        if *room == 0 {
            sorted.park.push(parcel);
        } else {
            *room -= 1;
            sorted.go.push(parcel);
        }
    }
    sorted
}

fn senders<'a>(tx: &ReadTx, parcels: impl Iterator<Item = &'a Parcel>) -> Result<HashMap<i64, String>> {
    let ids: BTreeSet<i64> = parcels.map(|parcel| parcel.message).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let found = tx.rows("SELECT id, sender FROM queue_message WHERE id {in:$1}", params![&ids], |row| {
        Ok((row.int(0)?, row.text(1)?))
    })?;
    Ok(found.into_iter().collect())
}

/// One of each sender, then the second of each, and so on; each sender's own in their order.
fn in_turns(parcels: Vec<Parcel>, sender: impl Fn(&Parcel) -> String) -> Vec<Parcel> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut lines: Vec<VecDeque<Parcel>> = Vec::new();
    for parcel in parcels {
        let place = *places.entry(sender(&parcel)).or_insert(lines.len());
        if place == lines.len() {
            lines.push(VecDeque::new());
        }
        lines[place].push_back(parcel);
    }
    let mut ordered = Vec::new();
    while !lines.is_empty() {
        ordered.extend(lines.iter_mut().filter_map(VecDeque::pop_front));
        lines.retain(|line| !line.is_empty());
    }
    ordered
}

/// What is left of senders who have more than their share of the window, spaced out.
fn beyond_share(rest: Vec<Parcel>, share: usize, now: Timestamp, sender: impl Fn(&Parcel) -> String) -> Vec<Parcel> {
    let mut recipients: HashMap<String, usize> = HashMap::new();
    for parcel in &rest {
        *recipients.entry(sender(parcel)).or_insert(0) += parcel.rows.len();
    }
    let mut back: Vec<Parcel> =
        rest.into_iter().filter(|parcel| recipients.get(&sender(parcel)).is_some_and(|count| *count > share)).collect();
    space_out(&mut back, share, now, sender);
    back
}

/// Of each sender with more than a share: an order as if the jobs had come in one after the other.
fn space_out(parcels: &mut [Parcel], share: usize, now: Timestamp, sender: impl Fn(&Parcel) -> String) {
    let mut recipients: HashMap<String, usize> = HashMap::new();
    for parcel in &*parcels {
        *recipients.entry(sender(parcel)).or_insert(0) += parcel.rows.len();
    }
    let mut places: HashMap<String, u32> = HashMap::new();
    for parcel in parcels {
        let sender = sender(parcel);
        if recipients.get(&sender).is_none_or(|count| *count <= share) {
            continue;
        }
        let place = places.entry(sender).or_insert(0);
        let due = now.plus(SPACING * *place).0;
        *place += 1;
        parcel.rows.iter_mut().for_each(|row| row.1 = row.1.max(due));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(message: i64) -> Parcel {
        Parcel { message, domain: "a.test".into(), via: None, rows: vec![(0, 5)] }
    }

    #[test]
    fn senders_take_turns() {
        // Messages 1 to 5 are of one sender, 6 and 7 of another, 8 of a third.
        let sender = |parcel: &Parcel| ["a", "b", "c"][(parcel.message / 6 + parcel.message / 8) as usize].to_owned();
        let ordered = in_turns((1..=8).map(parcel).collect(), sender);
        let ids: Vec<i64> = ordered.iter().map(|parcel| parcel.message).collect();
        assert_eq!(ids, [1, 6, 8, 2, 7, 3, 4, 5]);
        let back = beyond_share(ordered, 2, Timestamp(100), sender);
        let dues: Vec<(i64, i64)> = back.iter().map(|parcel| (parcel.message, parcel.rows[0].1)).collect();
        assert_eq!(dues, [(1, 100), (2, 1_000_100), (3, 2_000_100), (4, 3_000_100), (5, 4_000_100)]);
    }
}
