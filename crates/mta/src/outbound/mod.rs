//! Mail going out: what the queue hands out is taken to the next host, and what came of it is recorded.
//!
//! [`Outbound`] claims jobs (`dispatch`), finds the hosts of a destination (`hosts`) and how they have to be spoken with
//! (`security`), reaches one of them (`connect`, `open`, `tls`, `pool`, `gates`), drives a session without sockets over the connection (`connection`, over [`postroad_smtp::client`]) and
//! settles what was said (`settle`: one transaction with the queue's rows, notices and the story).
//!
//! What is never here: SMTP's grammar, SQL, an address that neither the DNS nor a route named. No lock is held across
//! an await; no attempt outlives the lease under which it was claimed.
//!
//! Standards: RFC 5321 (§4.5.4 and §5), RFC 7505 (null MX), RFC 3207 and RFC 7435 (STARTTLS, opportunistic), RFC
//! 3461 to 3464 (notices), RFC 6531 (SMTPUTF8), RFC 6152 and 3030 (bodies), RFC 7672 (DANE), RFC 8461 (MTA-STS), RFC 8689
//! (REQUIRETLS), RFC 8460 (what TLS reports are made of).

mod attempt;
pub mod classify;
mod connect;
mod connection;
mod dispatch;
mod envelope;
mod gates;
mod halt;
mod held;
mod hosts;
pub(crate) mod https;
mod lease;
mod login;
pub mod look;
mod open;
mod pool;
pub(crate) mod post;
mod route;
mod schedule;
mod security;
mod settle;
mod shaping;
mod source;
mod suppressed;
mod targets;
pub(crate) mod tls;
mod trip;
mod wire;
mod wishes;
mod words;
mod work;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use postroad_dns::Dns;
use postroad_login::Clock;
use postroad_net::Stop;
use postroad_queue as queue;
use postroad_queue::Node;
use postroad_smtp::client::Patience;
use postroad_store::{Locks, Store};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use hosts::Ourselves;
pub use schedule::Schedule;
pub use security::{Floor, Follow};
pub use shaping::{BUILT_IN, BuiltIn, warm_up_cap};

use crate::sign::Signing;
use attempt::Carrier;
use dispatch::{Dispatch, moment};
use gates::Gates;
use halt::Brake;
use https::Https;
use lease::Lease;
use pool::Pool;
use security::Guard;
use security::results::Results;
use security::sts::Sts;
use settle::Settler;
pub(crate) use source::Source;
use work::Bench;

/// How mail is sent. [`Settings::new`] fills in what is good for most.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our name in EHLO and in notices.
    pub hostname: String,
    /// Where other servers take mail: 25, but in tests and trials.
    pub port: u16,
    /// Whether the DNS may lead to this machine: for tests and trials.
    pub allow_loopback: bool,
    /// Addresses of ours to send from, one of each family; without one the system chooses.
    pub sources: Vec<IpAddr>,
    /// Jobs, and so connections that carry mail, at a time.
    pub concurrency: usize,
    /// The same for one destination.
    pub connections_per_destination: usize,
    /// Connections to one next host, whatever mail they carry; also what a route has in place of the one before.
    pub connections_per_host: usize,
    /// Recipients of one transaction.
    pub recipients_per_message: usize,
    /// Transactions of one connection.
    pub messages_per_connection: u32,
    /// How long a connection is kept that has nothing to carry.
    pub idle: Duration,
    /// How long all addresses of a host together may take to accept a connection.
    pub connect_within: Duration,
    /// How long a host may take to answer, by phase.
    pub patience: Patience,
    /// Certificates (PEM) of the authorities that vouch for hosts; without a file the system's.
    pub authorities: Option<PathBuf>,
    /// Which policies of others are followed.
    pub follow: Follow,
    /// Where the policies of other domains are fetched: 443, but in tests.
    pub mta_sts_port: u16,
    /// When things are tried again and the sender is told.
    pub schedule: Schedule,
    /// For how long other servers that share the queue believe that this one lives after they last heard of it.
    pub lease: Duration,
    /// How long attempts may go on after the stop.
    pub grace: Duration,
}

