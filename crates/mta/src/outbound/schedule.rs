//! When the next try is: pure functions of what was tried, when, and a random value.
//!
//! RFC 5321 §4.5.4.1 wants half an hour at least in general and leaves the strategy to the sender; most hosts that are
//! away come back within minutes, so the first tries follow each other sooner.

use std::time::Duration;

use postroad_queue::{DELAY, LIFETIME};
use postroad_store::Timestamp;

use super::classify::Category;

/// What of the schedule an administrator may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Mail is given up after so long: what it got when it came in, [`postroad_queue::Terms`].
    pub lifetime: Duration,
    /// After so long the sender hears that it takes long, once (RFC 3461 §4.1 NOTIFY=DELAY).
    pub delay_notice: Duration,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule { lifetime: LIFETIME, delay_notice: DELAY }
    }
}

/// How soon something is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It only wants to see whether we come back.
    Soon,
    Usual,
    /// There was too much at once.
    Slow,
    /// A mailbox is full: its owner has to come and read.
    Long,
    /// Our name is bad there: each try makes it worse.
    Longest,
}

impl Pace {
    /// By what a host said for now. What is a greylist's word, `classify` alone knows.
    pub(crate) fn of(category: Category) -> Pace {
        match category {
            // RFC 6647: it only wants to see whether we come back.
            Category::Greylist => Pace::Soon,
            Category::Rate => Pace::Slow,
            Category::MailboxFull => Pace::Long,
            Category::Reputation => Pace::Longest,
            Category::UnknownUser
            | Category::MailboxDisabled
            | Category::BadDestination
            | Category::BadSender
            | Category::Authentication
            | Category::ReverseDns
            | Category::Size
            | Category::Content
            | Category::Form
            | Category::Relay
            | Category::Loop
            | Category::Tls
            | Category::Policy
            | Category::Unreachable
            | Category::Temporary
            | Category::Other => Pace::Usual,
        }
    }
}

/// When a recipient is tried again after `attempts` tries (this one counted) of which the last was at `now`.
pub(crate) fn next(attempts: u32, pace: Pace, now: Timestamp, random: u64) -> Timestamp {
    let steps = match pace {
        Pace::Soon => GREYLISTED,
        Pace::Usual => STEPS,
        Pace::Slow => SLOW,
        Pace::Long => LONG,
        Pace::Longest => LONGEST,
    };
    now.plus(jittered(step(steps, attempts), random))
}

/// Until when a destination rests after `failures` failed attempts in a row to speak with any of its hosts.
pub(crate) fn destination(failures: u32, now: Timestamp, random: u64) -> Timestamp {
    now.plus(jittered(step(RESTS, failures), random))
}

fn step(minutes: &[u64], number: u32) -> Duration {
    let at = (number.max(1) as usize - 1).min(minutes.len() - 1);
    Duration::from_secs(minutes[at] * 60)
}

/// Between seven and nine eighths: what failed together does not come back together.
fn jittered(duration: Duration, random: u64) -> Duration {
    let micros = duration.as_micros();
    let spread = micros / 4 * u128::from(random >> 32) / u128::from(u32::MAX);
    Duration::from_micros(u64::try_from(micros / 8 * 7 + spread).unwrap_or(u64::MAX))
}

/// Minutes between tries; the last for all that follow.
const STEPS: &[u64] = &[5, 15, 30, 60, 120, 240];
/// The same where a greylist asks to come back: most open after one, five or fifteen minutes.
const GREYLISTED: &[u64] = &[2, 4, 10, 15, 30, 60, 120, 240];
/// The same where there was too much at once.
const SLOW: &[u64] = &[10, 20, 40, 60, 120, 240];
/// The same where a mailbox is full.
const LONG: &[u64] = &[60, 120, 240, 480];
/// The same where our name is bad.
const LONGEST: &[u64] = &[60, 240, 480];
/// Minutes that a destination rests whose hosts cannot be reached.
const RESTS: &[u64] = &[2, 5, 10, 15, 30, 60];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_get_rarer_and_do_not_coincide() {
        let hour = 3_600_000_000;
        for (attempts, minutes) in [(0, 5), (1, 5), (2, 15), (3, 30), (4, 60), (5, 120), (6, 240), (99, 240)] {
            let base = minutes * 60_000_000;
            for (random, expect) in [(0, base / 8 * 7), (u64::MAX, base / 8 * 9), (u64::MAX / 2, base)] {
                let next = next(attempts, Pace::Usual, Timestamp(hour), random).0 - hour;
                assert!((next - expect).abs() < 1_000, "{attempts} {random}: {next} {expect}");
            }
        }
        assert!(next(1, Pace::Soon, Timestamp(0), u64::MAX) < next(1, Pace::Usual, Timestamp(0), 0));
        assert!(next(9, Pace::Soon, Timestamp(0), 7) == next(9, Pace::Usual, Timestamp(0), 7));
        let first = |pace| next(1, pace, Timestamp(0), 0);
        let order = [Pace::Soon, Pace::Usual, Pace::Slow, Pace::Long].map(first);
        assert!(order.is_sorted() && order[0] < order[3]);
        assert!(next(2, Pace::Long, Timestamp(0), 0) < next(2, Pace::Longest, Timestamp(0), 0));
        assert!(destination(1, Timestamp(0), 0) < destination(9, Timestamp(0), 0));
    }

    #[test]
    fn each_class_has_its_pace() {
        for (category, expect) in [
            (Category::Greylist, Pace::Soon),
            (Category::Temporary, Pace::Usual),
            (Category::Rate, Pace::Slow),
            (Category::MailboxFull, Pace::Long),
            (Category::Reputation, Pace::Longest),
        ] {
            assert_eq!(Pace::of(category), expect);
        }
    }
}
