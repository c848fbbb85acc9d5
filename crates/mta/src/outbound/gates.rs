//! Next hosts as this node knows them: how many connections there are to each, and whether it works.
//!
//! A host is an address with its port, whatever name led to it: ten thousand domains at one provider meet here.
//!
//! 1. There are never more connections to a host than the limit, those that are kept included. A host that has not
//!    greeted yet gets [`UNKNOWN_MAX`].
//! 2. Who comes when all are taken waits in line, first come, first served, and no longer than [`MOMENT`]. Who is put
//!    off is given a time of their own, as far away as the line is slow; at a slow host the line is kept short.
//! 3. A host that failed [`TRIES`] times, with nothing that went well since those tries began, rests. Until its time
//!    nobody connects; then one tries for all. One thing that goes well ends it.
//!
//! The lock is held for a look and never across an await. Nothing here is a matter of a domain or of the database.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::shaping::Permit;

/// Tries before it is believed that a host does not work.
const TRIES: u32 = 3;
/// Connections to a host that nobody knows.
const UNKNOWN_MAX: usize = 5;
/// How long somebody waits in line.
const MOMENT: Duration = Duration::from_secs(3);
/// Who is put off comes again before this.
const PUT_OFF_MAX: Duration = Duration::from_secs(10 * 60);
/// How far apart those who are put off come again, at most.
const PACE_MAX: Duration = Duration::from_secs(5);
/// Seconds that a host rests, by how often in a row.
const RESTS: [u64; 5] = [30, 60, 120, 300, 600];
/// Hosts that are remembered before those are forgotten that were not asked for within [`FORGOTTEN_AFTER`], and if that is
/// not enough, all that have no connection.
const KNOWN_MAX: usize = 4096;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(20 * 60);

/// All hosts of a node.
#[derive(Debug)]
pub(crate) struct Gates {
    limit: usize,
    hosts: Mutex<HashMap<SocketAddr, Host>>,
    /// Those in line, at all hosts together.
    in_line: AtomicUsize,
    /// Somebody stood in line, or left it.
    pub(crate) moved: Notify,
}

#[derive(Debug)]
struct Host {
    /// Connections, and such as are being made.
    used: usize,
    waiting: usize,
    line: Arc<Notify>,
    /// It has greeted.
    known: bool,
    worked: Option<Instant>,
    failures: u32,
    rests: usize,
    rest: Option<Rest>,
    /// Somebody was put off, and the line was never empty since.
    slow: bool,
    /// When the line moved last, and how long that takes.
    moved: Instant,
    pace: Duration,
    /// When the last one who was put off comes again.
    last_turn: Instant,
    touched: Instant,
}

#[derive(Debug)]
struct Rest {
    until: Instant,
    why: String,
    /// Somebody finds out whether it works again.
    probed: bool,
}

/// The right to have a connection to a host, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    gates: Arc<Gates>,
    at: SocketAddr,
    since: Instant,
    probe: bool,
    /// The same for all hosts that one limit is for.
    pub(crate) permit: Option<Permit>,
}

/// What there is at some addresses.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A slot at each that works and has room, at least one.
    Open(Vec<Slot>),
    /// All are taken.
    Full,
    /// They are known not to work, for this reason.
    Down(String),
}

/// The same without taking anything: the sooner, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outlook {
    Open,
    Full,
    Down,
}

/// A place in a line, left when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    gates: Arc<Gates>,
    at: SocketAddr,
    line: Arc<Notify>,
    until: Instant,
}

/// Why nobody may stand in line: come again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PutOff(pub(crate) Duration);

impl Gates {
    /// With this many connections to each host.
    pub(crate) fn new(limit: usize) -> Arc<Gates> {
        Arc::new(Gates {
            limit: limit.max(1),
            hosts: Mutex::default(),
            in_line: AtomicUsize::new(0),
            moved: Notify::new(),
        })
    }

    /// How many stand in line, at all hosts together: they do nothing.
    pub(crate) fn in_line(&self) -> usize {
        self.in_line.load(Ordering::Relaxed)
    }

