//! Work is handed out: bounded, in due order, without reading what is not due.
//!
//! What waits stands in one of four lanes, and each claim gives each lane its part:
//!
//! - *due*: recipients in the order of the time index. The first few are looked at, and of what is urgent (MT-PRIORITY) as
//!   many again; a level of priority is worth a minute of waiting, so that nobody starves. What belongs to a destination that
//!   is blocked or at its limit is parked; what one sender has beyond a share, while a whole window is full, goes to
//!   the backlog. So whatever stands in front, others are seen after a few windows.
//! - *parked*: destinations whose time has come, the longest waiting first, and behind each its recipients. A
//!   destination that could not be reached gets one job, the probe; the others wait for its outcome.
//! - *backlog*: recipients of senders with much to send, in the order of the time index again.
//! - *late*: messages whose time is over, and such whose senders are to be told that they wait.
//!
//! Nothing here waits for a recipient that another transaction has in hand (PostgreSQL: SKIP LOCKED), so that two
//! nodes never get the same one and never stand in each other's way.

mod due;
mod late;
mod parcel;
mod parked;
#[cfg(test)]
mod plan;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use postroad_store::{ReadTx, Timestamp, WriteTx, params};

use crate::{Ask, JOBS_MAX, Job, Node, Purpose, Result, destination, node};
use parcel::Parcel;

/// Hands out work in due order, one job for each message, destination and forwarding address: a dozen statements or
/// fewer, whatever waits. Fewer jobs than asked for do not mean that nothing is left: ask [`next_due`]. `Lost` when
/// the node's lease has ended ([`crate::beat`], [`crate::recover`]).
pub fn claim(tx: &mut WriteTx, ask: &Ask<'_>) -> Result<Vec<Job>> {
    node::check(tx, ask.node, ask.now)?;
    let mut round = Round::new(ask);
    if round.left() == 0 {
        return Ok(Vec::new());
    }
    by_index(tx)?;
    let ready = Ready::look(tx, ask)?;
    round.urgent = ready.urgent;
    // With one job at a time the lanes take turns; with many each has its part. What one leaves the others get.
    let part = |every: usize, turn: u64| (round.most / every).max(usize::from(ask.turn % 8 == turn));
    let (late, parked) = (part(8, 7), part(4, 1).max(part(4, 5)));
    let backlog = part(4, 3);
    let mut later = if ready.late { late::take(tx, &mut round, late)? == late } else { false };
    let kept = [(ready.parked, parked), (ready.backlog, backlog)].iter().map(|lane| usize::from(lane.0) * lane.1).sum();
    let most = round.left().saturating_sub(kept);
    let more_due = due::take(tx, &mut round, due::Lane::Due, most)? == most;
    let most = round.left().saturating_sub(if ready.parked { parked } else { 0 });
    let more_backlog = ready.backlog && due::take(tx, &mut round, due::Lane::Backlog, most)? == most;
    // From here on destinations' rows are held; nothing below waits for another one (see `schema.rs` for the order).
    round.settle_destinations(tx)?;
    if ready.parked {
        parked::take(tx, &mut round)?;
    }
    for (lane, more) in [(due::Lane::Due, more_due), (due::Lane::Backlog, more_backlog)] {
        if more && round.left() > 0 {
            let most = round.left();
            due::take(tx, &mut round, lane, most)?;
        }
    }
    later &= round.left() > 0;
    if later {
        let most = round.left();
        late::take(tx, &mut round, most)?;
    }
    Ok(round.jobs)
}

/// More work for a destination whose connection is open, also when it is blocked or crowded: what is due and what is
/// parked, in order. Four statements.
pub fn claim_for(
    tx: &mut WriteTx,
    node: &Node,
    domain: &str,
    jobs: usize,
    recipients_per_job: usize,
    now: Timestamp,
) -> Result<Vec<Job>> {
    node::check(tx, node, now)?;
    by_index(tx)?;
    let per_job = recipients_per_job.max(1);
    let jobs = jobs.min(JOBS_MAX);
    let keys = parked::behind(tx, domain, now, jobs.saturating_mul(per_job).min(WINDOW_MAX))?;
    let mut parcels = parcel::gather(keys, per_job);
    parcels.truncate(jobs);
    parcel::hand_out(tx, node, parcels, Purpose::Send, now, &HashMap::new())
}

/// When [`claim`] may have something; in the past when it may have something now, `None` when nothing waits. `crowded`
/// as in [`Ask`]: what waits for these is no reason to ask. One statement that reads one entry of each index.
pub fn next_due(tx: &ReadTx, crowded: &[String]) -> Result<Option<Timestamp>> {
    let (times, backlog) = tx.one(NEXT, params![crowded], |row| {
        Ok(([row.int_or_null(0)?, row.int_or_null(1)?, row.int_or_null(2)?], row.int_or_null(3)?))
    })?;
    // The backlog is due already, whatever its order says.
    Ok(times.into_iter().flatten().chain(backlog.map(|_| 0)).min().map(Timestamp))
}

