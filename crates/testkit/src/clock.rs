//! Time that moves when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A clock of microseconds since 1970, shared by its clones.
#[derive(Debug, Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Sunday, 22 November 2026, 12:00:00 UTC.
    pub const NOON: i64 = 1_795_348_800_000_000;

    /// A clock that shows [`Clock::NOON`].
    pub fn new() -> Clock {
        Clock(Arc::new(AtomicI64::new(Clock::NOON)))
    }

    /// What the clock shows, in microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a test moves the clock by less than an age");
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

/// Reads `90s`, `5m`, `2h` or `3d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let unit = text.chars().last().ok_or("no duration given")?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        other => return Err(format!("{other:?} is no unit of time: use s, m, h or d")),
    };
    let count: u64 =
        text[..text.len() - 1].parse().map_err(|_| format!("{text:?} is no duration: write it like 5m"))?;
    Ok(Duration::from_secs(count * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_shows_the_same_time() {
        let clock = Clock::new();
        let other = clock.clone();
        clock.advance(parse_duration("5m").expect("a good duration"));
        assert_eq!(other.now_us(), Clock::NOON + 300_000_000);
        assert!(parse_duration("5").is_err());
        assert!(parse_duration("").is_err());
    }
}
