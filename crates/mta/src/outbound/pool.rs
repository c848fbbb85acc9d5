//! Connections that have just been used and may be used again soon.
//!
//! Invariants:
//! 1. A connection is either here or with one attempt.
//! 2. It is used again only for the same address and port, whatever name led there, with the same protection (the TLSA
//!    records included) and login; where a certificate has convinced, only for the name that it was verified for. What was
//!    good enough for one policy is never taken for another.
//! 3. Nothing stays longer than the idle time; there are never more than [`KEPT_MAX`].
//! 4. A connection that nobody can use makes room for one that is wanted at the same host.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::route::Protection;

/// Connections that are kept at a time, for all hosts together.
const KEPT_MAX: usize = 256;
/// A connection older than this is not used again, however busy it was: hosts change their minds.
const AGE_MAX: Duration = Duration::from_secs(300);

/// What makes connections to an address interchangeable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The name that the certificate is verified for, where one has to be.
    pub(crate) verified: Option<String>,
    pub(crate) protection: Protection,
    /// Who we are there.
    pub(crate) user: Option<String>,
    /// Who vouches for it, when the route says so.
    pub(crate) authorities: Option<String>,
    /// Where it comes from, where that was chosen.
    pub(crate) sources: Vec<IpAddr>,
}

/// The connections that wait for more to carry.
pub(crate) struct Pool {
    idle: Duration,
    transactions: u32,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Those of each address in the order in which they came.
    by_address: HashMap<SocketAddr, Vec<Idle>>,
    count: usize,
    closed: bool,
}

struct Idle {
    key: Key,
    since: Instant,
    connection: Connection,
}

impl Pool {
    /// `idle`: how long a connection is kept; `transactions`: how many it carries at most.
    pub(crate) fn new(idle: Duration, transactions: u32) -> Pool {
        Pool { idle, transactions, kept: Mutex::default() }
    }

    /// A connection to one of these addresses, the one used last.
    pub(crate) fn take(&self, key: &Key, addresses: &[SocketAddr]) -> Option<Connection> {
        loop {
            let mut kept = self.kept();
            let (_, at) = addresses.iter().filter_map(|at| Some((kept.last(key, at, self.idle)?, *at))).max()?;
            let place = kept.by_address.get(&at)?.iter().rposition(|idle| idle.key == *key)?;
            let mut connection = kept.remove(at, place)?;
            drop(kept);
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Whether there is one.
    pub(crate) fn has(&self, key: &Key, addresses: &[SocketAddr]) -> bool {
        let kept = self.kept();
        addresses.iter().any(|at| kept.last(key, at, self.idle).is_some())
    }

    /// Keeps a connection that may carry `most` messages, or gives it back to be ended.
    pub(crate) fn put(&self, key: Key, connection: Connection, most: u32) -> Option<Connection> {
        let now = Instant::now();
        let used_up =
            connection.transactions >= self.transactions.min(most) || now.duration_since(connection.opened) > AGE_MAX;
        let mut kept = self.kept();
        if used_up || kept.closed || kept.count >= KEPT_MAX {
            return Some(connection);
        }
        kept.count += 1;
        let at = connection.peer.address;
        kept.by_address.entry(at).or_default().push(Idle { key, since: now, connection });
        None
    }

    /// Takes out one that stands in the way of a connection of another kind to one of these addresses: the one that waits
    /// longest. One of the same kind is of use to who comes before in the line.
    pub(crate) fn make_room(&self, key: &Key, addresses: &[SocketAddr]) -> Option<Connection> {
        let mut kept = self.kept();
        let oldest = |at: &SocketAddr| {
            let connections = kept.by_address.get(at)?;
            let place = connections.iter().position(|idle| idle.key != *key)?;
            Some((connections.get(place)?.since, *at, place))
        };
        let (_, at, place) = addresses.iter().filter_map(oldest).min()?;
        kept.remove(at, place)
    }

    /// Takes out what has waited for too long, to be ended.
    pub(crate) fn expired(&self) -> Vec<Connection> {
        let now = Instant::now();
        let mut kept = self.kept();
        let mut out = Vec::new();
        for connections in kept.by_address.values_mut() {
            let old = connections.extract_if(.., |idle| now.duration_since(idle.since) >= self.idle);
            out.extend(old.map(|idle| idle.connection));
        }
        kept.by_address.retain(|_, connections| !connections.is_empty());
        kept.count -= out.len();
        out
    }

    /// When something may have waited for too long.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        // The first of each address has waited longest.
        self.kept().by_address.values().filter_map(|idle| idle.first()).map(|idle| idle.since + self.idle).min()
    }

    /// Takes out everything and keeps nothing from now on.
    pub(crate) fn close(&self) -> Vec<Connection> {
        let mut kept = self.kept();
        kept.closed = true;
        kept.count = 0;
        kept.by_address.drain().flat_map(|(_, connections)| connections).map(|idle| idle.connection).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Since when the one waits that was used last.
    fn last(&self, key: &Key, at: &SocketAddr, within: Duration) -> Option<Instant> {
        let last = self.by_address.get(at)?.iter().rfind(|idle| idle.key == *key)?;
        (last.since.elapsed() < within).then_some(last.since)
    }

    fn remove(&mut self, at: SocketAddr, place: usize) -> Option<Connection> {
        let connections = self.by_address.get_mut(&at)?;
        let idle = connections.remove(place);
        if connections.is_empty() {
            self.by_address.remove(&at);
        }
        self.count -= 1;
        Some(idle.connection)
    }
}

/// Where a host listens.
pub(crate) fn at(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    addresses.iter().map(|address| SocketAddr::new(*address, port)).collect()
}
