//! Addresses that keep failing are shut out for a while, and so are those that a list names.
//!
//! Invariants: 1. nobody is shut out who is spared by name (proxies, trusted networks, this machine); 2. nobody is shut out by
//! counting who logged in with success a short while ago: behind one address of a large provider many people sit; 3. what an
//! administrator lists holds also then. What is counted here is told to whoever keeps it ([`Told`]), who gives back the list of
//! all ([`Bans::list`]): servers that share a store shut out the same clients.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::Network;

/// When an address is shut out, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BanSettings {
    /// So many points within `window` shut the address out. 0: never.
    pub points: u32,
    /// Points older than this no longer count.
    pub window: Duration,
    /// How long the address stays out for the first time.
    pub length: Duration,
}

impl Default for BanSettings {
    fn default() -> BanSettings {
        BanSettings { points: 20, window: MINUTES_10, length: MINUTES_10 }
    }
}

/// What an address is shut out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offence {
    /// Logins that failed.
    Passwords,
    /// Recipients that do not exist.
    Recipients,
    /// What no mail program does: speaking before the greeting, one error after the other.
    Protocol,
}

impl Offence {
    /// The word for metrics and lists.
    pub fn name(self) -> &'static str {
        match self {
            Offence::Passwords => "passwords",
            Offence::Recipients => "recipients",
            Offence::Protocol => "protocol",
        }
    }
}

/// What whoever keeps the list hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A client was shut out. [`Bans::settle`] it once it is kept.
    Out {
        /// Who.
        client: Network,
        /// What for.
        offence: Offence,
        /// The last straw, such as a login's name; what a stranger wrote.
        detail: String,
    },
    /// A client logged in with success, for the first time since long.
    Welcome(Network),
}

/// What is kept elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// Networks that are shut out, until when; `None` is for good.
    pub out: Vec<(Network, Option<Instant>)>,
    /// Clients that logged in with success, until when that counts.
    pub welcome: Vec<(Network, Instant)>,
}

/// Counts offences by client ([`Network::of_one_client`]).
#[derive(Debug)]
pub struct Bans {
    settings: BanSettings,
    spared: Vec<Network>,
    told: Option<mpsc::Sender<Told>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Network, Record>,
    welcome: HashMap<Network, Instant>,
    listed: HashMap<Network, Option<Instant>>,
    /// The lengths of prefixes in `listed`.
    prefixes: HashSet<(bool, u8)>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    points: u32,
    since: Instant,
    banned_until: Option<Instant>,
}

impl Bans {
    /// Nobody is shut out yet, and this machine never is.
    pub fn new(settings: BanSettings) -> Bans {
        Bans { settings, spared: Network::of_this_machine(), told: None, state: Mutex::default() }
    }

    /// The same, sparing these networks alone.
    #[must_use]
    pub fn sparing(self, spared: Vec<Network>) -> Bans {
        Bans { spared, ..self }
    }

    /// The same, telling somebody who keeps what happens; a bounded number waits there, and what is too much is not kept.
    #[must_use]
    pub fn telling(self) -> (Bans, mpsc::Receiver<Told>) {
        let (told, hears) = mpsc::channel(TOLD_AT_ONCE);
        (Bans { told: Some(told), ..self }, hears)
    }

    /// Counts an offence of so many points. True when this one shuts the address out.
    pub fn offend(&self, address: IpAddr, offence: Offence, points: u32, detail: &str, now: Instant) -> bool {
        if self.settings.points == 0 || self.is_spared(address) {
            return false;
        }
        let client = Network::of_one_client(address);
        let mut state = self.state();
        let out = state.count(client, points, &self.settings, now);
        drop(state);
        if out {
            metrics::counter!("postroad_bans_total", "offence" => offence.name()).increment(1);
            self.tell(Told::Out { client, offence, detail: detail.chars().take(DETAIL_MAX).collect() });
        }
        out
    }

    /// Somebody at this address logged in with success: it is not shut out by counting for a while.
    pub fn welcome(&self, address: IpAddr, now: Instant) {
        if self.is_spared(address) {
            return;
        }
        let client = Network::of_one_client(address);
        let mut state = self.state();
        // Those who offended before they found the right password start anew.
        state.known.remove(&client);
        // Told again before it is over, so that who logs in every day is known for ever.
        let fresh = state.welcome.get(&client).is_some_and(|until| now + WELCOME.mul_f32(0.9) < *until);
        if fresh {
            return;
        }
        if state.welcome.len() >= MAX_KNOWN {
            state.welcome.retain(|_, until| now < *until);
        }
        if state.welcome.len() < MAX_KNOWN || state.welcome.contains_key(&client) {
            state.welcome.insert(client, now + WELCOME);
        }
        drop(state);
        self.tell(Told::Welcome(client));
    }

