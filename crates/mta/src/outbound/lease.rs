//! The node's lease: for how long the others believe that it lives, and what ends with it.
//!
//! The queue hands out claims to nodes that are alive. A node that cannot reach the database cannot say that it is,
//! and after a while the others take its claims over. Before that moment every attempt here has ended.

use std::sync::atomic::{AtomicBool, Ordering};

use postroad_login::Clock;
use postroad_queue as queue;
use postroad_queue::Node;
use postroad_store::{Locks, Store, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::halt::Brake;

/// The lease is renewed so often in its time.
const BEATS: u32 = 6;
/// Soon again after a beat that failed: so many times in a lease.
const BEATS_AGAIN: u32 = 60;
/// This part of a lease before its end, attempts end: what came of them is still to be recorded.
const MARGIN: u32 = 6;

/// How long the lease is held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// By our clock; attempts have ended before it.
    pub(crate) until: Instant,
    /// By everybody's; nothing is recorded after it.
    pub(crate) ends: Timestamp,
}

/// The lease of one life of a node.
#[derive(Debug)]
pub(crate) struct Lease {
    held: watch::Sender<Held>,
    /// Another server has taken this node's name.
    taken: AtomicBool,
}

impl Lease {
    /// Held from `asked`, the moment before the database was asked.
    pub(crate) fn new(node: &Node, asked: Instant, now: Timestamp) -> Lease {
        Lease { held: watch::Sender::new(held(node, asked, now)), taken: AtomicBool::new(false) }
    }

    pub(crate) fn held(&self) -> Held {
        *self.held.borrow()
    }

    /// Whether an attempt may begin.
    pub(crate) fn is_good(&self) -> bool {
        Instant::now() < self.held().until
    }

    /// Whether another server took this node's name.
    pub(crate) fn was_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// Renews the lease. Ends when it could not be renewed in time: then the brake has been pulled.
    pub(crate) async fn keep(&self, store: &Store, node: &Node, clock: &Clock, brake: &Brake) {
        let (beat_every, beat_again) = (node.lease() / BEATS, node.lease() / BEATS_AGAIN);
        let mut pause = beat_every;
        loop {
            let until = self.held().until;
            if timeout_at(until, sleep(pause)).await.is_err() {
                tracing::error!(
                    "sending stops until the database can be written again: the lease of this node runs out"
                );
                brake.pull();
                return;
            }
            let (asked, now, beating) = (Instant::now(), clock(), node.clone());
            let beat = store.write(Locks::none(), move |tx| queue::beat(tx, &beating, now));
            match timeout_at(until, beat).await {
                Ok(Ok(_)) => {
                    self.held.send_replace(held(node, asked, now));
                    pause = beat_every;
                }
                Ok(Err(queue::Error::Lost)) => {
                    tracing::error!(
                        node = node.name(),
                        "another server sends under this node's name; this one stops sending for a while: give each \
                         server a data folder of its own, not a copy"
                    );
                    self.taken.store(true, Ordering::Relaxed);
                    brake.pull();
                    return;
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the lease of this node was not renewed; it is tried again");
                    pause = beat_again;
                }
                Err(_) => pause = beat_again,
            }
        }
    }
}

fn held(node: &Node, asked: Instant, now: Timestamp) -> Held {
    let lease = node.lease();
    Held { until: asked + (lease - lease / MARGIN), ends: now.plus(lease) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use postroad_testkit::TestStore;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_348_800_000_000);
    const LEASE: Duration = Duration::from_secs(60);

    fn clock() -> Clock {
        let began = Instant::now();
        Arc::new(move || NOW.plus(began.elapsed()))
    }

    fn begin(test: &TestStore, node: &Node) -> Lease {
        let reviving = node.clone();
        let begun = test.store.write_blocking(Locks::none(), move |tx| queue::recover(tx, &reviving, NOW));
        begun.expect("a life");
        Lease::new(node, Instant::now(), NOW)
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_database_attempts_end_before_the_lease() {
        let test = TestStore::memory(&[postroad_queue::MIGRATIONS]);
        let (node, brake, clock) = (Node::new("n").with_lease(LEASE), Brake::new(), clock());
        let lease = begin(&test, &node);
        let halt = brake.handle();
        let keeping = lease.keep(&test.store, &node, &clock, &brake);
        let rounds = async {
            tokio::time::sleep(10 * LEASE).await;
            assert!(lease.is_good() && !halt.is_pulled(), "it is renewed");
            test.store.close();
        };
        let began = Instant::now();
        tokio::join!(keeping, rounds);
        assert!(halt.is_pulled() && !lease.is_good() && !lease.was_taken());
        let after = began.elapsed() - 10 * LEASE;
        assert!(after < LEASE && after > LEASE / 2, "{after:?} after the database went");
    }

    #[tokio::test(start_paused = true)]
    async fn who_loses_its_name_stops() {
        let test = TestStore::memory(&[postroad_queue::MIGRATIONS]);
        let (node, brake, clock) = (Node::new("n").with_lease(LEASE), Brake::new(), clock());
        let lease = begin(&test, &node);
        begin(&test, &Node::new("n").with_lease(LEASE));
        lease.keep(&test.store, &node, &clock, &brake).await;
        assert!(brake.handle().is_pulled() && lease.was_taken());
    }
}
