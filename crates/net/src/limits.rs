//! How many connections there may be, in all, by listener and by client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::{Bans, Network};

/// The limits; 0 is not "unlimited" but "none".
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// Connections in all.
    pub total: usize,
    /// Connections of one listener.
    pub per_listener: usize,
    /// Connections of one client: an IPv4 address or an IPv6 /64.
    pub per_client: usize,
    /// Who may have any number of connections and is never shut out.
    pub exempt: Vec<Network>,
}

impl Default for LimitSettings {
    fn default() -> LimitSettings {
        LimitSettings { total: 100_000, per_listener: 50_000, per_client: 200, exempt: Network::of_this_machine() }
    }
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The server has as many connections as it may.
    Total,
    /// The listener has as many connections as it may.
    Listener,
    /// The client has as many connections as it may.
    Client,
    /// The client was shut out by [`Bans`].
    Banned,
}

impl Refusal {
    /// The word for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Total => "total",
            Refusal::Listener => "listener",
            Refusal::Client => "client",
            Refusal::Banned => "banned",
        }
    }
}

/// Counts the open connections of the whole process.
#[derive(Debug)]
pub struct Limits {
    settings: LimitSettings,
    bans: Option<Arc<Bans>>,
    total: AtomicUsize,
    clients: Mutex<HashMap<Network, usize>>,
}

impl Limits {
    /// No connections yet. `bans` are looked up for each new client.
    pub fn new(settings: LimitSettings, bans: Option<Arc<Bans>>) -> Arc<Limits> {
        let (total, clients) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Limits { settings, bans, total, clients })
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Takes a place for an accepted socket whose client is not known yet (PROXY protocol).
    pub(crate) fn enter(self: &Arc<Limits>, listener: &Arc<AtomicUsize>) -> Result<Place, Refusal> {
        // Taken before looked at, so that two at once cannot both get the last place; dropping gives it back.
        let before = self.total.fetch_add(1, Ordering::Relaxed);
        let before_here = listener.fetch_add(1, Ordering::Relaxed);
        let place = Place { limits: Arc::clone(self), listener: Arc::clone(listener), client: None };
        if before >= self.settings.total {
            return Err(Refusal::Total);
        }
        if before_here >= self.settings.per_listener {
            return Err(Refusal::Listener);
        }
        Ok(place)
    }
}

/// A connection's place in the counts, given back when dropped; only an accepted connection has one.
#[derive(Debug)]
pub struct Place {
    limits: Arc<Limits>,
    listener: Arc<AtomicUsize>,
    client: Option<Network>,
}

impl Place {
    /// The client is known now.
    pub(crate) fn belongs_to(&mut self, address: IpAddr) -> Result<(), Refusal> {
        let limits = &self.limits;
        if limits.settings.exempt.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        if limits.bans.as_ref().is_some_and(|bans| bans.is_out(address, Instant::now())) {
            return Err(Refusal::Banned);
        }
        let client = Network::of_one_client(address);
        let mut clients = limits.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let open = clients.get(&client).copied().unwrap_or(0);
        if open >= limits.settings.per_client {
            return Err(Refusal::Client);
        }
        clients.insert(client, open + 1);
        drop(clients);
        self.client = Some(client);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limits.total.fetch_sub(1, Ordering::Relaxed);
        self.listener.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = self.client else { return };
        let mut clients = self.limits.clients.lock().unwrap_or_else(PoisonError::into_inner);
        match clients.get_mut(&client) {
            Some(open) if *open > 1 => *open -= 1,
            Some(_) | None => {
                clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BanSettings;

    fn limits(settings: LimitSettings) -> (Arc<Limits>, Arc<AtomicUsize>) {
        (Limits::new(settings, None), Arc::default())
    }

    #[test]
    fn places_run_out_and_come_back() {
        let (limits, listener) = limits(LimitSettings { total: 2, ..LimitSettings::default() });
        let first = limits.enter(&listener).expect("a place");
        let _second = limits.enter(&listener).expect("a place");
        assert_eq!(limits.enter(&listener).expect_err("full"), Refusal::Total);
        assert_eq!(limits.open(), 2, "a refusal takes no place");
        drop(first);
        assert!(limits.enter(&listener).is_ok());
    }

    #[test]
    fn a_listener_does_not_take_the_places_of_another() {
        let (limits, listener) = limits(LimitSettings { per_listener: 1, ..LimitSettings::default() });
        let _first = limits.enter(&listener).expect("a place");
        assert_eq!(limits.enter(&listener).expect_err("full"), Refusal::Listener);
        assert!(limits.enter(&Arc::default()).is_ok());
    }

    #[test]
    fn one_client_cannot_take_all() {
        let (limits, listener) = limits(LimitSettings {
            per_client: 1,
            exempt: ["10.0.0.0/8", "127.0.0.0/8"].map(|text| text.parse().expect("a network")).into(),
            ..LimitSettings::default()
        });
        let enter = |text: &str| {
            let mut place = limits.enter(&listener).expect("a place");
            place.belongs_to(text.parse().expect(text)).map(|()| place)
        };
        let first = enter("192.0.2.1").expect("the first");
        assert_eq!(enter("192.0.2.1").expect_err("full"), Refusal::Client);
        let _other = enter("192.0.2.2").expect("another client");
        let _six = enter("2001:db8::1").expect("IPv6");
        assert_eq!(enter("2001:db8::2").expect_err("the same /64"), Refusal::Client);
        drop(first);
        let _again = enter("192.0.2.1").expect("the place came back");
        let _many: Vec<_> =
            ["127.0.0.1", "127.0.0.1", "10.1.1.1", "10.1.1.1"].map(|exempt| enter(exempt).expect("exempt")).into();
        drop(_again);
        drop(_other);
        drop(_six);
        assert!(limits.clients.lock().expect("not poisoned").is_empty(), "nothing is left behind");
    }

    #[test]
    fn who_is_shut_out_does_not_get_in() {
        let bans = Arc::new(Bans::new(BanSettings { points: 1, ..BanSettings::default() }));
        let exempt = vec!["10.0.0.0/8".parse().expect("a network")];
        let limits = Limits::new(LimitSettings { exempt, ..LimitSettings::default() }, Some(Arc::clone(&bans)));
        for (address, outcome) in [("192.0.2.1", Err(Refusal::Banned)), ("10.1.1.1", Ok(()))] {
            let address = address.parse().expect("an address");
            bans.offend(address, crate::Offence::Passwords, 1, "", Instant::now());
            let mut place = limits.enter(&Arc::default()).expect("a place");
            assert_eq!(place.belongs_to(address), outcome, "{address}");
        }
    }
}
