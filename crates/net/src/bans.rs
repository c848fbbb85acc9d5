//! Addresses that keep failing are shut out for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::Network;

/// When an address is shut out, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BanSettings {
    /// So many points within `window` shut the address out. 0: never.
    pub points: u32,
    /// Points older than this no longer count.
    pub window: Duration,
    /// How long the address stays out.
    pub length: Duration,
}

impl Default for BanSettings {
    fn default() -> BanSettings {
        BanSettings { points: 20, window: MINUTES_10, length: MINUTES_10 }
    }
}

/// Counts offences (failed logins) by client ([`Network::of_one_client`]). Loopback is never shut out.
#[derive(Debug)]
pub struct Bans {
    settings: BanSettings,
    known: Mutex<HashMap<Network, Record>>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    points: u32,
    since: Instant,
    banned_until: Option<Instant>,
}

impl Bans {
    /// Nobody is shut out yet.
    pub fn new(settings: BanSettings) -> Bans {
        Bans { settings, known: Mutex::default() }
    }

    /// Counts an offence of so many points. True when this one shuts the address out.
    pub fn offend(&self, address: IpAddr, points: u32, now: Instant) -> bool {
        if self.settings.points == 0 || address.to_canonical().is_loopback() {
            return false;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.retain(|_, record| !self.is_over(record, now));
        }
        let client = Network::of_one_client(address);
        // A flood from more clients than we remember is the total limit's business, not ours.
        if known.len() >= MAX_KNOWN && !known.contains_key(&client) {
            return false;
        }
        let fresh = Record { points: 0, since: now, banned_until: None };
        let record = known.entry(client).or_insert(fresh);
        if self.is_over(record, now) {
            *record = fresh;
        }
        record.points = record.points.saturating_add(points);
        let out = record.banned_until.is_none() && record.points >= self.settings.points;
        if out {
            record.banned_until = Some(now + self.settings.length);
        }
        out
    }

    /// Whether the address is shut out.
    pub fn is_out(&self, address: IpAddr, now: Instant) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&Network::of_one_client(address))
            .and_then(|record| record.banned_until)
            .is_some_and(|until| now < until)
    }

    fn is_over(&self, record: &Record, now: Instant) -> bool {
        match record.banned_until {
            Some(until) => now >= until,
            None => now.duration_since(record.since) >= self.settings.window,
        }
    }
}

const MINUTES_10: Duration = Duration::from_secs(600);

/// Clients remembered at a time; some 6 MB at most.
const MAX_KNOWN: usize = 65_536;

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
        assert!(!bans.offend(bad, 1, now));
        assert!(!bans.offend(bad, 1, now));
        assert!(!bans.is_out(bad, now));
        assert!(bans.offend(bad, 1, now));
        assert!(!bans.offend(bad, 1, now), "shutting out is told once");
        assert!(bans.is_out(address("2001:db8::2"), now), "the whole /64 is one client");
        assert!(!bans.is_out(address("2001:db8:0:1::1"), now));
        assert!(!bans.is_out(bad, now + MINUTES_10));
        assert!(!bans.offend(bad, 2, now + MINUTES_10), "the count starts again");
    }

    #[test]
    fn old_offences_are_forgotten() {
        let bans = Bans::new(BanSettings { points: 2, ..BanSettings::default() });
        let (bad, now) = (address("192.0.2.1"), Instant::now());
        bans.offend(bad, 1, now);
        assert!(!bans.offend(bad, 1, now + MINUTES_10));
        assert!(bans.offend(bad, 1, now + MINUTES_10));
    }

    #[test]
    fn loopback_is_never_out() {
        let bans = Bans::new(BanSettings { points: 1, ..BanSettings::default() });
        for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(!bans.offend(address(text), 100, Instant::now()));
            assert!(!bans.is_out(address(text), Instant::now()));
        }
    }

    #[test]
    fn a_flood_of_clients_does_not_grow_without_limit() {
        let bans = Bans::new(BanSettings { points: 2, ..BanSettings::default() });
        let now = Instant::now();
        for n in 0..(MAX_KNOWN as u32 + 10) {
            bans.offend(IpAddr::V4((0x0A00_0000 + n).into()), 1, now);
        }
        assert_eq!(bans.known.lock().expect("not poisoned").len(), MAX_KNOWN);
        bans.offend(address("192.0.2.1"), 2, now + MINUTES_10);
        assert_eq!(bans.known.lock().expect("not poisoned").len(), 1, "what is over makes room");
    }
}
