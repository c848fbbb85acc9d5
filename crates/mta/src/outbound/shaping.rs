//! How fast mail goes to whom, and from which address of ours: the rules of [`postroad_queue::shaping`] carried out.
//!
//! 1. Hosts that one limit is for are a group, whatever domains lead to them; a host without a limit is a group by itself.
//! 2. Who comes too early is put off, which is no attempt and charges nobody.
//! 3. A host that says "too much at once" is spoken with more slowly by all mail of this node: each such answer doubles the
//!    time between messages, each message that is taken halves it.
//! 4. An address of ours that is refused for its name rests at that group, as long as the pool has another one; one that is
//!    new has so many messages a day there ([`warm_up_cap`]).
//!
//! The lock is held for a look and never across an await. What is learned goes into the store now and then.

mod choose;
mod learn;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postroad_queue::shaping::{ANY_EGRESS, Limit, Noted, Rules};
use postroad_store::Timestamp;
use tokio::time::Instant;

use super::classify::Category;

pub(crate) use choose::Mail;
pub use rules::{BUILT_IN, BuiltIn, warm_up_cap};

/// Groups that are remembered.
const GROUPS_MAX: usize = 4096;
/// The first pause between messages after "too much at once", and the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(10);
const PAUSE_LONGEST: Duration = Duration::from_secs(5 * 60);
/// A shorter pause is none.
const PAUSE_LEAST: Duration = Duration::from_secs(3);
/// Who finds all connections taken comes again after this, and a part of it more.
const TAKEN: Duration = Duration::from_secs(2);
/// An address that is refused for its name rests so long.
pub(crate) const OUT_FOR: Duration = Duration::from_secs(4 * 60 * 60);
/// Such refusals before it does.
const BLAMES: u32 = 3;
/// Nobody is put off for longer at a time.
const PUT_OFF_MAX: Duration = Duration::from_secs(60 * 60);

/// All that a node knows of it.
#[derive(Debug, Default)]
pub(crate) struct Shaping {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Rules,
    groups: HashMap<String, Group>,
    /// By address and group.
    leaving: HashMap<(IpAddr, String), Leaving>,
}

#[derive(Debug)]
struct Group {
    connections: u32,
    /// Messages that may go now.
    allowance: f64,
    filled: Instant,
    pause: Duration,
    next_at: Instant,
    why: Option<String>,
    changed: bool,
}

/// What went from one address to one group.
#[derive(Debug, Default, Clone)]
struct Leaving {
    day: i64,
    sent: u64,
    /// Of these, what the store does not know yet.
    unsaid: u64,
    blames: u32,
    out_until: Timestamp,
    why: Option<String>,
    changed: bool,
}

/// How mail for one host is to go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The pattern of its limit, or its name.
    pub(crate) group: String,
    pub(crate) limit: Option<Limit>,
    /// Where it leaves from, one address of each family at most; empty: as the system says.
    pub(crate) sources: Vec<IpAddr>,
    /// Only from there: an address of another family is not connected to.
    pub(crate) strict: bool,
    /// What is to be told of it.
    pub(crate) note: Option<String>,
    /// Nothing may go now: for how long, and why.
    pub(crate) held: Option<(Duration, String)>,
}

/// The right to a connection to a group, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    shaping: Arc<Shaping>,
    group: String,
}

impl Shape {
    /// Recipients of one transaction.
    pub(crate) fn recipients(&self) -> usize {
        let recipients = self.limit.as_ref().and_then(|limit| limit.recipients);
        recipients.map_or(usize::MAX, |recipients| usize::try_from(recipients).unwrap_or(usize::MAX).max(1))
    }

    /// Transactions of one connection.
    pub(crate) fn per_connection(&self) -> u32 {
        self.limit.as_ref().and_then(|limit| limit.per_connection).unwrap_or(u32::MAX).max(1)
    }

    /// Whether an address may be connected to.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        !self.strict || self.sources.iter().any(|source| source.is_ipv4() == address.is_ipv4())
    }
}

impl Shaping {
    /// What is to be gone by from now on.
    pub(crate) fn renew(&self, rules: Rules) {
        self.state().rules = rules;
    }

    /// What the store remembers, of this node's last life and of the others.
    pub(crate) fn recall(&self, noted: &[Noted], now: Timestamp) {
        let today = rules::day(now);
        let mut state = self.state();
        for one in noted {
            let Ok(address) = one.egress.parse::<IpAddr>() else { continue };
            let known = state.leaving.entry((address, one.hosts.clone())).or_default();
            if one.day == today {
                let unsaid = if known.day == today { known.unsaid } else { 0 };
                (known.day, known.sent) = (today, one.sent + unsaid);
            }
            if one.rest_until > known.out_until {
                (known.out_until, known.why) = (one.rest_until, one.why.clone());
            }
        }
    }