    /// Whether the address is shut out.
    pub fn is_out(&self, address: IpAddr, now: Instant) -> bool {
        if self.is_spared(address) {
            return false;
        }
        let state = self.state();
        let counted = state.known.get(&Network::of_one_client(address)).and_then(|record| record.banned_until);
        counted.is_some_and(|until| now < until) || state.is_listed(address, now)
    }

    /// Whether somebody at this address logged in with success a short while ago.
    pub fn is_welcome(&self, address: IpAddr, now: Instant) -> bool {
        let state = self.state();
        state.welcome.get(&Network::of_one_client(address)).is_some_and(|until| now < *until)
    }

    /// Whether the address can never be shut out.
    pub fn is_spared(&self, address: IpAddr) -> bool {
        self.spared.iter().any(|network| network.contains(address))
    }

    /// What is kept elsewhere, all of it: what is not in it any more does not hold any more.
    pub fn list(&self, listed: Listed) {
        let mut state = self.state();
        state.prefixes = listed.out.iter().map(|(network, _)| network.width()).collect();
        state.listed = listed.out.into_iter().take(MAX_LISTED).collect();
        for (client, until) in listed.welcome.into_iter().take(MAX_KNOWN) {
            state.welcome.insert(client, until);
        }
    }

    /// What was counted of a client is kept elsewhere now, or was taken back.
    pub fn settle(&self, client: Network) {
        self.state().known.remove(&client);
    }

    fn tell(&self, told: Told) {
        if let Some(teller) = &self.told
            && teller.try_send(told).is_err()
        {
            tracing::warn!("more is to be kept about clients at the gate than can be written; it holds here alone");
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, client: Network, points: u32, settings: &BanSettings, now: Instant) -> bool {
        if self.welcome.get(&client).is_some_and(|until| now < *until) {
            return false;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.retain(|_, record| !record.is_over(settings, now));
        }
        // A flood from more clients than we remember is the total limit's business, not ours.
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(&client) {
            return false;
        }
        let fresh = Record { points: 0, since: now, banned_until: None };
        let record = self.known.entry(client).or_insert(fresh);
        if record.is_over(settings, now) {
            *record = fresh;
        }
        record.points = record.points.saturating_add(points);
        let out = record.banned_until.is_none() && record.points >= settings.points;
        if out {
            record.banned_until = Some(now + settings.length);
        }
        out
    }

    /// One look for each length of prefix that is listed.
    fn is_listed(&self, address: IpAddr, now: Instant) -> bool {
        let address = address.to_canonical();
        self.prefixes.iter().filter(|(v4, _)| *v4 == address.is_ipv4()).any(|(_, prefix)| {
            let network = Network::new(address, *prefix);
            network
                .and_then(|network| self.listed.get(&network))
                .is_some_and(|until| until.is_none_or(|until| now < until))
        })
    }
}

impl Record {
    fn is_over(&self, settings: &BanSettings, now: Instant) -> bool {
        match self.banned_until {
            Some(until) => now >= until,
            None => now.duration_since(self.since) >= settings.window,
        }
    }
}

const MINUTES_10: Duration = Duration::from_secs(600);

/// Clients remembered at a time; some 6 MB at most.
const MAX_KNOWN: usize = 65_536;
/// Networks listed at a time.
pub const MAX_LISTED: usize = 100_000;
/// A login with success counts for so long.
pub const WELCOME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What waits to be kept.
const TOLD_AT_ONCE: usize = 1_024;
/// Characters of a detail.
const DETAIL_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn who_offends_too_often_is_out_for_a_while() {
        let bans = Bans::new(BanSettings { points: 3, ..BanSettings::default() });
        let (bad, now) = (address("2001:db8::1"), Instant::now());
        assert!(!bans.offend(bad, Offence::Passwords, 1, "", now));
        assert!(!bans.offend(bad, Offence::Passwords, 1, "", now));
        assert!(!bans.is_out(bad, now));
        assert!(bans.offend(bad, Offence::Passwords, 1, "", now));
        assert!(!bans.offend(bad, Offence::Passwords, 1, "", now), "shutting out is told once");
        assert!(bans.is_out(address("2001:db8::2"), now), "the whole /64 is one client");
        assert!(!bans.is_out(address("2001:db8:0:1::1"), now));
        assert!(!bans.is_out(bad, now + MINUTES_10));
        assert!(!bans.offend(bad, Offence::Passwords, 2, "", now + MINUTES_10), "the count starts again");
    }

