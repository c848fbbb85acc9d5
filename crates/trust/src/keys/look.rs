//! What was seen in the DNS, and how keys go on because of it and of time.

use std::time::Duration;

use postroad_store::{ReadTx, Result, Timestamp, WriteTx, params};

use super::change::{become_active, set_state};
use super::{Algorithm, Found, Key, KeyId, State, list, news};

/// What the administrator decides about keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// There is somebody to ask: without, a key signs unseen.
    pub has_dns: bool,
    /// How old a key becomes before another takes its place; `None` for ever.
    pub rotate: Option<Duration>,
    /// How long a record has to be there before its key takes the place of another: name servers of a zone learn of it one
    /// after the other.
    pub settle: Duration,
    /// How long the record of a key is wanted after it signed last: mail waits in queues, here and elsewhere.
    pub retire: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { has_dns: true, rotate: Some(180 * DAY), settle: HOUR, retire: 14 * DAY }
    }
}

/// What was found for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub key: KeyId,
    /// What.
    pub found: Found,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its record was seen for the first time.
    Published(Key),
    /// It signs from now on.
    Active(Key),
    /// Another took its place.
    Retired(Key),
    /// Nobody needs its record any more.
    Gone(Key),
    /// It signs, and what it signs cannot be verified. Said at once, and again each [`TELL_EVERY`].
    Wrong(Key),
    /// What was wrong is right again.
    Right(Key),
    /// The domain's keys of these kinds are as old as they may become: others are to be made ([`super::put`]).
    Aged(Vec<Algorithm>),
}

/// Domains with keys that are to be looked at, the longest due first. One statement.
pub fn due(tx: &ReadTx, now: Timestamp, limit: u32) -> Result<Vec<String>> {
    tx.rows(
        "SELECT domain FROM signing_key WHERE due <= $1 GROUP BY domain ORDER BY min(due), domain LIMIT $2",
        params![now, limit],
        |row| row.text(0),
    )
}

/// The domain's keys are due now, and whoever looks is woken.
pub fn look_now(tx: &mut WriteTx, domain: &str, now: Timestamp) -> Result<()> {
    tx.execute("UPDATE signing_key SET due = $2 WHERE domain = $1 AND due > $2", params![domain, now])?;
    news(tx);
    Ok(())
}

/// Writes down what the DNS had for a domain's keys, and lets each go on: the module's table. Locks: [`super::lock`].
pub fn record_look(
    tx: &mut WriteTx,
    domain: &str,
    findings: &[Finding],
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for key in list(tx, Some(domain))? {
        if let Some(finding) = findings.iter().find(|finding| finding.key == key.id) {
            saw(tx, key, &finding.found, now, &mut events)?;
        }
    }
    for algorithm in Algorithm::ALL {
        succeed(tx, domain, algorithm, policy, now, &mut events)?;
    }
    for key in list(tx, Some(domain))? {
        if key.state == State::Retired && now >= key.since.plus(policy.retire) {
            set_state(tx, key.id, State::Gone, now)?;
            events.push(Event::Gone(key));
        }
    }
    let keys = list(tx, Some(domain))?;
    let aged: Vec<Algorithm> =
        Algorithm::ALL.into_iter().filter(|algorithm| is_aged(&keys, *algorithm, policy, now)).collect();
    if !aged.is_empty() {
        events.push(Event::Aged(aged));
    }
    for key in keys {
        let due = next_look(&key, policy, now);
        tx.execute("UPDATE signing_key SET due = $2 WHERE id = $1", params![key.id.0, due])?;
    }
    // A row that a later version wrote is not read here, and must not be due for ever.
    tx.execute("UPDATE signing_key SET due = NULL WHERE domain = $1 AND due <= $2", params![domain, now])?;
    Ok(events)
}

/// One finding.
fn saw(tx: &mut WriteTx, mut key: Key, found: &Found, now: Timestamp, events: &mut Vec<Event>) -> Result<()> {
    // An answer that did not come changes nothing of what was known; of a key nobody knows it is the news.
    let found = match (found, &key.found) {
        (Found::Failed(_), Found::Unasked | Found::Failed(_)) => found.clone(),
        (Found::Failed(_), known) => known.clone(),
        (found, _) => found.clone(),
    };
    let was_alarming = key.is_alarming();
    key.found = found;
    key.checked = Some(now);
    if key.state == State::Made && key.found == Found::Good {
        set_state(tx, key.id, State::Published, now)?;
        (key.state, key.since) = (State::Published, now);
        events.push(Event::Published(key.clone()));
    } else if key.state == State::Published && key.found.is_wrong() {
        // Taken away before it was used.
        set_state(tx, key.id, State::Made, now)?;
        (key.state, key.since) = (State::Made, now);
    }
    let tell = key.is_alarming() && key.told.is_none_or(|told| now >= told.plus(TELL_EVERY));
    if tell {
        key.told = Some(now);
        events.push(Event::Wrong(key.clone()));
    } else if was_alarming && !key.is_alarming() {
        key.told = None;
        events.push(Event::Right(key.clone()));
    }
    tx.execute(
        "UPDATE signing_key SET found = $2, found_text = $3, checked = $4, told = $5 WHERE id = $1",
        params![key.id.0, key.found.name(), key.found.text(), now, key.told],
    )?;
    Ok(())
}

/// The next key of a kind takes its place, if it is time.
fn succeed(
    tx: &mut WriteTx,
    domain: &str,
    algorithm: Algorithm,
    policy: &Policy,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<()> {
    let keys: Vec<Key> = list(tx, Some(domain))?.into_iter().filter(|key| key.algorithm == algorithm).collect();
    let signs = keys.iter().any(|key| key.state == State::Active);
    let ready = keys.iter().rev().find(|key| match key.state {
        State::Published => !signs || now >= key.since.plus(policy.settle),
        State::Made => !policy.has_dns,
        State::Active | State::Retired | State::Gone => false,
    });
    let Some(next) = ready.cloned() else { return Ok(()) };
    for old in become_active(tx, &next, now)? {
        events.push(Event::Retired(old));
    }
    events.push(Event::Active(Key { state: State::Active, since: now, active: Some(now), ..next }));
    Ok(())
}

fn is_aged(keys: &[Key], algorithm: Algorithm, policy: &Policy, now: Timestamp) -> bool {
    let Some(rotate) = policy.rotate else { return false };
    let mut of_kind = keys.iter().filter(|key| key.algorithm == algorithm);
    let old = |key: &Key| key.state == State::Active && now >= key.made.plus(rotate);
    let waits = |key: &Key| matches!(key.state, State::Made | State::Published);
    of_kind.clone().any(old) && !of_kind.any(waits)
}

/// When a key is to be looked at again; `None` for never.
fn next_look(key: &Key, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let age = Duration::from_micros(u64::try_from(now.0 - key.made.0).unwrap_or(0));
    let soon = match age {
        age if age < HOUR => MINUTE,
        age if age < DAY => 10 * MINUTE,
        _ => HOUR,
    };
    match key.state {
        // Somebody may be publishing it right now, and waits.
        State::Made => Some(now.plus(soon)),
        State::Published => Some(now.plus(soon.min(policy.settle).max(MINUTE))),
        State::Active if key.found == Found::Good => Some(now.plus(HOUR)),
        State::Active => Some(now.plus(10 * MINUTE)),
        State::Retired => Some(key.since.plus(policy.retire)),
        State::Gone => None,
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An alarm is repeated so often while it lasts.
pub const TELL_EVERY: Duration = DAY;
