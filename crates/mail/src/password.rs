//! Hashing passwords. Slow on purpose: never inside a transaction, never on an async thread.

use crate::Error;

/// Memory of argon2id in KiB (OWASP: 19 MiB with two passes).
pub const ARGON2_MEMORY_KIB: u32 = 19_456;
/// Passes of argon2id.
pub const ARGON2_PASSES: u32 = 2;
/// Lanes of argon2id.
pub const ARGON2_LANES: u32 = 1;
/// Longest password in bytes; more is refused unread, so that nobody makes us hash megabytes.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// A hash that may be kept: argon2id as a PHC string, or that of an app password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password chosen by a person: argon2id, about 20 to 50 ms.
    ///
    /// Errors: `Refused` for an empty or too long one.
    pub fn of_password(password: &str) -> Result<PasswordHash, Error> {
        unimplemented!()
    }
}

/// A new app password: what is shown once, and what is kept.
#[derive(Debug, Clone)]
pub struct AppPassword {
    /// 24 letters and digits in groups of four, `abcd-efgh-…`, 119 bits; typed with or without the hyphens.
    pub plain: String,
    /// The hash: blake3 with a random salt. A fast hash suffices because the password is random.
    pub hash: PasswordHash,
}

impl AppPassword {
    /// Makes one.
    pub fn generate() -> Result<AppPassword, Error> {
        unimplemented!()
    }
}
