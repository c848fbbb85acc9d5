//! How much may come in within an hour: buckets that fill evenly, kept in memory.
//!
//! Invariant: a bucket that is full again is as if there had never been one, so forgetting those costs nothing. When there are
//! more that are not full than fit, new ones are not counted: a flood from everywhere is not for these limits to stop.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postroad_net::Network;
use postroad_store::Timestamp;

/// So many in an hour; 0 is without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateSettings {
    /// Messages that one client begins: an IPv4 address or an IPv6 /64.
    pub messages_per_client: u32,
    /// Messages that come from one network: an IPv4 /24 or an IPv6 /48.
    pub messages_per_network: u32,
    /// Messages with one sender.
    pub messages_per_sender: u32,
    /// Messages for one recipient.
    pub messages_per_recipient: u32,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Client(Network),
    Network(Network),
    Sender(String),
    Recipient(String),
}

impl Subject {
    /// The client and its network.
    pub(crate) fn of_address(address: IpAddr) -> [Subject; 2] {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { 24 } else { 48 };
        let client = Network::of_one_client(address);
        let network = Network::new(address, prefix).unwrap_or(client);
        [Subject::Client(client), Subject::Network(network)]
    }

    /// The word for metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Subject::Client(_) => "client",
            Subject::Network(_) => "network",
            Subject::Sender(_) => "sender",
            Subject::Recipient(_) => "recipient",
        }
    }

    fn limit(&self, settings: &RateSettings) -> u32 {
        match self {
            Subject::Client(_) => settings.messages_per_client,
            Subject::Network(_) => settings.messages_per_network,
            Subject::Sender(_) => settings.messages_per_sender,
            Subject::Recipient(_) => settings.messages_per_recipient,
        }
    }
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    settings: RateSettings,
    buckets: Mutex<HashMap<Subject, Bucket>>,
}

/// `used` leaks away at the pace of the limit.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    used: f64,
    at: Timestamp,
}

/// Too much, and how much would not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooMuch {
    pub(crate) subject: Subject,
    pub(crate) per_hour: u32,
    /// Until one more is taken.
    pub(crate) wait: Duration,
}

impl Rates {
    pub(crate) fn new(settings: RateSettings) -> Rates {
        Rates { settings, buckets: Mutex::default() }
    }

    /// Counts one for each subject, or for none when it is too much for one.
    pub(crate) fn take(&self, subjects: &[Subject], now: Timestamp) -> Result<(), TooMuch> {
        let limited = |subject: &&Subject| subject.limit(&self.settings) > 0;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects.iter().filter(limited) {
            let per_hour = subject.limit(&self.settings);
            let used = buckets.get(subject).map_or(0.0, |bucket| bucket.used_at(now, per_hour));
            let over = used + 1.0 - f64::from(per_hour);
            // Without a hair's breadth, what leaked away exactly would be a matter of rounding.
            if over > 1e-6 {
                let wait = Duration::from_secs_f64(over * HOUR / f64::from(per_hour));
                return Err(TooMuch { subject: subject.clone(), per_hour, wait });
            }
        }
        for subject in subjects.iter().filter(limited) {
            let per_hour = subject.limit(&self.settings);
            if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(subject) {
                buckets.retain(|subject, bucket| bucket.used_at(now, subject.limit(&self.settings)) > 0.0);
                if buckets.len() >= MAX_BUCKETS {
                    continue;
                }
            }
            let bucket = buckets.entry(subject.clone()).or_insert(Bucket { used: 0.0, at: now });
            *bucket = Bucket { used: bucket.used_at(now, per_hour) + 1.0, at: now };
        }
        Ok(())
    }
}

impl Bucket {
    fn used_at(&self, now: Timestamp, per_hour: u32) -> f64 {
        let seconds = (now.0.saturating_sub(self.at.0)).max(0) as f64 / 1e6;
        (self.used - seconds * f64::from(per_hour) / HOUR).max(0.0)
    }
}

/// Seconds.
const HOUR: f64 = 3_600.0;
/// Buckets at a time; some 30 MB.
const MAX_BUCKETS: usize = 262_144;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_795_348_800_000_000 + seconds * 1_000_000)
    }

    fn subjects(address: &str) -> [Subject; 2] {
        Subject::of_address(address.parse().expect(address))
    }

    #[test]
    fn an_hour_has_so_many_and_they_come_back_evenly() {
        let rates = Rates::new(RateSettings { messages_per_client: 60, ..RateSettings::default() });
        let one = subjects("192.0.2.7");
        for _ in 0..60 {
            assert_eq!(rates.take(&one, at(0)), Ok(()));
        }
        let refused = rates.take(&one, at(0)).expect_err("too much");
        assert_eq!((refused.subject.name(), refused.per_hour, refused.wait.as_secs()), ("client", 60, 60));
        assert_eq!(rates.take(&subjects("192.0.2.8"), at(0)), Ok(()), "its neighbour is somebody else");
        assert!(rates.take(&one, at(59)).is_err());
        assert_eq!(rates.take(&one, at(60)), Ok(()));
        assert!(rates.take(&one, at(60)).is_err());
        for _ in 0..60 {
            assert_eq!(rates.take(&one, at(60 + 3_600)), Ok(()));
        }
        assert!(rates.take(&one, at(0)).is_err(), "a clock that goes back gives nothing");
    }

    #[test]
    fn what_is_too_much_for_one_is_counted_for_none() {
        let settings = RateSettings { messages_per_client: 5, messages_per_network: 2, ..RateSettings::default() };
        let rates = Rates::new(settings);
        for address in ["192.0.2.1", "192.0.2.2"] {
            assert_eq!(rates.take(&subjects(address), at(0)), Ok(()));
        }
        for _ in 0..10 {
            let refused = rates.take(&subjects("192.0.2.1"), at(0)).expect_err("too much");
            assert_eq!(refused.subject.name(), "network");
        }
        let used = rates.buckets.lock().expect("sound")[&subjects("192.0.2.1")[0]].used;
        assert!((used - 1.0).abs() < 1e-9, "{used}");
        assert_eq!(rates.take(&subjects("192.0.3.1"), at(0)), Ok(()));
    }

    #[test]
    fn networks_are_those_that_one_owner_has() {
        for (address, client, network) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ] {
            let expect =
                [Subject::Client(client.parse().expect(client)), Subject::Network(network.parse().expect(network))];
            assert_eq!(subjects(address), expect);
        }
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let rates = Rates::default();
        for _ in 0..1_000 {
            assert_eq!(rates.take(&subjects("192.0.2.7"), at(0)), Ok(()));
        }
        assert!(rates.buckets.lock().expect("sound").is_empty());
    }

    #[test]
    fn more_subjects_than_fit_are_let_be() {
        let rates = Rates::new(RateSettings { messages_per_sender: 3_600, ..RateSettings::default() });
        for n in 0..MAX_BUCKETS + 10 {
            assert_eq!(rates.take(&[Subject::Sender(n.to_string())], at(0)), Ok(()));
        }
        assert_eq!(rates.buckets.lock().expect("sound").len(), MAX_BUCKETS);
        assert_eq!(rates.take(&[Subject::Sender("new".into())], at(2)), Ok(()));
        assert_eq!(rates.buckets.lock().expect("sound").len(), 1, "those that are full again make room");
    }
}
