//! The hosts of a job, and how each of them has to be spoken with: what is known before the first of them is called.
//!
//! Standards: RFC 5321 §5.1 (equals share the load).

use std::net::IpAddr;
use std::sync::Arc;

use postroad_queue::{Job, Route};
use tokio::task::JoinSet;

use super::attempt::Carrier;
use super::gates::Outlook;
use super::hosts::{Host, Search};
use super::pool::{self, Key};
use super::security::{Refusal, Terms};
use super::settle::{Verdict, Words};
use super::shaping::{Mail, Shape};
use super::tls::Tls;

/// Where its hosts are.
pub(super) struct Way {
    pub(super) port: u16,
    pub(super) route: Option<Arc<Route>>,
    pub(super) tls: Tls,
}

/// A host, and how it is spoken with.
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) terms: Terms,
    pub(super) key: Key,
    pub(super) shape: Shape,
}

/// What was found out about the hosts of a job.
#[derive(Default)]
pub(super) struct Planned {
    pub(super) targets: Vec<Target>,
    /// Hosts that must not be spoken with.
    pub(super) refused: Vec<(Host, Refusal)>,
    pub(super) notes: Vec<String>,
}

impl Carrier {
    pub(super) fn way(&self, route: Option<Arc<Route>>) -> Result<Way, Words> {
        let port = route.as_deref().map_or(self.settings.port, |route| route.port);
        let tls = match route.as_deref().and_then(|route| route.ca.as_deref()) {
            Some(ca) => self.tls.trusting(ca).map_err(|why| Words::ours((4, 7, 5), why, "reading the route"))?,
            None => self.tls.clone(),
        };
        Ok(Way { port, route, tls })
    }

    pub(super) async fn hosts(&self, job: &Job, way: &Way, random: u64) -> Result<Vec<Host>, Verdict> {
        let ourselves = self.ourselves.also(self.shaping.names());
        let search = Search {
            dns: &self.dns,
            ourselves: &ourselves,
            port: way.port,
            allow_loopback: self.settings.allow_loopback,
            random,
        };
        match &way.route {
            Some(route) => search.fixed(&route.host).await,
            None => search.domain(&job.domain).await,
        }
    }

    /// How each host has to be spoken with, all looked up at once.
    pub(super) async fn plan(&self, job: &Job, way: &Way, hosts: Vec<Host>, (relaxed, random): (bool, u64)) -> Planned {
        let now = (self.clock)();
        let (route, requiretls) = (way.route.clone(), job.message.requiretls);
        let mut rules = self.guard.rules(&job.domain, way.port, route, requiretls, relaxed).await;
        let mut planned = Planned { notes: std::mem::take(&mut rules.notes), ..Planned::default() };
        for (policy, failure) in &rules.faults {
            self.results.failed(policy, failure.clone());
        }
        let rules = Arc::new(rules);
        let mut asked = JoinSet::new();
        for (index, host) in hosts.into_iter().enumerate() {
            let (guard, rules) = (Arc::clone(&self.guard), Arc::clone(&rules));
            asked.spawn(async move {
                let terms = guard.terms(&rules, &host).await;
                (index, host, terms)
            });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(index, ..)| *index);
        for (_, host, terms) in answers {
            match terms {
                Ok(terms) => {
                    let mail = Mail { sender: &job.message.sender, domain: &job.domain, now, random };
                    let shape = self.shaping.shape(&mail, &host.name, &self.settings.sources);
                    let sources = if shape.strict { shape.sources.clone() } else { Vec::new() };
                    let key = key(&host, &terms, way, sources);
                    planned.targets.push(Target { host, terms, key, shape });
                }
                Err(refusal) => planned.refused.push((host, *refusal)),
            }
        }
        planned
    }

    /// Among those that are liked the same, a host that there is a connection to comes first, and one that has just
    /// failed last.
    pub(super) fn ready_first(&self, mut targets: Vec<Target>, way: &Way, random: u64) -> Vec<Target> {
        // RFC 5321 §5.1: equals share the load; the one that was chosen first must not get all that follows.
        let stays = !random.is_multiple_of(STAYS);
        targets.sort_by_cached_key(|Target { host, key, .. }| {
            let addresses = pool::at(&host.addresses, way.port);
            let is_kept = stays && self.pool.has(key, &addresses);
            let outlook = if is_kept { Outlook::Open } else { self.gates.outlook(&addresses) };
            (host.preference, outlook, !is_kept)
        });
        targets
    }
}

/// What makes a connection good for this host and these terms.
fn key(host: &Host, terms: &Terms, way: &Way, sources: Vec<IpAddr>) -> Key {
    let login = way.route.as_deref().and_then(|route| route.login.as_ref());
    Key {
        verified: terms.protection.authenticates().then(|| host.name.clone()),
        protection: terms.protection.clone(),
        user: login.map(|login| login.user.clone()),
        authorities: way.route.as_deref().and_then(|route| route.ca.clone()),
        sources,
    }
}

/// One of so many attempts chooses anew among equal hosts, whatever connections there are.
const STAYS: u64 = 4;
