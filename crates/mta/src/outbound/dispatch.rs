//! Hands out work: claims what is due, bounded as a whole and by destination, and starts it.
//!
//! 1. No more jobs run than the concurrency, no more for one destination than its own. Jobs that connect to nobody take
//!    no place of their destination, and those that stand in line at a host (`gates`) none of the concurrency. A route's
//!    host may have as many as a host may have, for each destination that it is for.
//! 2. What is claimed beyond that waits here, at most as much again; nothing else is claimed meanwhile.
//! 3. It sleeps until the queue has news, something is due, or a job has ended; and never longer than [`NAP`].
//! 4. While connections to a destination are open, there is more for them at once; not when it could not be reached.
//! 5. After the stop, and after the lease, nothing begins.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postroad_login::Clock;
use postroad_net::Stop;
use postroad_queue as queue;
use postroad_queue::{Ask, Job, Node, Purpose};
use postroad_store::{Locks, ModSeq, Store, Timestamp};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Settings;
use super::gates::Gates;
use super::halt::Brake;
use super::hosts::next_random;
use super::lease::Lease;
use super::pool::Pool;
use super::route::Routes;
use super::work::Bench;

/// The longest sleep: a hint from another node may have been lost.
const NAP: Duration = Duration::from_secs(60);
/// The shortest, so that what is due but not given to us is not asked for without pause.
const BLINK: Duration = Duration::from_millis(100);
/// After the database failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// The dispatcher of one life of a node.
pub(crate) struct Dispatch {
    store: Store,
    settings: Settings,
    clock: Clock,
    seed: Arc<AtomicU64>,
    node: Node,
    lease: Arc<Lease>,
    bench: Arc<Bench>,
    routes: Routes,
    /// Each says whether it reached its destination.
    running: JoinSet<bool>,
    /// Which destination's place a task has.
    tasks: HashMap<Id, String>,
    places: HashMap<String, Place>,
    /// Jobs that wait for one of the places of all.
    ready: VecDeque<Job>,
    /// Jobs claimed that do not run.
    held: usize,
    /// There may be more to claim.
    more: bool,
    /// When there may be, as of the last look.
    wake: Instant,
    turn: u64,
}

/// What goes on for one destination.
#[derive(Default)]
struct Place {
    running: usize,
    /// Jobs that wait for one of the places of all.
    ready: usize,
    /// Jobs that wait for one of the destination's places.
    waiting: VecDeque<Job>,
    /// Some of its mail was left in the queue because there was enough of it here.
    left_out: bool,
}

impl Place {
    fn jobs(&self) -> usize {
        self.running + self.ready + self.waiting.len()
    }
}

