//! What lists in the DNS say of a client or a sender's domain (RFC 5782).
//!
//! Invariants:
//! 1. Only an answer in 127.0.0.0/8 is a listing, and neither 127.0.0.1 nor 127.255.255.0/24 is: a domain that was sold answers
//!    with any address, and lists tell with these that they do not answer us.
//! 2. A list that lists everybody or nobody is not believed: it is tried with the addresses that RFC 5782 §5 names before it is
//!    used, and again every hour. What is wrong with it is an alarm, and the list rests.
//! 3. A list that is silent rests for longer and longer; mail never waits longer than [`PATIENCE`] for all lists together.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postroad_dns::Dns;
use postroad_net::Network;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// A list.
#[derive(Debug, Clone)]
pub struct ListSettings {
    /// The zone that is asked: `zen.example.org`.
    pub zone: String,
    /// What it lists.
    pub kind: ListKind,
    /// Answers that count; none: all that are listings.
    pub codes: Vec<Network>,
    /// What becomes of mail of whom it lists.
    pub action: ListAction,
    /// What a listing adds to the score, or takes from it.
    pub weight: i32,
}

/// What a list lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// Addresses of bad clients.
    Block,
    /// Addresses of good clients: no other list and no score refuses them.
    Allow,
    /// Domains of bad senders.
    Domain,
}

/// What becomes of mail of whom a list lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListAction {
    /// It is refused, but for the postmaster's.
    Reject,
    /// It goes to Junk.
    Junk,
    /// It gets a header field.
    Tag,
    /// Its weight counts, no more.
    Score,
}

/// From which sum of weights on mail is treated so; 0: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scores {
    /// It is refused.
    pub reject: i32,
    /// It goes to Junk.
    pub junk: i32,
}

/// The lists, and who asks.
pub(crate) struct Lists {
    dns: Arc<dyn Dns>,
    lists: Vec<Arc<List>>,
    scores: Scores,
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").field("lists", &self.lists).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct List {
    settings: ListSettings,
    health: Mutex<Health>,
}

/// Whether a list can be believed.
#[derive(Debug, Default)]
struct Health {
    /// It was tried, and is not tried again before.
    proven_until: Option<Instant>,
    rests_until: Option<Instant>,
    /// Answers in a row that did not come.
    silent: u32,
}

/// A list that lists somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) zone: String,
    pub(crate) kind: ListKind,
    pub(crate) action: ListAction,
    pub(crate) weight: i32,
    /// The answers.
    pub(crate) codes: Vec<Ipv4Addr>,
    /// What the list says for people, for those that refuse.
    pub(crate) text: Option<String>,
}

/// What becomes of the mail, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    Deliver,
    Tag,
    Junk,
    Reject(Listing),
}

impl Lists {
    pub(crate) fn new(dns: Arc<dyn Dns>, lists: Vec<ListSettings>, scores: Scores) -> Lists {
        let list = |settings| Arc::new(List { settings, health: Mutex::default() });
        Lists { dns, lists: lists.into_iter().map(list).collect(), scores }
    }

    /// Asks all lists at once. Dropping it ends the asking.
    pub(crate) async fn about(&self, client: IpAddr, domain: Option<String>) -> Vec<Listing> {
        let mut asking = JoinSet::new();
        for list in &self.lists {
            let name = match list.settings.kind {
                ListKind::Block | ListKind::Allow => reversed(client),
                ListKind::Domain => match &domain {
                    Some(domain) => domain.clone(),
                    None => continue,
                },
            };
            let (list, dns) = (Arc::clone(list), Arc::clone(&self.dns));
            asking.spawn(async move { list.asked(&*dns, &name).await });
        }
        let mut listings = Vec::new();
        let all = async {
            while let Some(answer) = asking.join_next().await {
                listings.extend(answer.ok().flatten());
            }
        };
        let _late = timeout(PATIENCE, all).await;
        // In the order of the settings, whatever came first.
        listings.sort_by_key(|listing| self.lists.iter().position(|list| list.settings.zone == listing.zone));
        listings
    }

