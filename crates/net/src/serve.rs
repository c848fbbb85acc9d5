//! Accepting connections.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use postroad_protocol::{Peer, Protocol, TlsFacts};

use crate::{Bound, Limits, Stop, Stream, Times, Tls, World};

/// What all listeners share. Clones share it too.
#[derive(Debug, Clone)]
pub struct Door {
    /// How many may come in.
    pub limits: Arc<Limits>,
    /// The certificates to show; None when there are none, and then no listener may ask for TLS.
    pub tls: Option<Tls>,
    /// Ends everything.
    pub stop: Stop,
    /// How long things may take.
    pub times: Times,
    next_id: Arc<AtomicU64>,
}

impl Door {
    /// A door whose connection ids go on from `seed` (any number; the time of the start makes them differ from
    /// those of the last run in the logs).
    pub fn new(limits: Arc<Limits>, tls: Option<Tls>, stop: Stop, times: Times, seed: u64) -> Door {
        Door { limits, tls, stop, times, next_id: Arc::new(AtomicU64::new(seed)) }
    }
}

/// A connection's short name in the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who came, and how.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The client, after the PROXY protocol had its say.
    pub peer: Peer,
    /// Set when TLS began with the first byte.
    pub tls: Option<TlsFacts>,
    /// The name in the logs.
    pub id: ConnectionId,
    /// The listener's name.
    pub listener: Arc<str>,
}

/// An accepted connection. It keeps its place in the limits until dropped.
#[derive(Debug)]
pub struct Connection {
    /// Who came.
    pub arrival: Arrival,
    /// Its bytes.
    pub stream: Stream,
}

/// Serves sessions of one protocol on one listener. Returns when the stop was asked for and all connections have
/// ended or the grace period is over.
pub async fn serve<P, W, F>(bound: Bound, door: Door, world: Arc<W>, session: F)
where
    P: Protocol,
    W: World<P>,
    F: Fn(&Arrival) -> P + Send + Sync + 'static,
{
    let _ = (bound, door, world, session);
    unimplemented!()
}

/// Serves a listener with something other than a [`Protocol`] (HTTP): `handle` gets each connection after limits,
/// PROXY header and TLS handshake, and should end soon after the door's stop. Returns like [`serve`].
pub async fn accept<F, R>(bound: Bound, door: Door, handle: F)
where
    F: Fn(Connection) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let _ = (bound, door, handle);
    unimplemented!()
}