impl Dispatch {
    pub(crate) fn new(
        store: Store,
        settings: Settings,
        clock: Clock,
        seed: Arc<AtomicU64>,
        node: Node,
        bench: Arc<Bench>,
    ) -> Dispatch {
        Dispatch {
            lease: Arc::clone(&bench.lease),
            store,
            settings,
            clock,
            seed,
            node,
            bench,
            routes: Routes::default(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            places: HashMap::new(),
            ready: VecDeque::new(),
            held: 0,
            more: true,
            wake: Instant::now(),
            turn: 0,
        }
    }

    /// Until the stop or the end of the lease; then what runs is waited for.
    pub(crate) async fn run(mut self, stop: &Stop, brake: &Brake) {
        let mut news = self.store.hub().subscribe(queue::NEWS);
        let halt = self.bench.halt.clone();
        while !stop.is_stopped() && !halt.is_pulled() {
            // Also when something else ended the wait at the same moment.
            self.more |= news.has_changed().unwrap_or(false);
            news.borrow_and_update();
            let wake = self.fill().await;
            self.wait(&mut news, wake, stop).await;
        }
        // What is claimed and has not begun goes back with the rest when the node leaves.
        let grace = Instant::now() + self.settings.grace;
        while !self.running.is_empty() {
            tokio::select! {
                _ = self.running.join_next() => {}
                () = sleep_until(grace), if !halt.is_pulled() => brake.pull(),
            }
        }
    }

    async fn wait(&mut self, news: &mut watch::Receiver<ModSeq>, wake: Instant, stop: &Stop) {
        let (pool, gates): (&Pool, &Gates) = (&self.bench.carrier.pool, &self.bench.carrier.gates);
        let expiry = pool.next_expiry().unwrap_or_else(|| Instant::now() + NAP);
        let halt = self.bench.halt.clone();
        tokio::select! {
            () = stop.stopped() => {}
            () = halt.pulled() => {}
            changed = news.changed() => {
                // The hub lives as long as the store.
                if changed.is_ok() {
                    self.more = true;
                }
            }
            Some(ended) = self.running.join_next_with_id(), if !self.running.is_empty() => {
                self.ended(ended).await;
                while let Some(ended) = self.running.try_join_next_with_id() {
                    self.ended(ended).await;
                }
            }
            // Who stands in line leaves a place to others.
            () = gates.moved.notified() => {}
            () = sleep_until(expiry) => {
                for connection in pool.expired() {
                    let halt = halt.clone();
                    tokio::spawn(async move { connection.quit(&halt).await });
                }
            }
            () = sleep_until(wake) => self.more = true,
        }
    }

    /// Starts what can be started and claims what there is room for. Says when to look again.
    async fn fill(&mut self) -> Instant {
        self.start_ready();
        let far = Instant::now() + NAP;
        if !self.more || !self.lease.is_good() {
            return self.wake.min(far);
        }
        while self.more {
            let room = (2 * self.settings.concurrency).saturating_sub(self.running.len() + self.held);
            // Few at a time would cost a transaction each.
            if room * 4 < self.settings.concurrency {
                return far;
            }
            match self.claim(room.min(queue::JOBS_MAX)).await {
                Ok(jobs) => {
                    self.more = !jobs.is_empty();
                    jobs.into_iter().for_each(|job| self.begin(job));
                }
                Err(error) => {
                    tracing::warn!(%error, "the queue cannot be read; mail waits until it can");
                    self.more = false;
                    self.wake = Instant::now() + AFTER_FAILURE;
                    return self.wake;
                }
            }
        }
        self.wake = self.next_due().await.unwrap_or(far).min(far);
        self.wake
    }

    async fn claim(&mut self, jobs: usize) -> Result<Vec<Job>, queue::Error> {
        let crowded = self.crowded();
        self.turn += 1;
        let (node, now, turn) = (self.node.clone(), (self.clock)(), self.turn);
        let jobs_per_destination = match self.routes.is_empty() {
            true => self.settings.connections_per_destination,
            false => self.settings.connections_per_destination.max(self.settings.connections_per_host),
        };
        let recipients_per_job = self.settings.recipients_per_message;
        let claimed = self.store.write(Locks::none(), move |tx| {
            let ask = Ask { node: &node, now, jobs, jobs_per_destination, recipients_per_job, crowded: &crowded, turn };
            let jobs = queue::claim(tx, &ask)?;
            let rules = match jobs.is_empty() {
                true => None,
                false => Some((queue::routes(tx)?, queue::shaping::rules(tx)?)),
            };
            Ok::<_, queue::Error>((jobs, rules))
        });
        let (jobs, rules) = claimed.await?.value;
        if let Some((routes, shaping)) = rules {
            self.routes = Routes::new(routes);
            self.bench.carrier.shaping.renew(shaping);
        }
        Ok(jobs)
    }

    /// Destinations of which there is enough here.
    fn crowded(&mut self) -> Vec<String> {
        let (settings, routes) = (&self.settings, &self.routes);
        let full = self.places.iter_mut().filter(|(domain, place)| place.jobs() >= enough(settings, routes, domain));
        full.map(|(domain, place)| {
            place.left_out = true;
            domain.clone()
        })
        .collect()
    }

    /// When something is due that is not here.
    async fn next_due(&mut self) -> Option<Instant> {
        let crowded = self.crowded();
        let due = self.store.read(move |tx| queue::next_due(tx, &crowded)).await;
        match due {
            Ok(due) => {
                let due = due?;
                let now = (self.clock)();
                let micros = u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0);
                Some(Instant::now() + Duration::from_micros(micros).clamp(BLINK, NAP))
            }
            Err(error) => {
                tracing::warn!(%error, "the queue cannot be read; mail waits until it can");
                Some(Instant::now() + AFTER_FAILURE)
            }
        }
    }