    /// What becomes of mail with these listings.
    pub(crate) fn rule(&self, listings: &[Listing]) -> Ruling {
        if listings.iter().any(|listing| listing.kind == ListKind::Allow) {
            return Ruling::Deliver;
        }
        let score = listings.iter().fold(0i32, |sum, listing| sum.saturating_add(listing.weight));
        let over = |limit: i32| limit > 0 && score >= limit;
        let of = |action| listings.iter().find(|listing| listing.action == action);
        match (of(ListAction::Reject), listings.first()) {
            (Some(listing), _) => Ruling::Reject(listing.clone()),
            (None, Some(first)) if over(self.scores.reject) => Ruling::Reject(first.clone()),
            (None, Some(_)) if over(self.scores.junk) || of(ListAction::Junk).is_some() => Ruling::Junk,
            (None, Some(_)) if of(ListAction::Tag).is_some() => Ruling::Tag,
            (None, Some(_) | None) => Ruling::Deliver,
        }
    }
}

impl List {
    async fn asked(&self, dns: &dyn Dns, name: &str) -> Option<Listing> {
        let now = Instant::now();
        if self.health().rests_until.is_some_and(|until| now < until) {
            return None;
        }
        let due = self.health().proven_until.is_none_or(|until| now >= until);
        let (proven, found) = tokio::join!(async { !due || self.prove(dns).await }, self.look_up(dns, name));
        let codes = found?;
        let settings = &self.settings;
        let counts = |code: &Ipv4Addr| {
            settings.codes.is_empty() || settings.codes.iter().any(|codes| codes.contains(IpAddr::V4(*code)))
        };
        let codes: Vec<Ipv4Addr> = codes.into_iter().filter(counts).collect();
        if !proven || codes.is_empty() {
            return None;
        }
        metrics::counter!("postroad_dnsbl_listings_total", "list" => settings.zone.clone()).increment(1);
        let text = match settings.action {
            ListAction::Reject | ListAction::Score => self.text(dns, name).await,
            ListAction::Junk | ListAction::Tag => None,
        };
        let (zone, kind) = (settings.zone.clone(), settings.kind);
        Some(Listing { zone, kind, action: settings.action, weight: settings.weight, codes, text })
    }

    /// RFC 5782 §5: 127.0.0.2 is listed and 127.0.0.1 is not; of domains, `invalid` is not. Lists of good clients and of
    /// domains do not agree on what is listed for a trial.
    async fn prove(&self, dns: &dyn Dns) -> bool {
        let (good, bad) = match self.settings.kind {
            ListKind::Block => ("1.0.0.127", Some("2.0.0.127")),
            ListKind::Allow => ("1.0.0.127", None),
            ListKind::Domain => ("invalid", None),
        };
        let bad = async {
            match bad {
                Some(bad) => self.look_up(dns, bad).await.map(|codes| !codes.is_empty()),
                None => Some(true),
            }
        };
        match tokio::join!(self.look_up(dns, good), bad) {
            (Some(codes), _) if !codes.is_empty() => {
                self.alarm("it lists everybody: perhaps its domain has another owner now");
                false
            }
            (Some(_), Some(true)) => {
                self.health().proven_until = Some(Instant::now() + PROVEN);
                metrics::gauge!("postroad_dnsbl_usable", "list" => self.settings.zone.clone()).set(1.0);
                true
            }
            (Some(_), Some(false)) => {
                self.alarm("it does not list 127.0.0.2 as lists do: perhaps there is no such list any more");
                false
            }
            (Some(_) | None, None) | (None, Some(_)) => false,
        }
    }

    /// The listings of a name, none when it is not listed. `None` when that cannot be known.
    async fn look_up(&self, dns: &dyn Dns, name: &str) -> Option<Vec<Ipv4Addr>> {
        let name = format!("{name}.{}", self.settings.zone);
        let answer = match timeout(PATIENCE, dns.ipv4(&name)).await {
            Ok(answer) => answer,
            Err(_) => return self.silent(),
        };
        let codes = match answer {
            Ok(answer) => answer.records,
            Err(error) if error.is_denial() => Vec::new(),
            Err(postroad_dns::Error::BadName(_)) => return None,
            Err(_) => return self.silent(),
        };
        self.health().silent = 0;
        match codes.iter().find_map(|code| trouble(*code)) {
            Some(trouble) => {
                self.alarm(trouble);
                None
            }
            None => Some(codes),
        }
    }

