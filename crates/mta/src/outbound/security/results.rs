//! How sessions went, counted here and written down now and then, for TLS reports.
//!
//! 1. Counting is a look into a map: no session waits for the database.
//! 2. What is not written yet is bounded by [`KEPT_MAX`]; a database that is away costs counts, never mail.
//!
//! Standards: RFC 8460 §4.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postroad_login::Clock;
use postroad_net::Stop;
use postroad_store::{Locks, Store};
use postroad_trust::tls_results::{self, Day, Failure, Policy, Tally};
use tokio::sync::Notify;

/// Policies and days that are counted at a time.
const KEPT_MAX: usize = 4_096;
/// So many are written at once.
const FLUSH_AT: usize = 1_024;
/// Ways to fail that are told apart for one policy between two writes.
const DETAILS_MAX: usize = 32;
/// What was counted is written this often.
const EVERY: Duration = Duration::from_secs(30);

/// Counts sessions. Clones count together.
#[derive(Clone)]
pub(crate) struct Results {
    counts: Arc<Mutex<Counted>>,
    clock: Clock,
    full: Arc<Notify>,
}

type Counted = HashMap<(Day, Arc<Policy>), Counts>;

#[derive(Debug, Clone, Default)]
struct Counts {
    successes: u64,
    failures: u64,
    details: HashMap<Failure, u64>,
}

impl Results {
    pub(crate) fn new(clock: Clock) -> Results {
        Results { counts: Arc::default(), clock, full: Arc::default() }
    }

    /// A session did what its policy wants.
    pub(crate) fn succeeded(&self, policy: &Arc<Policy>) {
        self.count(policy, |counts| counts.successes += 1);
    }

    /// A session, or the way to one, did not.
    pub(crate) fn failed(&self, policy: &Arc<Policy>, failure: Failure) {
        self.count(policy, |counts| {
            counts.failures += 1;
            let failure = match counts.details.len() < DETAILS_MAX || counts.details.contains_key(&failure) {
                true => failure,
                false => Failure::new(failure.kind),
            };
            *counts.details.entry(failure).or_default() += 1;
        });
    }

    fn count(&self, policy: &Arc<Policy>, change: impl FnOnce(&mut Counts)) {
        let day = Day::of((self.clock)());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (day, Arc::clone(policy));
        if counts.len() >= KEPT_MAX && !counts.contains_key(&key) {
            metrics::counter!("postroad_tls_results_dropped_total").increment(1);
            return;
        }
        change(counts.entry(key).or_default());
        if counts.len() == FLUSH_AT {
            self.full.notify_one();
        }
    }

    /// Writes what was counted, until the stop and once more then.
    pub(crate) async fn keep(&self, store: &Store, stop: &Stop) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.full.notified() => {}
                () = stop.stopped() => break,
            }
            self.flush(store).await;
        }
    }

    /// Writes what was counted. What cannot be written is counted again.
    pub(crate) async fn flush(&self, store: &Store) {
        let counted = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if counted.is_empty() {
            return;
        }
        let tallies: Vec<Tally> = counted.iter().map(|((day, policy), counts)| tally(*day, policy, counts)).collect();
        let written = store.write(Locks::named("tls results"), move |tx| tls_results::record(tx, &tallies));
        if let Err(error) = written.await {
            tracing::warn!(%error, "how TLS sessions went is not written down yet, and kept");
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, old) in counted {
                if counts.len() < KEPT_MAX || counts.contains_key(&key) {
                    counts.entry(key).or_default().add(old);
                }
            }
        }
    }
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.successes += other.successes;
        self.failures += other.failures;
        for (failure, count) in other.details {
            *self.details.entry(failure).or_default() += count;
        }
    }
}

fn tally(day: Day, policy: &Policy, counts: &Counts) -> Tally {
    Tally {
        day,
        policy: policy.clone(),
        successes: counts.successes,
        failures: counts.failures,
        details: counts.details.iter().map(|(failure, count)| (failure.clone(), *count)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use postroad_store::Timestamp;
    use postroad_testkit::TestStore;
    use postroad_trust::tls_results::{FailureKind, PolicyKind};

    use super::*;

    #[tokio::test]
    async fn what_is_counted_is_written_once() {
        let test = TestStore::memory(&[postroad_trust::MIGRATIONS]);
        let results = Results::new(Arc::new(|| Timestamp(1_000)));
        let policy = Arc::new(Policy {
            kind: PolicyKind::NoPolicyFound,
            domain: "there.test".into(),
            lines: Vec::new(),
            hosts: Vec::new(),
        });
        results.succeeded(&policy);
        for number in 0..2 * DETAILS_MAX {
            let host = format!("mx{number}.there.test");
            results.failed(&policy, Failure { host, ..Failure::new(FailureKind::StarttlsNotSupported) });
        }
        results.flush(&test.store).await;
        results.flush(&test.store).await;
        let found = test.store.read(|tx| tls_results::of(tx, Day(0), "there.test")).await.expect("read");
        let [tally] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((tally.successes, tally.failures, tally.details.len()), (1, 64, DETAILS_MAX + 1));
    }
}