/// PostgreSQL's statistics of a queue are always of another time: an hour ago nothing waited, now a million do. A plan
/// that was good for nothing reads the million. In this transaction it goes by the indexes, whatever it believes.
fn by_index(tx: &ReadTx) -> Result<()> {
    if tx.is_postgres() {
        tx.one(
            "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
                    set_config('enable_sort', 'off', true), set_config('enable_hashjoin', 'off', true),
                    set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)",
            params![],
            |_| Ok(()),
        )?;
    }
    Ok(())
}

/// What there is in the lanes beside the first.
struct Ready {
    late: bool,
    parked: bool,
    backlog: bool,
    urgent: bool,
}

impl Ready {
    fn look(tx: &ReadTx, ask: &Ask<'_>) -> Result<Ready> {
        let now = |time: Option<i64>| time.is_some_and(|time| time <= ask.now.0);
        Ok(tx.one(NEXT, params![ask.crowded], |row| {
            let [parked, late] = [row.int_or_null(1)?, row.int_or_null(2)?].map(now);
            let urgent = now(row.int_or_null(4)?);
            Ok(Ready { late, parked, backlog: row.int_or_null(3)?.is_some(), urgent })
        })?)
    }
}

/// One claim under way.
struct Round<'a> {
    ask: &'a Ask<'a>,
    most: usize,
    jobs: Vec<Job>,
    /// Jobs of this round by destination.
    taken: HashMap<String, usize>,
    /// To be parked behind their destinations.
    park: Vec<Parcel>,
    /// Destinations that get a probe.
    probed: BTreeSet<String>,
    /// Whether these two are done with: nothing is parked or probed any more in this round.
    settled: bool,
    /// Something urgent is due.
    urgent: bool,
}

impl<'a> Round<'a> {
    fn new(ask: &'a Ask<'a>) -> Round<'a> {
        Round {
            ask,
            most: ask.jobs.min(JOBS_MAX),
            jobs: Vec::new(),
            taken: HashMap::new(),
            park: Vec::new(),
            probed: BTreeSet::new(),
            settled: false,
            urgent: false,
        }
    }

    fn left(&self) -> usize {
        self.most.saturating_sub(self.jobs.len())
    }

    /// How many more jobs a destination may get in this round.
    fn room(&self, domain: &str) -> usize {
        self.ask.jobs_per_destination.max(1).saturating_sub(self.taken.get(domain).copied().unwrap_or(0))
    }

    fn per_job(&self) -> usize {
        self.ask.recipients_per_job.max(1)
    }

    /// Parks, and lets destinations wait for the outcome of their probes. All rows are taken in one statement, by name,
    /// so that two nodes do not wait for each other in a ring.
    fn settle_destinations(&mut self, tx: &mut WriteTx) -> Result<()> {
        self.settled = true;
        let parked = self.park.iter().map(|parcel| parcel.domain.as_str());
        let domains: BTreeSet<&str> = parked.chain(self.probed.iter().map(String::as_str)).collect();
        destination::open_parking(tx, &domains, self.ask.now)?;
        parcel::park(tx, &self.park)?;
        let probed: Vec<&str> = self.probed.iter().map(String::as_str).collect();
        destination::wait_until(tx, &probed, self.ask.now.plus(PROBE))
    }

    fn give(&mut self, jobs: Vec<Job>) {
        for job in &jobs {
            *self.taken.entry(job.domain.clone()).or_insert(0) += 1;
        }
        self.jobs.extend(jobs);
    }
}

pub(crate) use parcel::list;

/// The first of each lane: due, destinations with something parked, messages to be looked at, backlog, urgent.
pub(crate) const NEXT: &str = "
    SELECT (SELECT min(due) FROM queue_recipient {by:queue_recipient_waiting} WHERE state = 'waiting'),
           (SELECT min(not_before) FROM queue_destination {by:queue_destination_due}
            WHERE parked = 1 AND NOT domain {in:$1}),
           (SELECT min(look_at) FROM queue_message {by:queue_message_look}),
           (SELECT min(due) FROM queue_recipient {by:queue_recipient_backlog} WHERE state = 'backlog'),
           (SELECT min(due) FROM queue_recipient {by:queue_recipient_urgent} WHERE state = 'waiting' AND priority > 0)";

/// Most recipients looked at in one statement.
const WINDOW_MAX: usize = 1024;
/// Fewest.
const WINDOW_MIN: usize = 128;
/// Recipients looked at for each job asked for.
const WINDOW_PER_JOB: usize = 16;
/// A sender with more than this part of a full window goes to the backlog with what is not taken at once.
const SHARE: usize = 8;
/// What one sender has beyond its share is ordered as if it had come in at this distance, job by job.
const SPACING: Duration = Duration::from_secs(1);
/// The outcome of a probe is waited for so long.
pub(crate) const PROBE: Duration = Duration::from_secs(15 * 60);
