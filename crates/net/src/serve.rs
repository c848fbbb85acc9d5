//! Accepting connections, and what happens to each before its session begins.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use postroad_protocol::{Peer, Protocol, TlsFacts};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::{count_failed_handshake, run};
use crate::limits::Place;
use crate::proxy::{self, Header};
use crate::{Bound, Cuts, Error, Limits, Listener, Refusal, Stop, Stream, Times, Tls, TlsMode, World};

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
    /// Who signed in by what was taken away.
    pub cuts: Cuts,
    next_id: Arc<AtomicU64>,
}

impl Door {
    /// A door whose connection ids go on from `seed` (any number; the time of the start makes them differ from
    /// those of the last run in the logs).
    pub fn new(limits: Arc<Limits>, tls: Option<Tls>, stop: Stop, times: Times, seed: u64) -> Door {
        Door { limits, tls, stop, times, cuts: Cuts::default(), next_id: Arc::new(AtomicU64::new(seed)) }
    }

    /// Whether the listener can be served through this door.
    pub fn check(&self, listener: &Listener) -> Result<(), Error> {
        if listener.tls != TlsMode::None && self.tls.is_none() {
            return Err(Error::NoCertificate { name: listener.name.clone() });
        }
        Ok(())
    }
}

/// A connection's short name in the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    /// Seven characters of Crockford's base 32: they repeat after 34 thousand million connections.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        (0..7).rev().try_for_each(|place| {
            let digit = DIGITS[(self.0 >> (5 * place)) as usize & 31];
            fmt::Write::write_char(f, char::from(digit))
        })
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

/// An accepted connection. It keeps its place in the limits until all of it is dropped, so take it apart with
/// `let Connection { stream, .. } = &mut connection` or move the stream out and keep the rest.
#[derive(Debug)]
pub struct Connection {
    /// Who came.
    pub arrival: Arrival,
    /// Its bytes.
    pub stream: Stream,
    /// Its place in the limits.
    pub place: Place,
}

/// Serves sessions of one protocol on one listener. Returns when the stop was asked for and all connections have
/// ended or the grace period is over; at once, with an error in the log, when [`Door::check`] would have complained.
pub async fn serve<P, W, F>(bound: Bound, door: Door, world: Arc<W>, session: F)
where
    P: Protocol,
    W: World<P>,
    F: Fn(&Arrival) -> P + Send + Sync + 'static,
{
    let session = Arc::new(session);
    let inner = door.clone();
    accept(bound, door, move |connection| {
        let (door, world, session) = (inner.clone(), Arc::clone(&world), Arc::clone(&session));
        async move {
            let Connection { arrival, stream, place: _place } = connection;
            run(stream, &arrival, &door, &*world, session(&arrival)).await;
        }
    })
    .await;
}

/// Serves a listener with something other than a [`Protocol`] (HTTP): `handle` gets each connection after limits,
/// PROXY header and TLS handshake, and should end soon after the door's stop. Returns like [`serve`].
pub async fn accept<F, R>(bound: Bound, door: Door, handle: F)
where
    F: Fn(Connection) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let Bound { listener, address, socket } = bound;
    let name: Arc<str> = listener.name.as_str().into();
    let usable = door.check(&listener).and_then(|()| {
        TcpListener::from_std(socket).map_err(|cause| Error::Bind { name: listener.name.clone(), address, cause })
    });
    let socket = match usable {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(listener = &*name, %error, "the listener is not served");
            return;
        }
    };
    tracing::info!(listener = &*name, %address, "listening");
    let gate = Arc::new(Gate { listener, name, open: Arc::default(), door, handle });
    let mut connections = JoinSet::new();
    let stop = gate.door.stop.clone();
    let mut stopped = pin!(stop.stopped());
    let mut trouble = Trouble::default();
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                tell_of_panic(ended);
                continue;
            }
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                trouble.failures = 0;
                gate.clone().admit(stream, remote, &mut connections);
            }
            Err(error) => {
                let pause = trouble.pause(&error, &gate.name);
                tokio::select! {
                    () = &mut stopped => break,
                    () = sleep(pause) => {}
                }
            }
        }
    }
    drop(socket);
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            tell_of_panic(ended);
        }
    };
    if timeout(gate.door.times.grace, all_ended).await.is_err() {
        let left = gate.open.load(Ordering::Relaxed);
        tracing::warn!(listener = &*gate.name, left, "the grace period is over; connections are cut");
    }
    // Dropping the set ends what is left.
}

/// Sessions catch their own panics; this is for what is around them.
fn tell_of_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked outside of its session");
    }
}

/// What `accept` has failed with in a row.
#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    told: Option<Instant>,
}

impl Trouble {
    /// How long to wait before the next try: without files or memory `accept` fails at once, again and again.
    fn pause(&mut self, error: &io::Error, listener: &str) -> Duration {
        // The client was gone before we took it: nothing is wrong with us.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return Duration::ZERO;
        }
        self.failures = self.failures.saturating_add(1);
        let now = Instant::now();
        if self.told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY) {
            self.told = Some(now);
            tracing::error!(
                listener,
                %error,
                "no connection can be accepted; when it says too many open files, raise LimitNOFILE"
            );
        }
        (SHORTEST_PAUSE * self.failures).min(LONGEST_PAUSE)
    }
}

struct Gate<F> {
    listener: Listener,
    name: Arc<str>,
    open: Arc<AtomicUsize>,
    door: Door,
    handle: F,
}

