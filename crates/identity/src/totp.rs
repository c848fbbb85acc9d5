//! Codes that an authenticator shows.
//!
//! Standards: RFC 4226 §5 (HOTP), RFC 6238 (TOTP) with what all authenticators have: SHA-1, six digits, thirty seconds.

use std::fmt;

use aws_lc_rs::hmac;
use postroad_store::Timestamp;

use crate::Result;
use crate::secret::random;

/// What an authenticator and the server share: 160 bits (RFC 4226 §4 recommends as many).
#[derive(Clone, PartialEq, Eq)]
pub struct Shared([u8; SHARED_LEN]);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared(…)")
    }
}

impl Shared {
    /// A new one. Errors: the system gives no random numbers.
    pub fn fresh() -> Result<Shared> {
        let mut octets = [0; SHARED_LEN];
        octets.copy_from_slice(&random(SHARED_LEN)?);
        Ok(Shared(octets))
    }

    /// From what was sealed.
    pub fn of(octets: &[u8]) -> Option<Shared> {
        octets.try_into().ok().map(Shared)
    }

    /// To be sealed.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// For people who type it: base32 (RFC 4648 §6), 32 letters without padding.
    pub fn typed(&self) -> String {
        let mut out = String::with_capacity(SHARED_LEN * 8 / 5);
        for five in self.0.chunks(5) {
            let bits = five.iter().fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
            for place in (0..8).rev() {
                let letter = usize::try_from(bits >> (place * 5) & 31).unwrap_or_default();
                out.push(char::from(BASE32[letter]));
            }
        }
        out
    }

    /// The code of a step.
    pub fn code(&self, step: i64) -> u32 {
        hotp(&self.0, step.unsigned_abs())
    }

    /// Which step a code belongs to: that of now, the one before or the one behind it (RFC 6238 §5.2), and behind `last`,
    /// so that a code is good once.
    pub fn step_of(&self, code: u32, now: Timestamp, last: i64) -> Option<i64> {
        let current = step(now);
        (current - DRIFT..=current + DRIFT).find(|step| *step > last && self.code(*step) == code)
    }
}

/// RFC 4226 §5.3, six digits.
fn hotp(key: &[u8], counter: u64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or_default() & 15);
    let part = tag.iter().skip(offset).take(4).fold(0u32, |sum, octet| sum << 8 | u32::from(*octet));
    (part & 0x7fff_ffff) % 1_000_000
}

/// The step of a time.
pub fn step(now: Timestamp) -> i64 {
    now.0.div_euclid(STEP_MICROS)
}

/// Six digits as somebody types them, with spaces where they like.
pub fn digits(text: &str) -> Option<u32> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).take(DIGITS + 1).collect();
    let plain = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Octets of [`Shared`].
pub const SHARED_LEN: usize = 20;
const DIGITS: usize = 6;
const STEP_MICROS: i64 = 30 * 1_000_000;
/// Steps that a clock may be wrong by.
const DRIFT: i64 = 1;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfcs() {
        let shared = Shared::of(b"12345678901234567890").expect("20 octets");
        // RFC 4226 appendix D.
        for (counter, code) in [(0, 755_224), (1, 287_082), (2, 359_152), (9, 520_489)] {
            assert_eq!(shared.code(counter), code);
        }
        // RFC 6238 appendix B, SHA-1, the last six of eight digits.
        for (second, code) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(shared.code(step(Timestamp(second * 1_000_000))), code, "{second}");
        }
        assert_eq!(shared.typed(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_code_is_good_in_its_time_and_once() {
        let shared = Shared::of(b"12345678901234567890").expect("20 octets");
        let now = Timestamp(3_000_000_000);
        let step = step(now);
        for (of, last, good) in [
            (step, 0, true),
            (step - 1, 0, true),
            (step + 1, 0, true),
            (step - 2, 0, false),
            (step + 2, 0, false),
            (step, step, false),
            (step - 1, step, false),
            (step + 1, step, true),
        ] {
            assert_eq!(shared.step_of(shared.code(of), now, last), good.then_some(of), "{of} after {last}");
        }
        for (text, read) in [("123456", Some(123_456)), (" 012 345 ", Some(12_345)), ("12345", None), ("1234567", None)]
        {
            assert_eq!(digits(text), read, "{text}");
        }
        for wrong in ["", "12345a", "١٢٣٤٥٦", "-12345", "+12345"] {
            assert_eq!(digits(wrong), None, "{wrong}");
        }
    }
}
