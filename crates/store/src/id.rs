//! The numbers that name things, each a type of its own so that they cannot be mixed up.
//!
//! Ids made here are time-ordered and unique without asking the database.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub i64);

        impl From<i64> for $name {
            fn from(value: i64) -> Self {
                $name(value)
            }
        }

        impl From<$name> for i64 {
            fn from(value: $name) -> i64 {
                value.0
            }
        }
    };
}

number! {
    /// An account, the unit of locking, of news and of distribution.
    AccountId
}
number! {
    /// The state of an account: each change of it raises this by one.
    ModSeq
}
number! {
    /// The bytes of a message, stored once.
    BlobId
}
number! {
    /// The story of one message through this server. Shown as 13 letters and digits.
    TraceId
}
number! {
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp
}

impl Timestamp {
    /// The clock of this machine. For the shell only: the synchronous crates are told the time.
    pub fn now() -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// This moment, `duration` later; at the end of time it stays there.
    pub fn plus(self, duration: std::time::Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment, `duration` earlier.
    pub fn minus(self, duration: std::time::Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(self.0))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(self.0))
    }
}

/// The text was not 13 characters of Crockford's base 32, or names a number outside 63 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id: 13 letters and digits are expected")
    }
}

impl std::error::Error for NotAnId {}

impl FromStr for TraceId {
    type Err = NotAnId;

    fn from_str(text: &str) -> std::result::Result<TraceId, NotAnId> {
        decode(text).map(TraceId).ok_or(NotAnId)
    }
}

impl FromStr for BlobId {
    type Err = NotAnId;

    fn from_str(text: &str) -> std::result::Result<BlobId, NotAnId> {
        decode(text).map(BlobId).ok_or(NotAnId)
    }
}

/// A new id: positive, 63 bits, time-ordered. The upper 53 bits are microseconds and rise strictly within
/// a process; the lower 10 are drawn at random when the process starts, so that nodes that share a database
/// draw from different numbers.
pub fn new_id() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    static TAG: OnceLock<i64> = OnceLock::new();
    let tag = *TAG.get_or_init(|| i64::from(random_u32()) & TAG_MASK);
    let now = Timestamp::now().0;
    let mut last = LAST.load(Ordering::Relaxed);
    loop {
        let next = now.max(last + 1);
        match LAST.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return (next & TIME_MASK) << TAG_BITS | tag,
            Err(seen) => last = seen,
        }
    }
}

/// No id made at `at` or later is less than this.
pub(crate) fn first_id(at: Timestamp) -> i64 {
    (at.0.max(0) & TIME_MASK) << TAG_BITS
}

/// Thirty-two random bits from the operating system.
pub(crate) fn random_u32() -> u32 {
    let mut bytes = [0; 4];
    // The system's generator does not fail once the system runs; if it did, the process id still differs
    // between the nodes of one machine.
    if getrandom::fill(&mut bytes).is_err() {
        return std::process::id();
    }
    u32::from_le_bytes(bytes)
}

fn encode(number: i64) -> String {
    let number = number.cast_unsigned();
    (0..LETTERS).rev().map(|place| char::from(ALPHABET[(number >> (place * 5) & 31) as usize])).collect()
}

/// Crockford's reading: case does not matter, `o` is 0, `i` and `l` are 1.
fn decode(text: &str) -> Option<i64> {
    if text.len() != LETTERS as usize {
        return None;
    }
    let mut number: u128 = 0;
    for byte in text.bytes() {
        let letter = match byte.to_ascii_lowercase() {
            b'o' => b'0',
            b'i' | b'l' => b'1',
            other => other,
        };
        let digit = ALPHABET.iter().position(|known| *known == letter)?;
        number = number << 5 | digit as u128;
    }
    i64::try_from(number).ok()
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LETTERS: u32 = 13;
const TAG_BITS: u32 = 10;
const TAG_MASK: i64 = (1 << TAG_BITS) - 1;
const TIME_MASK: i64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_never_repeat() {
        let ids: Vec<i64> = (0..10_000).map(|_| new_id()).collect();
        assert!(ids.windows(2).all(|pair| 0 < pair[0] && pair[0] < pair[1]));
    }

    #[test]
    fn text_and_back() {
        for number in [0, 1, 31, 32, 1 << 40, i64::MAX, new_id()] {
            let text = TraceId(number).to_string();
            assert_eq!(text.len(), 13);
            assert_eq!(text.parse(), Ok(TraceId(number)));
            assert_eq!(text.to_uppercase().parse(), Ok(TraceId(number)));
        }
        assert_eq!("000000000000o".parse(), Ok(TraceId(0)));
        assert_eq!("000000000000L".parse(), Ok(TraceId(1)));
        for wrong in ["", "0", "zzzzzzzzzzzzz", "000000000000u", "0000000000000 ", "8000000000000"] {
            assert_eq!(wrong.parse::<TraceId>(), Err(NotAnId), "{wrong}");
        }
    }

    #[test]
    fn text_sorts_as_time() {
        assert!(TraceId(new_id()).to_string() < TraceId(new_id()).to_string());
    }
}
