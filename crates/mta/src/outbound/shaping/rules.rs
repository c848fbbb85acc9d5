//! Which limit is for a host, what is built in, and how an address that is new begins.

use std::time::Duration;

use postroad_queue::shaping::Limit;
use postroad_store::Timestamp;

/// A limit that holds unless another one was set for its pattern.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    pattern: &'static str,
    connections: u32,
    per_connection: u32,
}

impl BuiltIn {
    /// As one that was set.
    pub fn limit(&self) -> Limit {
        Limit {
            pattern: self.pattern.to_owned(),
            connections: Some(self.connections),
            per_connection: Some(self.per_connection),
            per_minute: None,
            recipients: None,
        }
    }
}

/// Well below what the large providers take from a sender that they know: more connections bring nothing, and fewer are
/// never held against anybody. None limits messages in a minute, since each says itself when it is too much.
pub static BUILT_IN: [BuiltIn; 14] = [
    row(".google.com", 20, 100),
    row(".googlemail.com", 20, 100),
    row(".outlook.com", 20, 100),
    row(".hotmail.com", 10, 100),
    row(".yahoodns.net", 5, 20),
    row(".icloud.com", 5, 50),
    row(".gmx.net", 5, 50),
    row(".web.de", 5, 50),
    row(".t-online.de", 3, 20),
    row(".orange.fr", 2, 20),
    row(".free.fr", 2, 20),
    row(".comcast.net", 5, 50),
    row(".mail.ru", 5, 20),
    row(".qq.com", 3, 20),
];

const fn row(pattern: &'static str, connections: u32, per_connection: u32) -> BuiltIn {
    BuiltIn { pattern, connections, per_connection }
}

/// The limit for mail to this domain at this host: what was set before what is built in, names as they are before the ends
/// of names, and the longest end.
pub(super) fn find(set: &[Limit], host: &str, domain: &str) -> Option<Limit> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let whole = |name: &str| set.iter().find(|limit| limit.pattern == name).cloned();
    let ends = |pattern: &str| pattern.starts_with('.') && (host.ends_with(pattern) || host == pattern[1..]);
    let longest = || set.iter().filter(|limit| ends(&limit.pattern)).max_by_key(|limit| limit.pattern.len()).cloned();
    let built_in = || BUILT_IN.iter().find(|row| ends(row.pattern)).map(BuiltIn::limit);
    whole(domain).or_else(|| whole(&host)).or_else(longest).or_else(built_in)
}

/// Messages that may leave today from an address that is new since then, to each group of hosts; `None`: as many as there
/// are.
pub fn warm_up_cap(since: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    let age = now.0.saturating_sub(since?.0).max(0);
    let days = u32::try_from(age / i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX)).unwrap_or(u32::MAX);
    (days < WARM_UP_DAYS).then(|| FIRST_DAY << days)
}

/// Days since 1970.
pub(super) fn day(now: Timestamp) -> i64 {
    now.0.div_euclid(i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX))
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Messages of the first day; each day has twice as many as the one before.
const FIRST_DAY: u64 = 50;
/// After so many days an address is known.
const WARM_UP_DAYS: u32 = 14;
