//! The MTA-STS policies of other domains: found, kept, renewed.
//!
//! 1. A policy that is kept and has not expired holds, whatever the DNS and the web server say now (RFC 8461 §3.3 and
//!    §10.2): only another policy takes its place.
//! 2. A domain is fetched once at a time, and not again within [`AFTER_FAILURE`] of a failure (RFC 8461 §3.3).
//! 3. What mail goes to is renewed before it expires, unasked.
//!
//! The map in memory is a copy; what is kept is in the database, which all nodes share.
//!
//! Standards: RFC 8461.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postroad_dns::Dns;
use postroad_login::Clock;
use postroad_net::Stop;
use postroad_store::{Locks, Store};
use postroad_trust::sts::{self, Cached, Mode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::fetch::fetch;
use crate::outbound::https::Https;
use crate::outbound::tls::Broken;

/// A failed fetch is not repeated for so long.
const AFTER_FAILURE: Duration = Duration::from_secs(5 * 60);
/// Policies that are fetched at a time.
const FETCHES_MAX: usize = 16;
/// Domains that are remembered in memory.
const KNOWN_MAX: usize = 16 * 1024;
/// What the database has is looked up again after so long: another node may have renewed it.
const LOOK_AGAIN: Duration = Duration::from_secs(15 * 60);
/// Between two rounds of renewing.
const RENEW_EVERY: Duration = Duration::from_secs(15 * 60);
/// Policies older than this are renewed.
const RENEW_AFTER: Duration = Duration::from_secs(12 * 60 * 60);
/// Policies of domains that no mail went to for so long are left to expire.
const UNUSED_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Policies renewed in one round.
const RENEWED_MAX: u32 = 256;
/// The use of a policy is written down no more often.
const USED_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// All policies of a node.
pub(crate) struct Sts {
    store: Store,
    dns: Arc<dyn Dns>,
    https: Https,
    clock: Clock,
    places: Semaphore,
    known: Mutex<HashMap<String, Arc<Domain>>>,
}

/// A domain.
#[derive(Default)]
struct Domain {
    state: Mutex<State>,
    /// Held while it is fetched.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default, Clone)]
struct State {
    kept: Option<Arc<Cached>>,
    /// When the database was asked.
    looked: Option<Instant>,
    /// The fetch of this id failed then.
    failed: Option<(String, Instant, Broken)>,
}

/// What a domain's policy is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// A policy that holds, of any mode.
    pub(crate) policy: Option<Arc<Cached>>,
    /// There should be one, or a newer one, and it could not be had.
    pub(crate) trouble: Option<Broken>,
}

impl Sts {
    pub(crate) fn new(store: Store, dns: Arc<dyn Dns>, https: Https, clock: Clock) -> Sts {
        Sts { store, dns, https, clock, places: Semaphore::new(FETCHES_MAX), known: Mutex::default() }
    }

    /// The policy of a domain that mail goes to.
    pub(crate) async fn find(&self, domain: &str) -> Found {
        if domain.starts_with('[') {
            return Found::default();
        }
        let known = self.domain(domain);
        let kept = self.kept(domain, &known).await;
        self.note_use(domain, &known, kept.as_ref());
        let id = match self.dns.txt(&format!("_mta-sts.{domain}")).await {
            Ok(answer) => sts::record_id(&answer.records),
            // RFC 8461 §3.1: no record that can be had is no record.
            Err(_) => None,
        };
        let Some(id) = id else { return Found { policy: kept, trouble: None } };
        if let Some(kept) = kept.as_ref().filter(|kept| kept.id == id) {
            return Found { policy: Some(Arc::clone(kept)), trouble: None };
        }
        self.fetch(domain, &known, &id).await
    }

    /// Fetches the policy that a record announces, unless somebody else has just done it, or it failed.
    async fn fetch(&self, domain: &str, known: &Domain, id: &str) -> Found {
        let _one_at_a_time = known.fetching.lock().await;
        let state = known.state().clone();
        let now = (self.clock)();
        let kept = state.kept.filter(|kept| kept.is_good(now));
        if kept.as_ref().is_some_and(|kept| kept.id == id) {
            return Found { policy: kept, trouble: None };
        }
        if let Some((failed, at, broken)) = state.failed
            && failed == id
            && at.elapsed() < AFTER_FAILURE
        {
            return Found { policy: kept, trouble: Some(broken) };
        }
        let fetched = {
            // Never closed.
            let _place = self.places.acquire().await;
            fetch(&self.https, domain).await
        };
        metrics::counter!("postroad_sts_fetches_total", "outcome" => outcome(&fetched)).increment(1);
        match fetched {
            Ok(policy) => {
                let fresh = Arc::new(Cached::new(domain, id, policy, (self.clock)()));
                tracing::info!(domain, id, mode = fresh.policy.mode.name(), "the MTA-STS policy was fetched");
                *known.state() = State { kept: Some(Arc::clone(&fresh)), looked: Some(Instant::now()), failed: None };
                self.write(Arc::clone(&fresh)).await;
                Found { policy: Some(fresh), trouble: None }
            }
            Err(broken) => {
                tracing::warn!(domain, why = broken.why, "the MTA-STS policy could not be fetched");
                known.state().failed = Some((id.to_owned(), Instant::now(), broken.clone()));
                Found { policy: kept, trouble: Some(broken) }
            }
        }
    }

    /// What is kept and holds, from memory or the database.
    async fn kept(&self, domain: &str, known: &Domain) -> Option<Arc<Cached>> {
        let now = (self.clock)();
        let state = known.state().clone();
        if state.looked.is_some_and(|looked| looked.elapsed() < LOOK_AGAIN) {
            return state.kept.filter(|kept| kept.is_good(now));
        }
        let name = domain.to_owned();
        match self.store.read(move |tx| sts::cached(tx, &name)).await {
            Ok(found) => {
                let found = found.map(Arc::new);
                let mut state = known.state();
                state.looked = Some(Instant::now());
                // A newer one may have been fetched meanwhile.
                let newer = |one: &Arc<Cached>| state.kept.as_ref().is_none_or(|kept| kept.fetched < one.fetched);
                if let Some(found) = found.filter(newer) {
                    state.kept = Some(found);
                }
                state.kept.clone().filter(|kept| kept.is_good(now))
            }
            Err(error) => {
                tracing::debug!(%error, domain, "the MTA-STS policy that is kept cannot be read");
                state.kept.filter(|kept| kept.is_good(now))
            }
        }
    }

    async fn write(&self, fresh: Arc<Cached>) {
        let domain = fresh.domain.clone();
        let written = self.store.write(Locks::named("sts"), move |tx| sts::keep(tx, &fresh));
        if let Err(error) = written.await {
            tracing::warn!(%error, domain, "the MTA-STS policy is kept in memory only");
        }
    }

    /// Mail goes there, which makes its policy worth being renewed.
    fn note_use(&self, domain: &str, known: &Domain, kept: Option<&Arc<Cached>>) {
        let now = (self.clock)();
        let Some(kept) = kept.filter(|kept| kept.used.plus(USED_EVERY) <= now) else { return };
        known.state().kept = Some(Arc::new(Cached { used: now, ..Cached::clone(kept) }));
        let (domain, store) = (domain.to_owned(), self.store.clone());
        tokio::spawn(async move {
            let written = store.write(Locks::named("sts"), move |tx| sts::used(tx, &domain, now));
            if let Err(error) = written.await {
                tracing::debug!(%error, "the use of an MTA-STS policy was not written down");
            }
        });
    }

    /// Renews what is used before it expires, until the stop.
    pub(crate) async fn keep(&self, stop: &Stop) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RENEW_EVERY) => {}
                () = stop.stopped() => return,
            }
            tokio::select! {
                () = self.renew() => {}
                () = stop.stopped() => return,
            }
        }
    }

    /// One round.
    pub(crate) async fn renew(&self) {
        let now = (self.clock)();
        let (before, used_after) = (now.minus(RENEW_AFTER), now.minus(UNUSED_AFTER));
        let due = self.store.read(move |tx| sts::due(tx, before, used_after, RENEWED_MAX)).await;
        let due = match due {
            Ok(due) => due,
            Err(error) => return tracing::warn!(%error, "MTA-STS policies are renewed in the next round"),
        };
        for old in due {
            let record = self.dns.txt(&format!("_mta-sts.{}", old.domain)).await;
            let id = record.ok().and_then(|answer| sts::record_id(&answer.records));
            let known = self.domain(&old.domain);
            let _one_at_a_time = known.fetching.lock().await;
            match fetch(&self.https, &old.domain).await {
                Ok(policy) => {
                    let id = id.unwrap_or_else(|| old.id.clone());
                    let fresh = Cached::new(old.domain.clone(), id, policy, (self.clock)());
                    let fresh = Arc::new(Cached { used: old.used, ..fresh });
                    known.state().kept = Some(Arc::clone(&fresh));
                    self.write(fresh).await;
                }
                Err(broken) => {
                    let (domain, why) = (&old.domain, &broken.why);
                    tracing::warn!(domain, why, "an MTA-STS policy could not be renewed; the one that is kept holds");
                }
            }
        }
        let swept = self.store.write(Locks::named("sts"), move |tx| sts::sweep(tx, now)).await;
        if let Err(error) = swept {
            tracing::debug!(%error, "expired MTA-STS policies are removed in the next round");
        }
    }

    fn domain(&self, domain: &str) -> Arc<Domain> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX && !known.contains_key(domain) {
            // What is in use stays.
            known.retain(|_, one| Arc::strong_count(one) > 1);
        }
        Arc::clone(known.entry(domain.to_owned()).or_default())
    }
}

impl Domain {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outcome(fetched: &Result<sts::Policy, Broken>) -> &'static str {
    match fetched {
        Ok(policy) => match policy.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        },
        Err(broken) => broken.kind.name(),
    }
}

#[cfg(test)]
#[path = "sts_tests.rs"]
mod tests;