    /// How mail of this sender for this domain goes to a host.
    pub(crate) fn shape(&self, mail: &Mail<'_>, host: &str, settings: &[IpAddr]) -> Shape {
        let state = self.state();
        let limit = rules::find(&state.rules.limits, host, mail.domain);
        let group = limit.as_ref().map_or_else(|| host.to_ascii_lowercase(), |limit| limit.pattern.clone());
        let mut shape = Shape { group, limit, sources: settings.to_vec(), ..Shape::default() };
        choose::leave(&state.rules, &state.leaving, mail, &mut shape);
        shape
    }

    /// Whether a message may go now; else when to come again, and why.
    pub(crate) fn admit(&self, shape: &Shape) -> Result<(), (Duration, String)> {
        let (mut state, now) = (self.state(), Instant::now());
        let group = state.group(&shape.group, now);
        if now < group.next_at {
            let why = match &group.why {
                Some(why) => format!("backed off at {}: {why}", shape.group),
                None => format!("backed off at {}", shape.group),
            };
            return Err(((group.next_at - now).min(PUT_OFF_MAX), why));
        }
        if let Some(per_minute) = shape.limit.as_ref().and_then(|limit| limit.per_minute) {
            let (rate, most) = (f64::from(per_minute) / 60.0, (f64::from(per_minute) / BURSTS).max(1.0));
            group.allowance = (group.allowance + (now - group.filled).as_secs_f64() * rate).min(most);
            group.filled = now;
            if group.allowance < 1.0 {
                let missing = (most / 2.0).max(1.0) - group.allowance;
                let wait = Duration::from_secs_f64(missing / rate.max(1e-3)).clamp(TAKEN / 2, PUT_OFF_MAX);
                return Err((
                    wait,
                    format!("waits for the limit of {per_minute} messages in a minute to {}", shape.group),
                ));
            }
            group.allowance -= 1.0;
        }
        group.next_at = now + group.pause;
        Ok(())
    }

    /// What was admitted did not go after all.
    pub(crate) fn give_back(&self, shape: &Shape) {
        let (mut state, now) = (self.state(), Instant::now());
        let group = state.group(&shape.group, now);
        group.allowance += 1.0;
    }

    /// One more connection; else, when all are taken, when to come again, and why.
    pub(crate) fn connect(self: &Arc<Shaping>, shape: &Shape) -> Result<Permit, (Duration, String)> {
        let (mut state, now) = (self.state(), Instant::now());
        let most = shape.limit.as_ref().and_then(|limit| limit.connections).unwrap_or(u32::MAX);
        let group = state.group(&shape.group, now);
        if group.connections >= most.max(1) {
            let connections = if most <= 1 { "connection" } else { "connections" };
            return Err((TAKEN, format!("waits for the limit of {} {connections} to {}", most.max(1), shape.group)));
        }
        group.connections += 1;
        drop(state);
        Ok(Permit { shaping: Arc::clone(self), group: shape.group.clone() })
    }

    /// A message was taken that left from this address.
    pub(crate) fn taken(&self, shape: &Shape, from: Option<IpAddr>, now: Timestamp) {
        let mut state = self.state();
        let group = state.group(&shape.group, Instant::now());
        if !group.pause.is_zero() {
            group.pause /= 2;
            if group.pause < PAUSE_LEAST {
                (group.pause, group.why) = (Duration::ZERO, None);
            }
            (group.changed, group.next_at) = (true, Instant::now() + group.pause);
        }
        let Some(from) = from.filter(|_| shape.strict) else { return };
        let today = rules::day(now);
        let leaving = state.leaving.entry((from, shape.group.clone())).or_default();
        if leaving.day != today {
            (leaving.day, leaving.sent, leaving.unsaid) = (today, 0, 0);
        }
        leaving.sent += 1;
        leaving.unsaid += 1;
        leaving.blames = 0;
        leaving.changed = true;
    }

    /// A host put something off or refused it. Says what is to be told of it.
    pub(crate) fn heard(
        &self,
        shape: &Shape,
        from: Option<IpAddr>,
        category: Category,
        words: &str,
        now: Timestamp,
    ) -> Option<String> {
        match category {
            Category::Rate => self.slow_down(shape, words),
            Category::Reputation => self.blame(shape, from, words, now),
            Category::UnknownUser
            | Category::MailboxFull
            | Category::MailboxDisabled
            | Category::BadDestination
            | Category::BadSender
            | Category::Authentication
            | Category::ReverseDns
            | Category::Greylist
            | Category::Size
            | Category::Content
            | Category::Form
            | Category::Relay
            | Category::Loop
            | Category::Tls
            | Category::Policy
            | Category::Unreachable
            | Category::Temporary
            | Category::Other => None,
        }
    }