    /// What can be expected.
    pub(crate) fn outlook(&self, addresses: &[SocketAddr]) -> Outlook {
        let (hosts, now) = (self.hosts(), Instant::now());
        let one = |at: &SocketAddr| hosts.get(at).map_or(Outlook::Open, |host| host.outlook(self.limit, now, false));
        addresses.iter().map(one).min().unwrap_or(Outlook::Open)
    }

    /// Takes a slot at each of the addresses that has one; with a turn, one whose it is passes those behind.
    pub(crate) fn enter(self: &Arc<Gates>, addresses: &[SocketAddr], turn: Option<&Turn>) -> Entry {
        let (mut hosts, now) = (self.hosts(), Instant::now());
        forget(&mut hosts, now);
        let (mut open, mut probe, mut full, mut why) = (Vec::new(), None, false, None);
        for at in addresses {
            let host = hosts.entry(*at).or_insert_with(|| Host::new(now));
            host.touched = now;
            match (host.outlook(self.limit, now, turn.is_some()), &host.rest) {
                (Outlook::Open, None) => {
                    host.used += 1;
                    open.push((*at, false));
                }
                (Outlook::Open, Some(_)) => probe = probe.or(Some(*at)),
                (Outlook::Full, _) => full = true,
                (Outlook::Down, rest) => why = why.or(rest.as_ref().map(|rest| rest.why.clone())),
            }
        }
        if let (true, false, Some(at)) = (open.is_empty(), full, probe)
            && let Some(host) = hosts.get_mut(&at)
        {
            host.used += 1;
            if let Some(rest) = &mut host.rest {
                rest.probed = true;
            }
            open.push((at, true));
        }
        drop(hosts);
        if open.is_empty() {
            return if full { Entry::Full } else { Entry::Down(why.unwrap_or_default()) };
        }
        let slot = |(at, probe)| Slot { gates: Arc::clone(self), at, since: now, probe, permit: None };
        Entry::Open(open.into_iter().map(slot).collect())
    }

    /// Whether somebody waits for one of these, who comes first.
    pub(crate) fn has_line(&self, addresses: &[SocketAddr]) -> bool {
        let hosts = self.hosts();
        addresses.iter().any(|at| hosts.get(at).is_some_and(|host| host.waiting > 0))
    }

    /// Stands in line at a host.
    pub(crate) fn stand(self: &Arc<Gates>, at: SocketAddr) -> Result<Turn, PutOff> {
        let (mut hosts, now) = (self.hosts(), Instant::now());
        let host = hosts.entry(at).or_insert_with(|| Host::new(now));
        if host.slow && host.waiting >= self.limit {
            return Err(host.put_off(now));
        }
        if host.waiting == 0 {
            host.moved = now;
        }
        host.waiting += 1;
        let line = Arc::clone(&host.line);
        drop(hosts);
        self.in_line.fetch_add(1, Ordering::Relaxed);
        self.moved.notify_one();
        Ok(Turn { gates: Arc::clone(self), at, line, until: now + MOMENT })
    }