    async fn text(&self, dns: &dyn Dns, name: &str) -> Option<String> {
        let name = format!("{name}.{}", self.settings.zone);
        let answer = timeout(PATIENCE, dns.txt(&name)).await.ok()?.ok()?;
        let text = String::from_utf8_lossy(answer.records.first()?).into_owned();
        // It goes into a reply: RFC 5321 §4.2 has ASCII that can be seen.
        let seen = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
        Some(text.chars().take(TEXT_MAX).map(seen).collect())
    }

    /// An answer did not come.
    fn silent<T>(&self) -> Option<T> {
        let mut health = self.health();
        health.silent = health.silent.saturating_add(1);
        if health.silent >= SILENT_MAX {
            let rest = REST.saturating_mul(2u32.saturating_pow(health.silent - SILENT_MAX)).min(REST_MAX);
            health.rests_until = Some(Instant::now() + rest);
            drop(health);
            self.unusable();
            let (list, seconds) = (&self.settings.zone, rest.as_secs());
            tracing::warn!(list, seconds, "the list does not answer; it is not asked for a while");
        }
        None
    }

    /// The list cannot be used; somebody has to look.
    fn alarm(&self, why: &str) {
        let mut health = self.health();
        let now = Instant::now();
        let told = health.rests_until.is_some_and(|until| now < until);
        health.rests_until = Some(now + REST_MAX);
        health.proven_until = None;
        drop(health);
        if !told {
            self.unusable();
            let list = &self.settings.zone;
            tracing::error!(list, "the list is not used for an hour: {why}; repair it or take it out of [[dnsbl]]");
        }
    }

    fn unusable(&self) {
        metrics::gauge!("postroad_dnsbl_usable", "list" => self.settings.zone.clone()).set(0.0);
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an answer that is no listing tells.
fn trouble(code: Ipv4Addr) -> Option<&'static str> {
    match code.octets() {
        [127, 255, 255, 252] => Some("it says that its name is written wrong (127.255.255.252)"),
        [127, 255, 255, 254] => {
            Some("it does not answer public resolvers (127.255.255.254): ask through a resolver of your own")
        }
        [127, 255, 255, 255] => Some("it was asked too often (127.255.255.255): its operator has to agree"),
        [127, 255, 255, _] => Some("it answers with an error (127.255.255.x)"),
        [127, 0, 0, 1] => Some("it answers with 127.0.0.1, which says that it does not answer us"),
        [127, ..] => None,
        _ => Some("it answers with an address that is no answer of a list: perhaps its domain has another owner now"),
    }
}

/// RFC 5782 §2.1 and §2.4: the octets, or the nibbles, from the last to the first.
fn reversed(address: IpAddr) -> String {
    let parts: Vec<String> = match address.to_canonical() {
        IpAddr::V4(four) => four.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(six) => {
            six.octets().iter().rev().flat_map(|octet| [octet & 15, octet >> 4]).map(|n| format!("{n:x}")).collect()
        }
    };
    parts.join(".")
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes: Vec<String> = self.codes.iter().take(CODES_SHOWN).map(ToString::to_string).collect();
        write!(f, "{} ({})", self.zone, codes.join(", "))
    }
}

/// For all lists together.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// A list that was tried is believed for so long.
const PROVEN: Duration = Duration::from_secs(60 * 60);
/// So many answers in a row do not come before a list rests.
const SILENT_MAX: u32 = 3;
/// For so long at first, then twice as long each time.
const REST: Duration = Duration::from_secs(60);
/// At most for so long.
const REST_MAX: Duration = Duration::from_secs(60 * 60);
/// Characters of a list's text in a reply.
const TEXT_MAX: usize = 200;
/// Codes of one list that are told.
const CODES_SHOWN: usize = 8;

#[cfg(test)]
mod tests;
