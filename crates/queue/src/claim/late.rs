//! The lane of messages that wait for too long: whatever their destinations' state, they end in time, and their
//! senders hear of the delay.
//!
//! What can be tried is tried once more when its time is over, and ends when that fails: nobody's mail is given up
//! because this server was off, or its clock was wrong.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use postroad_store::{Timestamp, WriteTx, params};

use super::parcel::{self, KEY, Key, read_key};
use super::{Round, WINDOW_MAX};
use crate::{Job, Purpose, Result, destination};

/// Up to `most` jobs of messages that are to be looked at. Says how many it gave.
pub(super) fn take(tx: &mut WriteTx, round: &mut Round<'_>, most: usize) -> Result<usize> {
    let (ask, most) = (round.ask, most.min(round.left()));
    if most == 0 {
        return Ok(0);
    }
    let before = round.jobs.len();
    let messages = tx.rows(LATE, params![ask.now, i64::try_from(MESSAGES_MAX).unwrap_or(i64::MAX)], |row| {
        Ok((row.int(0)?, row.id::<Timestamp>(1)?))
    })?;
    let (over, delayed): (Vec<_>, Vec<_>) = messages.into_iter().partition(|(_, expires)| *expires <= ask.now);
    let over: Vec<i64> = over.into_iter().map(|(id, _)| id).collect();
    if !over.is_empty() {
        let looked_at = hand_out(tx, round, &over, EXPIRED, Purpose::Expire, most)?;
        look_again(tx, &looked_at, ask.now.plus(AGAIN_EXPIRED), ask.now)?;
    }
    let left = most.saturating_sub(round.jobs.len() - before);
    if !delayed.is_empty() && left > 0 {
        let ids: Vec<i64> = delayed.iter().map(|(id, _)| *id).collect();
        let looked_at = hand_out(tx, round, &ids, DELAYED, Purpose::TellDelay, left)?;
        look_again(tx, &looked_at, ask.now.plus(AGAIN_DELAYED), ask.now)?;
    }
    Ok(round.jobs.len() - before)
}

/// Jobs of these messages. Gives those that were looked at whole.
fn hand_out(
    tx: &mut WriteTx,
    round: &mut Round<'_>,
    messages: &[i64],
    sql: &str,
    purpose: Purpose,
    most: usize,
) -> Result<Vec<i64>> {
    let ask = round.ask;
    let limit = most.saturating_mul(round.per_job()).min(WINDOW_MAX);
    let sql = sql.replace("KEY", KEY);
    let most_keys = i64::try_from(limit).unwrap_or(i64::MAX);
    let keys: Vec<Key> = match purpose {
        Purpose::Expire => tx.rows(&sql, params![messages, most_keys, ask.now], read_key)?,
        Purpose::Send | Purpose::TellDelay => tx.rows(&sql, params![messages, most_keys], read_key)?,
    };
    let cut = if keys.len() == limit { keys.last().map(|key| key.message) } else { None };
    let mut parcels = parcel::gather(keys, round.per_job());
    let unfinished: BTreeSet<i64> =
        parcels.split_off(most.min(parcels.len())).into_iter().map(|parcel| parcel.message).collect();
    let mut jobs = parcel::hand_out(tx, ask.node, parcels, purpose, ask.now, &HashMap::new())?;
    explain(tx, &mut jobs)?;
    round.jobs.extend(jobs);
    // Messages come in the order of their ids: what lies behind the cut was not looked at.
    let whole = |id: &i64| cut.is_none_or(|cut| *id < cut) && !unfinished.contains(id);
    Ok(messages.iter().copied().filter(whole).collect())
}

/// What nobody has tried has no reply of its own: the destination's is told.
fn explain(tx: &WriteTx, jobs: &mut [Job]) -> Result<()> {
    let silent: BTreeSet<&str> = jobs
        .iter()
        .filter(|job| job.recipients.iter().any(|due| due.last_reply.is_none()))
        .map(|job| job.domain.as_str())
        .collect();
    if silent.is_empty() {
        return Ok(());
    }
    let known = destination::named(tx, &silent)?;
    for job in jobs {
        let why = known.get(&job.domain).and_then(|known| known.why.clone());
        job.failures = known.get(&job.domain).map_or(0, |known| known.failures);
        for due in job.recipients.iter_mut().filter(|due| due.last_reply.is_none()) {
            due.last_reply.clone_from(&why);
        }
    }
    Ok(())
}

fn look_again(tx: &mut WriteTx, messages: &[i64], at: Timestamp, now: Timestamp) -> Result<()> {
    if !messages.is_empty() {
        tx.execute(
            "UPDATE queue_message SET look_at = CASE WHEN expires > $3 AND expires < $1 THEN expires ELSE $1 END
             WHERE id {in:$2}",
            params![at, messages, now],
        )?;
    }
    Ok(())
}

/// `$1` the time, `$2` the limit.
pub(crate) const LATE: &str = "
    SELECT id, expires FROM queue_message {by:queue_message_look} WHERE look_at <= $1
    ORDER BY look_at LIMIT $2 {free}";

/// What cannot be tried, `$3` being the time. What is `waiting` or set back is tried when its turn comes, what is being
/// sent comes back by itself, and what is held waits for its release.
pub(crate) const EXPIRED: &str = "
    SELECT KEY FROM queue_recipient WHERE message {in:$1} AND state = 'parked'
        AND EXISTS (SELECT 1 FROM queue_destination d WHERE d.domain = queue_recipient.domain AND d.not_before > $3)
    ORDER BY message, number LIMIT $2 {free}";

/// What is `waiting` is tried, and told when that fails. Bit 4 of `notify` is DELAY; nobody hears of the delay of a
/// notice (RFC 3461 §6.2: nothing is sent to the null reverse-path).
const DELAYED: &str = "
    SELECT KEY FROM queue_recipient r WHERE message {in:$1} AND state IN ('parked', 'backlog')
        AND delay_told = 0 AND notify & 4 <> 0
        AND EXISTS (SELECT 1 FROM queue_message m WHERE m.id = r.message AND m.sender <> '')
    ORDER BY message, number LIMIT $2 {free}";

/// Messages looked at in one claim.
const MESSAGES_MAX: usize = 128;
/// A message whose time is over and that is still there is looked at again after this time.
const AGAIN_EXPIRED: Duration = Duration::from_secs(15 * 60);
/// One that waits for long, after this time or when it expires.
const AGAIN_DELAYED: Duration = Duration::from_secs(60 * 60);
