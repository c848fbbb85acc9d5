//! What an administrator may choose about the POP3 service, and its limits.
//!
//! What it never does: read a file. The shell fills this in.

use std::time::Duration;

/// The settings of the POP3 service; shared by all sessions.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Let a client on this machine log in without TLS (a trial on loopback).
    pub cleartext_on_loopback: bool,
    /// The mechanisms of AUTH, in this order.
    pub mechanisms: Vec<&'static postroad_sasl::Mechanism>,
    /// Whether STLS can be offered, that is, whether there is a certificate.
    pub starttls: bool,
    /// How long the answer to a failed login is held back; the second failure waits twice as long and so
    /// on. Zero for none.
    pub login_delay: Duration,
    /// Whether clients on this machine are spared that delay.
    pub no_delay_on_loopback: bool,
    /// The least between two logins of an account (LOGIN-DELAY, RFC 2449 §6.5). Zero for none.
    pub login_interval: Duration,
    /// One session at a time has a maildrop; others are told `[IN-USE]`.
    pub exclusive: bool,
    /// Days after which a message goes that was fetched (EXPIRE, RFC 2449 §6.7): with 0 it goes at QUIT. `None`: never.
    pub expire_days: Option<u32>,
    /// How long a client that has not logged in may be silent.
    pub patience_before_login: Duration,
    /// How long a client that has logged in may be silent. RFC 1939 §3: at least 10 minutes.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            cleartext_on_loopback: false,
            mechanisms: postroad_sasl::standard(),
            starttls: true,
            login_delay: Duration::from_secs(2),
            no_delay_on_loopback: true,
            login_interval: Duration::ZERO,
            exclusive: false,
            expire_days: None,
            patience_before_login: Duration::from_secs(90),
            patience: Duration::from_secs(10 * 60),
        }
    }
}

/// The longest that a failed login is held back, however often it failed before.
pub(crate) const LOGIN_DELAY_MAX: Duration = Duration::from_secs(16);
/// After this many failed logins the session ends.
pub(crate) const FAILED_LOGINS_MAX: u32 = 5;
/// After this many lines in a row that are no commands the session ends.
pub(crate) const BAD_COMMANDS_MAX: u32 = 20;
/// A maildrop that one session has alone is free so long after the last that was heard of it, beyond its patience.
pub(crate) const LEASE_BEYOND_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// The lease is renewed once so much of it is over: a third.
pub(crate) const LEASE_PARTS: i64 = 3;
/// Most messages of a maildrop, the oldest first: 24 octets each while the session lasts. Who has more sees
/// the rest once some are deleted.
pub(crate) const MESSAGES_MAX: usize = 500_000;
/// Messages read by one job when the maildrop is opened.
pub(crate) const MESSAGES_PER_JOB: usize = 10_000;
/// Octets of a message read by one job.
pub(crate) const CHUNK: u64 = 128 * 1024;
/// A listing that produced this much goes on after the client has taken it.
pub(crate) const OUTPUT_BUDGET: usize = 128 * 1024;
/// A message of so many octets is read by a quick job: it lies in the database, as a rule.
pub(crate) const QUICK_OCTETS_MAX: u64 = 64 * 1024;