    /// There is a connection that somebody else may use.
    pub(crate) fn offered(&self, at: SocketAddr) {
        if let Some(host) = self.hosts().get_mut(&at) {
            host.step(1, Instant::now());
        }
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<SocketAddr, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    fn new(now: Instant) -> Host {
        Host {
            used: 0,
            waiting: 0,
            line: Arc::default(),
            known: false,
            worked: None,
            failures: 0,
            rests: 0,
            rest: None,
            slow: false,
            moved: now,
            pace: Duration::ZERO,
            last_turn: now,
            touched: now,
        }
    }

    /// `turn`: for who comes from the line.
    fn outlook(&self, limit: usize, now: Instant, turn: bool) -> Outlook {
        match &self.rest {
            Some(rest) if rest.until > now || rest.probed => Outlook::Down,
            _ if self.used >= self.limit(limit) || (self.waiting > 0 && !turn) => Outlook::Full,
            Some(_) | None => Outlook::Open,
        }
    }

    fn limit(&self, limit: usize) -> usize {
        if self.known { limit } else { limit.min(UNKNOWN_MAX) }
    }

    /// So many of the line may look again.
    fn step(&mut self, count: usize, now: Instant) {
        if self.waiting > 0 {
            self.pace = (self.pace * 7 + (now - self.moved)) / 8;
            self.moved = now;
            (0..count.min(self.waiting)).for_each(|_| self.line.notify_one());
        }
    }

    fn put_off(&mut self, now: Instant) -> PutOff {
        self.slow = true;
        let pace = self.pace.max((now - self.moved) / 4).min(PACE_MAX);
        self.last_turn = (self.last_turn.max(now + MOMENT) + pace).min(now + PUT_OFF_MAX);
        PutOff(self.last_turn - now)
    }

    fn begin_rest(&mut self, why: &str, now: Instant) {
        let seconds = RESTS[self.rests.min(RESTS.len() - 1)];
        self.rests += 1;
        self.rest = Some(Rest { until: now + Duration::from_secs(seconds), why: why.to_owned(), probed: false });
        // They learn it all at once.
        self.line.notify_waiters();
    }
}

/// Forgets hosts that nothing goes on at, when there are many: half of them at least, so that it is seldom done.
fn forget(hosts: &mut HashMap<SocketAddr, Host>, now: Instant) {
    if hosts.len() >= KNOWN_MAX {
        hosts.retain(|_, host| host.used + host.waiting > 0 || now - host.touched < FORGOTTEN_AFTER);
        if hosts.len() > KNOWN_MAX / 2 {
            hosts.retain(|_, host| host.used + host.waiting > 0);
        }
    }
}

impl Slot {
    /// Where to.
    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    /// The host has greeted: there may be more connections.
    pub(crate) fn greeted(&self) {
        self.with(|host, limit, now| {
            if !host.known {
                host.known = true;
                host.step(limit.saturating_sub(host.used), now);
            }
        });
    }

    /// Something went well.
    pub(crate) fn worked(&mut self) {
        self.probe = false;
        self.with(|host, limit, now| {
            (host.known, host.worked, host.failures, host.rests) = (true, Some(now), 0, 0);
            if host.rest.take().is_some() {
                host.step(limit.saturating_sub(host.used), now);
            }
        });
    }

    /// The host did not do what hosts do.
    pub(crate) fn failed(&mut self, why: &str) {
        let (since, probe) = (self.since, std::mem::take(&mut self.probe));
        self.with(|host, _, now| {
            if host.worked.is_some_and(|worked| worked >= since) {
                return;
            }
            host.failures += 1;
            if probe || (host.rest.is_none() && host.failures >= TRIES) {
                host.begin_rest(why, now);
            }
        });
    }

    fn with(&self, change: impl FnOnce(&mut Host, usize, Instant)) {
        if let Some(host) = self.gates.hosts().get_mut(&self.at) {
            change(host, self.gates.limit, Instant::now());
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let probe = self.probe;
        self.with(|host, _, now| {
            host.used -= 1;
            if let Some(rest) = host.rest.as_mut().filter(|_| probe) {
                rest.probed = false;
            }
            host.step(1, now);
        });
    }
}

impl Turn {
    /// Waits until it may be one's turn: then look, and wait again. The error: it took too long.
    pub(crate) async fn come(&self) -> Result<(), PutOff> {
        if tokio::time::timeout_at(self.until, self.line.notified()).await.is_ok() {
            return Ok(());
        }
        let (mut hosts, now) = (self.gates.hosts(), Instant::now());
        let host = hosts.entry(self.at).or_insert_with(|| Host::new(now));
        Err(host.put_off(now))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(host) = self.gates.hosts().get_mut(&self.at) {
            host.waiting -= 1;
            host.slow &= host.waiting > 0;
            // What it did not take is for the next.
            if host.waiting > 0 && host.used < host.limit(self.gates.limit) {
                host.line.notify_one();
            }
        }
        self.gates.in_line.fetch_sub(1, Ordering::Relaxed);
        self.gates.moved.notify_one();
    }
}

#[cfg(test)]
mod tests;