impl Settings {
    /// Good values under a host name.
    pub fn new(hostname: impl Into<String>) -> Settings {
        Settings {
            hostname: hostname.into(),
            port: 25,
            allow_loopback: false,
            sources: Vec::new(),
            concurrency: 400,
            connections_per_destination: 10,
            connections_per_host: 20,
            recipients_per_message: 100,
            messages_per_connection: 100,
            idle: Duration::from_secs(5),
            connect_within: attempt::CONNECT_WITHIN,
            patience: Patience::default(),
            authorities: None,
            follow: Follow::default(),
            mta_sts_port: 443,
            schedule: Schedule::default(),
            lease: queue::LEASE,
            grace: Duration::from_secs(15),
        }
    }
}

/// Sends what the queue of a store holds.
pub struct Outbound {
    store: Store,
    settings: Settings,
    carrier: Arc<Carrier>,
    sts: Arc<Sts>,
    results: Results,
    clock: Clock,
    seed: Arc<AtomicU64>,
    /// The node's name, stable for a data folder.
    node: String,
}

/// Before the database is asked again.
const AGAIN: Duration = Duration::from_secs(2);
/// What was learned of hosts is written down.
const NOTED_EVERY: Duration = Duration::from_secs(10);
/// Nodes that died are looked for so often in a lease.
const LOOKS: u32 = 2;
/// Leaving must not hold up the stop for longer.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

impl Outbound {
    /// `node` is this server's name among those that share the queue; `seed` is any value. Errors: TLS cannot be set up.
    pub fn new(
        store: Store,
        settings: Settings,
        dns: Arc<dyn Dns>,
        ourselves: Ourselves,
        clock: Clock,
        node: impl Into<String>,
        seed: u64,
    ) -> Result<Outbound, rustls::Error> {
        let tls = tls::Tls::new(settings.authorities.as_deref())?;
        let https = Https {
            dns: Arc::clone(&dns),
            tls: tls.clone(),
            port: settings.mta_sts_port,
            allow_loopback: settings.allow_loopback,
            sources: settings.sources.clone(),
        };
        let sts = Arc::new(Sts::new(store.clone(), Arc::clone(&dns), https, Arc::clone(&clock)));
        let guard = Guard { dns: Arc::clone(&dns), sts: Arc::clone(&sts), follow: settings.follow };
        let results = Results::new(Arc::clone(&clock));
        let carrier = Carrier {
            store: store.clone(),
            dns,
            guard: Arc::new(guard),
            results: results.clone(),
            tls,
            pool: Pool::new(settings.idle, settings.messages_per_connection),
            gates: Gates::new(settings.connections_per_host),
            settings: settings.clone(),
            ourselves,
            clock: Arc::clone(&clock),
            signing: Signing::default(),
            shaping: Arc::default(),
            tokens: None,
        };
        Ok(Outbound {
            store,
            sts,
            results,
            settings,
            carrier: Arc::new(carrier),
            clock,
            seed: Arc::new(AtomicU64::new(seed)),
            node: node.into(),
        })
    }

    /// The same, signing what it writes and converts, and rewriting the senders of what is forwarded.
    #[must_use]
    pub fn signing(mut self, signing: Signing) -> Outbound {
        if let Some(carrier) = Arc::get_mut(&mut self.carrier) {
            carrier.signing = signing;
        }
        self
    }

    /// The same, with tokens for routes that sign in with them.
    #[must_use]
    pub fn tokens(mut self, tokens: postroad_oauth::Tokens) -> Outbound {
        if let Some(carrier) = Arc::get_mut(&mut self.carrier) {
            carrier.tokens = Some(tokens);
        }
        self
    }

    /// Sends until the stop. Attempts that run then may end; what has not begun goes back to the queue.
    pub async fn run(self, stop: Stop) {
        tokio::join!(
            async {
                while !stop.is_stopped() {
                    self.live(&stop).await;
                }
            },
            self.sts.keep(&stop),
            self.results.keep(&self.store, &stop),
        );
        // What the last attempts have shown.
        self.results.flush(&self.store).await;
        // All at once: each may take its time to say good-bye.
        let (brake, mut leaving) = (Brake::new(), JoinSet::new());
        for connection in self.carrier.pool.close() {
            let halt = brake.handle();
            leaving.spawn(async move { connection.quit(&halt).await });
        }
        while leaving.join_next().await.is_some() {}
    }

