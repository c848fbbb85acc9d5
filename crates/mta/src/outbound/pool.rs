//! Connections that have just been used and may be used again soon.
//!
//! Invariants:
//! 1. A connection is either here or with one attempt.
//! 2. It is used again only for the same host, port, protection and login, at an address that is still the host's.
//! 3. Nothing stays longer than the idle time; there are never more than [`KEPT_MAX`].

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::route::Protection;

/// Connections that are kept at a time, for all hosts together.
const KEPT_MAX: usize = 256;
/// A connection older than this is not used again, however busy it was: hosts change their minds.
const AGE_MAX: Duration = Duration::from_secs(300);

/// What makes connections interchangeable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) protection: Protection,
    /// Who we are there.
    pub(crate) user: Option<String>,
    /// Who vouches for it, when the route says so.
    pub(crate) authorities: Option<String>,
}

/// The connections that wait for more to carry.
pub(crate) struct Pool {
    idle: Duration,
    transactions: u32,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Key, Vec<(Instant, Connection)>>,
    count: usize,
    closed: bool,
}

impl Pool {
    /// `idle`: how long a connection is kept; `transactions`: how many it carries at most.
    pub(crate) fn new(idle: Duration, transactions: u32) -> Pool {
        Pool { idle, transactions, kept: Mutex::default() }
    }

    /// A connection to one of these addresses, the one used last.
    pub(crate) fn take(&self, key: &Key, addresses: &[IpAddr]) -> Option<Connection> {
        let now = Instant::now();
        loop {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let connections = kept.by_key.get_mut(key)?;
            let at = connections.iter().rposition(|(since, connection)| {
                now.duration_since(*since) < self.idle && addresses.contains(&connection.peer.address.ip())
            })?;
            let (_, mut connection) = connections.remove(at);
            if connections.is_empty() {
                kept.by_key.remove(key);
            }
            kept.count -= 1;
            drop(kept);
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Whether there is one.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).by_key.contains_key(key)
    }

    /// Keeps a connection, or gives it back to be ended.
    pub(crate) fn put(&self, key: Key, connection: Connection) -> Option<Connection> {
        let now = Instant::now();
        let used_up = connection.transactions >= self.transactions || now.duration_since(connection.opened) > AGE_MAX;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if used_up || kept.closed || kept.count >= KEPT_MAX {
            return Some(connection);
        }
        kept.count += 1;
        kept.by_key.entry(key).or_default().push((now, connection));
        None
    }

    /// Takes out what has waited for too long, to be ended.
    pub(crate) fn expired(&self) -> Vec<Connection> {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        for connections in kept.by_key.values_mut() {
            let old = connections.extract_if(.., |(since, _)| now.duration_since(*since) >= self.idle);
            out.extend(old.map(|(_, connection)| connection));
        }
        kept.by_key.retain(|_, connections| !connections.is_empty());
        kept.count -= out.len();
        out
    }

    /// When something may have waited for too long.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_key.values().flatten().map(|(since, _)| *since + self.idle).min()
    }

    /// Takes out everything and keeps nothing from now on.
    pub(crate) fn close(&self) -> Vec<Connection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.closed = true;
        kept.count = 0;
        kept.by_key.drain().flat_map(|(_, connections)| connections).map(|(_, connection)| connection).collect()
    }
}

/// Where a host listens.
pub(crate) fn at(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    addresses.iter().map(|address| SocketAddr::new(*address, port)).collect()
}
