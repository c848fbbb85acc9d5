//! How often somebody may do what costs us something, or what they could guess by.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postroad_store::Timestamp;

/// So many times in a window of time, for each who.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    times: u32,
    window: Duration,
    seen: Mutex<HashMap<K, (Timestamp, u32)>>,
}

impl<K: Hash + Eq> Limiter<K> {
    pub(crate) fn new(times: u32, window: Duration) -> Limiter<K> {
        Limiter { times, window, seen: Mutex::default() }
    }

    /// Counts one; whether it is still within the limit.
    pub(crate) fn take(&self, who: K, now: Timestamp) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = now.minus(self.window);
        if seen.len() >= SEEN_MAX {
            seen.retain(|_, (since, _)| *since > begins);
            // Too many at once: everybody waits, rather than that somebody gets past by being many.
            if seen.len() >= SEEN_MAX && !seen.contains_key(&who) {
                return false;
            }
        }
        let (since, count) = seen.entry(who).or_insert((now, 0));
        if *since <= begins {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.times
    }
}

/// Remembered at a time.
const SEEN_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_each_ones_own_and_ends() {
        let limiter = Limiter::new(2, Duration::from_secs(10));
        let at = |second: i64| Timestamp(second * 1_000_000);
        for (who, second, allowed) in
            [(1, 0, true), (1, 1, true), (1, 2, false), (2, 2, true), (1, 9, false), (1, 11, true), (2, 30, true)]
        {
            assert_eq!(limiter.take(who, at(second)), allowed, "{who} at {second}");
        }
        for who in 0..20_000 {
            limiter.take(who, at(40));
        }
        assert!(!limiter.take(30_000, at(41)) && limiter.take(30_000, at(60)));
    }
}