    /// A job has been claimed.
    fn begin(&mut self, job: Job) {
        let enough = enough(&self.settings, &self.routes, &job.domain);
        let is_busy = self.active() >= self.settings.concurrency;
        let mut place = has_place(&job).then(|| self.places.entry(job.domain.clone()).or_default());
        if let Some(place) = place.as_mut().filter(|place| place.running >= enough) {
            place.waiting.push_back(job);
            self.held += 1;
        } else if is_busy {
            if let Some(place) = place {
                place.ready += 1;
            }
            self.ready.push_back(job);
            self.held += 1;
        } else {
            self.start(job);
        }
    }

    fn start(&mut self, job: Job) {
        let place = has_place(&job).then(|| job.domain.clone());
        let route = self.routes.of(&job.domain);
        let mut seed = self.seed.fetch_add(1, Ordering::Relaxed);
        let work = Arc::clone(&self.bench).work(job, route, next_random(&mut seed));
        let id = self.running.spawn(work).id();
        if let Some(domain) = place {
            self.places.entry(domain.clone()).or_default().running += 1;
            self.tasks.insert(id, domain);
        }
    }

    /// Jobs that do something.
    fn active(&self) -> usize {
        self.running.len().saturating_sub(self.bench.carrier.gates.in_line())
    }

    /// Jobs for which there is room now.
    fn start_ready(&mut self) {
        if !self.lease.is_good() {
            return;
        }
        for _ in 0..self.ready.len() {
            if self.active() >= self.settings.concurrency {
                return;
            }
            let Some(job) = self.ready.pop_front() else { return };
            self.held -= 1;
            if let Some(place) = self.places.get_mut(&job.domain).filter(|_| has_place(&job)) {
                place.ready -= 1;
            }
            self.begin(job);
        }
    }

    /// A task has ended: its place goes to what waits for it, and where it got through there may be more in the queue.
    async fn ended(&mut self, ended: Result<(Id, bool), JoinError>) {
        let (id, reached) = ended.unwrap_or_else(|error| (error.id(), false));
        let Some(domain) = self.tasks.remove(&id) else { return };
        let Some(place) = self.places.get_mut(&domain) else { return };
        place.running -= 1;
        let next = place.waiting.pop_front();
        let wants_more = place.waiting.is_empty() && std::mem::take(&mut place.left_out);
        if let Some(job) = next {
            self.held -= 1;
            self.begin(job);
        }
        if wants_more {
            // What is not asked for here comes with the next claim.
            self.more = true;
            if reached {
                self.claim_for(&domain).await;
            }
        }
        if self.places.get(&domain).is_some_and(|place| place.jobs() == 0) {
            self.places.remove(&domain);
        }
    }

    /// More for a destination that there was enough of, while its connections are open.
    async fn claim_for(&mut self, domain: &str) {
        let jobs = enough(&self.settings, &self.routes, domain);
        if !self.lease.is_good() || self.held + self.running.len() + jobs > 3 * self.settings.concurrency {
            return;
        }
        let (node, now, name) = (self.node.clone(), (self.clock)(), domain.to_owned());
        let recipients_per_job = self.settings.recipients_per_message;
        let claimed = self
            .store
            .write(Locks::none(), move |tx| queue::claim_for(tx, &node, &name, jobs, recipients_per_job, now));
        match claimed.await {
            Ok(claimed) => {
                let jobs = claimed.value;
                if let Some(place) = self.places.get_mut(domain) {
                    place.left_out = !jobs.is_empty();
                }
                jobs.into_iter().for_each(|job| self.begin(job));
            }
            Err(error) => tracing::warn!(%error, domain, "the queue cannot be read; mail waits until it can"),
        }
    }
}

/// How many jobs there may be for a destination at a time.
fn enough(settings: &Settings, routes: &Routes, domain: &str) -> usize {
    match routes.of(domain) {
        Some(_) => settings.connections_per_host,
        None => settings.connections_per_destination,
    }
}

/// Whether a job connects to its destination. What only ends or is told must not wait behind what does.
fn has_place(job: &Job) -> bool {
    match job.purpose {
        Purpose::Send => true,
        Purpose::Expire | Purpose::TellDelay => false,
    }
}

/// A moment as the queue knows it.
pub(crate) fn moment(clock: &Clock) -> (Instant, Timestamp) {
    (Instant::now(), clock())
}