impl<F, R> Gate<F>
where
    F: Fn(Connection) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    fn admit(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, connections: &mut JoinSet<()>) {
        let place = match self.door.limits.enter(&self.open) {
            Ok(place) => place,
            Err(refusal) => return self.refuse(&stream, remote, refusal),
        };
        let id = ConnectionId(self.door.next_id.fetch_add(1, Ordering::Relaxed));
        connections.spawn(async move {
            let _counted = Counted::new(&self.name);
            // Boxed, so that the room for handshakes is given back before the session begins.
            if let Some(connection) = Box::pin(self.receive(stream, remote, id, place)).await {
                (self.handle)(connection).await;
            }
        });
    }

    /// Everything before the session: the socket's options, the PROXY header, the client's limits, the handshake.
    async fn receive(
        &self,
        mut socket: TcpStream,
        remote: SocketAddr,
        id: ConnectionId,
        mut place: Place,
    ) -> Option<Connection> {
        let mut peer = match prepare(&socket) {
            Ok(local) => Peer { remote: canonical(remote), local: canonical(local) },
            Err(error) => {
                tracing::debug!(listener = &*self.name, %remote, %error, "gone before the session began");
                return None;
            }
        };
        if self.listener.proxy.iter().any(|network| network.contains(remote.ip())) {
            let header = timeout(self.door.times.proxy_header, proxy::read(&mut socket));
            match header.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(Header::Own) => {}
                Ok(Header::Forwarded { source, destination }) => {
                    peer = Peer { remote: canonical(source), local: canonical(destination) };
                }
                Err(error) => {
                    tracing::warn!(listener = &*self.name, proxy = %remote, %error,
                        "no PROXY header; set up the proxy to send one or take it out of this listener's `proxy`");
                    return None;
                }
            }
        }
        if let Err(refusal) = place.belongs_to(peer.remote.ip()) {
            self.refuse(&socket, peer.remote, refusal);
            return None;
        }
        let mut arrival = Arrival { peer, tls: None, id, listener: Arc::clone(&self.name) };
        let mut stream = Stream::Plain(socket);
        if self.listener.tls == TlsMode::Implicit {
            let tls = self.door.tls.as_ref()?;
            let handshake = async {
                let alpn = &self.listener.alpn;
                let secured = async {
                    match tls.challenges() {
                        Some(_) => stream.secure_or_answer(tls, alpn).await,
                        None => stream.secure(tls, alpn).await.map(Some),
                    }
                };
                let secured = timeout(self.door.times.handshake, secured);
                secured.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            };
            let secured = tokio::select! {
                secured = handshake => secured,
                () = self.door.stop.stopped() => return None,
            };
            match secured {
                Ok(Some((secure, facts))) => {
                    stream = secure;
                    arrival.tls = Some(facts);
                }
                // An authority, which has seen what it wanted to see.
                Ok(None) => return None,
                Err(error) => {
                    count_failed_handshake(&self.name);
                    tracing::info!(listener = &*self.name, %id, client = %peer.remote, %error,
                        "the TLS handshake failed");
                    return None;
                }
            }
        }
        Some(Connection { arrival, stream, place })
    }

    fn refuse(&self, socket: &TcpStream, remote: SocketAddr, refusal: Refusal) {
        metrics::counter!("postroad_connections_refused_total",
            "listener" => Arc::clone(&self.name), "reason" => refusal.name())
        .increment(1);
        tracing::debug!(listener = &*self.name, client = %remote, reason = refusal.name(), "connection refused");
        if self.listener.tls != TlsMode::Implicit {
            // The send buffer of a new socket is empty, so this takes the line at once or never. Past tokio, which has
            // not yet heard that the socket can be written.
            let words = match refusal {
                Refusal::Banned => self.listener.banned,
                Refusal::Total | Refusal::Listener | Refusal::Client => self.listener.busy,
            };
            let _ = SockRef::from(socket).send(words);
        }
    }
}

/// The connection in the metrics.
struct Counted(metrics::Gauge);

impl Counted {
    fn new(listener: &Arc<str>) -> Counted {
        metrics::counter!("postroad_connections_total", "listener" => Arc::clone(listener)).increment(1);
        let open = metrics::gauge!("postroad_connections_open", "listener" => Arc::clone(listener));
        open.increment(1.0);
        Counted(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Sets the options of an accepted socket; the address of ours that was reached.
fn prepare(socket: &TcpStream) -> io::Result<SocketAddr> {
    // Output is collected before it is written, so waiting for more only delays answers.
    socket.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_TRIES);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)?;
    socket.local_addr()
}

/// A socket for both families shows IPv4 clients as `::ffff:192.0.2.1`.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A client that vanished without a word is noticed after some nine minutes, long before IDLE's half hour.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(300);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(60);
const KEEPALIVE_TRIES: u32 = 4;

/// Between failures of `accept`: so much more after each.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const TELL_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_have_short_names() {
        for (id, name) in [(0, "0000000"), (31, "000000z"), (32, "0000010"), (u64::MAX, "zzzzzzz")] {
            assert_eq!(ConnectionId(id).to_string(), name);
        }
    }

    #[test]
    fn failing_to_accept_does_not_spin() {
        let mut trouble = Trouble::default();
        let no_files = io::Error::from_raw_os_error(24);
        assert_eq!(trouble.pause(&no_files, "test"), Duration::from_millis(10));
        assert_eq!(trouble.pause(&no_files, "test"), Duration::from_millis(20));
        let gone = io::ErrorKind::ConnectionAborted.into();
        assert_eq!(trouble.pause(&gone, "test"), Duration::ZERO);
        trouble.failures = 10_000;
        assert_eq!(trouble.pause(&no_files, "test"), LONGEST_PAUSE);
    }
}