    fn slow_down(&self, shape: &Shape, words: &str) -> Option<String> {
        let (mut state, now) = (self.state(), Instant::now());
        let group = state.group(&shape.group, now);
        // What was under way at the same time says the same.
        if !group.pause.is_zero() && group.next_at > now + group.pause / 2 {
            return None;
        }
        group.pause = (group.pause * 2).clamp(PAUSE_FIRST, PAUSE_LONGEST);
        group.next_at = now + group.pause;
        let seconds = group.pause.as_secs();
        let why = format!("it says that we send too much at once: one message in {seconds} s; {words}");
        (group.why, group.changed) = (Some(why), true);
        metrics::counter!("postroad_outbound_slowed_total").increment(1);
        tracing::info!(
            hosts = shape.group,
            seconds,
            words,
            "a host wants less at once, and is spoken with more slowly"
        );
        Some(format!("{} is spoken with more slowly now: one message in {seconds} s", shape.group))
    }

    fn blame(&self, shape: &Shape, from: Option<IpAddr>, words: &str, now: Timestamp) -> Option<String> {
        metrics::counter!("postroad_outbound_blamed_total").increment(1);
        let Some(from) = from.filter(|_| shape.strict) else {
            tracing::warn!(hosts = shape.group, words, "the address that mail leaves from is not liked there");
            return None;
        };
        let mut state = self.state();
        let leaving = state.leaving.entry((from, shape.group.clone())).or_default();
        leaving.blames += 1;
        if leaving.blames < BLAMES || leaving.out_until > now {
            return None;
        }
        leaving.blames = 0;
        leaving.out_until = now.plus(OUT_FOR);
        leaving.why = Some(words.to_owned());
        leaving.changed = true;
        metrics::counter!("postroad_outbound_egress_out_total").increment(1);
        tracing::error!(%from, hosts = shape.group, words,
            "an address is refused for its name and rests there; look it up at the list that the words name, find what \
             was sent from it, and ask to be taken off");
        Some(format!("{from} is not liked at {}, and rests there for {} hours", shape.group, OUT_FOR.as_secs() / 3600))
    }

    /// What the store is to remember. It is said once.
    pub(crate) fn news(&self, now: Timestamp) -> Vec<Noted> {
        let (mut state, moment, today) = (self.state(), Instant::now(), rules::day(now));
        let mut news = Vec::new();
        for (name, group) in &mut state.groups {
            if std::mem::take(&mut group.changed) {
                let rest_until = now.plus(group.next_at.saturating_duration_since(moment));
                let why = group.why.clone();
                news.push(Noted {
                    egress: ANY_EGRESS.into(),
                    hosts: name.clone(),
                    day: today,
                    sent: 0,
                    rest_until,
                    why,
                });
            }
        }
        for ((address, hosts), leaving) in &mut state.leaving {
            if std::mem::take(&mut leaving.changed) {
                news.push(Noted {
                    egress: address.to_string(),
                    hosts: hosts.clone(),
                    day: leaving.day,
                    sent: std::mem::take(&mut leaving.unsaid),
                    rest_until: leaving.out_until,
                    why: leaving.why.clone().filter(|_| leaving.out_until > now),
                });
            }
        }
        if state.leaving.len() > GROUPS_MAX {
            state.leaving.retain(|_, leaving| leaving.day == today || leaving.out_until > now);
        }
        news
    }

    /// The name to be said in EHLO by who comes from this address.
    pub(crate) fn helo(&self, local: Option<IpAddr>) -> Option<String> {
        let local = local?;
        self.state().rules.egress.iter().find(|one| one.address == local)?.helo.clone()
    }

    /// All names that are said in EHLO, in lower case.
    pub(crate) fn names(&self) -> Vec<String> {
        let state = self.state();
        state.rules.egress.iter().filter_map(|one| Some(one.helo.as_ref()?.to_ascii_lowercase())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn group(&mut self, name: &str, now: Instant) -> &mut Group {
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(name) {
            self.groups.retain(|_, group| group.connections > 0 || group.next_at > now || group.changed);
        }
        let new = || Group {
            connections: 0,
            allowance: f64::INFINITY,
            filled: now,
            pause: Duration::ZERO,
            next_at: now,
            why: None,
            changed: false,
        };
        self.groups.entry(name.to_owned()).or_insert_with(new)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(group) = self.shaping.state().groups.get_mut(&self.group) {
            group.connections = group.connections.saturating_sub(1);
        }
    }
}

/// A minute's messages come in so many parts at least.
const BURSTS: f64 = 4.0;