    #[test]
    fn old_offences_are_forgotten() {
        let bans = Bans::new(BanSettings { points: 2, ..BanSettings::default() });
        let (bad, now) = (address("192.0.2.1"), Instant::now());
        bans.offend(bad, Offence::Passwords, 1, "", now);
        assert!(!bans.offend(bad, Offence::Passwords, 1, "", now + MINUTES_10));
        assert!(bans.offend(bad, Offence::Passwords, 1, "", now + MINUTES_10));
    }

    #[test]
    fn loopback_is_never_out() {
        let bans = Bans::new(BanSettings { points: 1, ..BanSettings::default() });
        for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(!bans.offend(address(text), Offence::Passwords, 100, "", Instant::now()));
            assert!(!bans.is_out(address(text), Instant::now()));
        }
    }

    #[test]
    fn a_flood_of_clients_does_not_grow_without_limit() {
        let bans = Bans::new(BanSettings { points: 2, ..BanSettings::default() });
        let now = Instant::now();
        for n in 0..(MAX_KNOWN as u32 + 10) {
            bans.offend(IpAddr::V4((0x0A00_0000 + n).into()), Offence::Passwords, 1, "", now);
        }
        assert_eq!(bans.state().known.len(), MAX_KNOWN);
        bans.offend(address("192.0.2.1"), Offence::Passwords, 2, "", now + MINUTES_10);
        assert_eq!(bans.state().known.len(), 1, "what is over makes room");
    }

    #[test]
    fn who_logged_in_is_not_shut_out_by_counting() {
        let bans = Bans::new(BanSettings { points: 2, ..BanSettings::default() });
        let (cloud, now) = (address("192.0.2.1"), Instant::now());
        assert!(!bans.offend(cloud, Offence::Passwords, 1, "", now));
        bans.welcome(cloud, now);
        assert!(!bans.offend(cloud, Offence::Passwords, 100, "", now), "one of many with a wrong password");
        assert!(!bans.is_out(cloud, now));
        let later = now + WELCOME;
        assert!(bans.offend(cloud, Offence::Passwords, 100, "", later), "nobody came for long");
        bans.welcome(cloud, later);
        assert!(!bans.is_out(cloud, later), "somebody whose login was under way when it was shut out");
    }

    #[test]
    fn what_is_listed_holds_until_it_is_not() {
        let bans = Bans::new(BanSettings::default()).sparing(vec!["10.0.0.0/8".parse().expect("a network")]);
        let now = Instant::now();
        let network = |text: &str| text.parse::<Network>().expect(text);
        let out = vec![
            (network("192.0.2.0/24"), None),
            (network("2001:db8::/32"), Some(now + MINUTES_10)),
            (network("10.1.1.1"), None),
            (network("198.51.100.7"), Some(now)),
        ];
        bans.list(Listed { out, welcome: vec![(network("203.0.113.1"), now + MINUTES_10)] });
        for (client, expect) in [
            ("192.0.2.77", true),
            ("192.0.3.1", false),
            ("::ffff:192.0.2.77", true),
            ("2001:db8:1::1", true),
            ("10.1.1.1", false),
            ("198.51.100.7", false),
        ] {
            assert_eq!(bans.is_out(address(client), now), expect, "{client}");
        }
        assert!(!bans.is_out(address("2001:db8:1::1"), now + MINUTES_10), "over");
        assert!(!bans.offend(address("203.0.113.1"), Offence::Recipients, 100, "", now), "another server knows it");
        bans.list(Listed::default());
        assert!(!bans.is_out(address("192.0.2.77"), now), "taken back");
    }

    #[test]
    fn whoever_keeps_the_list_hears_once() {
        let (bans, mut hears) = Bans::new(BanSettings { points: 2, ..BanSettings::default() }).telling();
        let (bad, now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..4 {
            bans.offend(bad, Offence::Recipients, 1, "x@example.test", now);
        }
        let (client, detail) = (Network::of_one_client(bad), "x@example.test".to_owned());
        assert_eq!(hears.try_recv(), Ok(Told::Out { client, offence: Offence::Recipients, detail }));
        assert!(hears.try_recv().is_err());
        assert!(bans.is_out(bad, now));
        bans.settle(client);
        assert!(!bans.is_out(bad, now), "the list says it from now on");
        bans.welcome(bad, now);
        bans.welcome(bad, now + MINUTES_10);
        assert_eq!(hears.try_recv(), Ok(Told::Welcome(client)));
        assert!(hears.try_recv().is_err(), "not with each login");
    }
}