    /// One life: from the lease to its loss, or to the stop.
    async fn live(&self, stop: &Stop) {
        // What an earlier life claimed and did not record is told from what this one has.
        let node = Node::new(self.node.clone()).with_lease(self.settings.lease);
        let Some(lease) = self.recover(&node, stop).await else { return };
        let brake = Brake::new();
        let bench = Arc::new(Bench {
            carrier: Arc::clone(&self.carrier),
            settler: Settler {
                store: self.store.clone(),
                hostname: self.settings.hostname.clone(),
                clock: Arc::clone(&self.clock),
                schedule: self.settings.schedule,
                stop: stop.clone(),
                signing: self.carrier.signing.clone(),
            },
            clock: Arc::clone(&self.clock),
            lease: Arc::clone(&lease),
            halt: brake.handle(),
        });
        let dispatch = Dispatch::new(
            self.store.clone(),
            self.settings.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.seed),
            node.clone(),
            bench,
        );
        let kept = Arc::clone(&lease);
        tokio::select! {
            () = dispatch.run(stop, &brake) => {}
            () = async {
                tokio::join!(
                    kept.keep(&self.store, &node, &self.clock, &brake),
                    self.look_after(&node),
                    self.remember()
                );
            } => {}
        }
        self.note().await;
        if lease.was_taken() {
            // Two that take the name from each other would send everything twice: who lost it waits.
            tokio::select! {
                () = sleep(self.settings.lease) => {}
                () = stop.stopped() => {}
            }
            return;
        }
        let leaving = node.clone();
        let left = self.store.write(Locks::none(), move |tx| queue::leave(tx, &leaving));
        match timeout(LEAVE_WITHIN, left).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what was claimed is free when this server starts again"),
            Err(_) => tracing::warn!("what was claimed is free when this server starts again: the database is slow"),
        }
    }

    /// Begins a life; waits for the database. None after the stop.
    async fn recover(&self, node: &Node, stop: &Stop) -> Option<Arc<Lease>> {
        loop {
            let ((asked, now), reviving) = (moment(&self.clock), node.clone());
            let recovered = self.store.write(Locks::none(), move |tx| queue::recover(tx, &reviving, now)).await;
            match recovered {
                Ok(freed) => {
                    if freed.value > 0 {
                        tracing::info!(recipients = freed.value, "attempts that were cut off are made again");
                    }
                    return Some(Arc::new(Lease::new(node, asked, now)));
                }
                Err(error) => tracing::warn!(%error, "sending waits for the database"),
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = stop.stopped() => return None,
            }
        }
    }

    /// Keeps what is learned of hosts and addresses, and hears what other nodes have learned.
    async fn remember(&self) {
        loop {
            self.note().await;
            sleep(NOTED_EVERY).await;
        }
    }

    async fn note(&self) {
        let now = (self.clock)();
        let news = self.carrier.shaping.news(now);
        let noted = match news.is_empty() {
            true => self.store.read(queue::shaping::noted).await,
            false => {
                let written = self.store.write(Locks::none(), move |tx| {
                    queue::shaping::note(tx, &news, now)?;
                    queue::suppression::sweep(tx, now)?;
                    queue::shaping::noted(tx)
                });
                written.await.map(|written| written.value)
            }
        };
        match noted {
            Ok(noted) => self.carrier.shaping.recall(&noted, now),
            Err(error) => tracing::debug!(%error, "what was learned of hosts is not written down"),
        }
    }

    /// Frees what nodes that died have claimed.
    async fn look_after(&self, node: &Node) {
        loop {
            sleep(node.lease() / LOOKS).await;
            let (now, looking) = ((self.clock)(), node.clone());
            match self.store.write(Locks::none(), move |tx| queue::recover(tx, &looking, now)).await {
                Ok(freed) if freed.value > 0 => {
                    tracing::info!(recipients = freed.value, "the claims of a node that is gone were taken over");
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "nodes that are gone were not looked for"),
            }
        }
    }
}
