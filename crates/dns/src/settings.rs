//! What a resolver is told.

use std::path::PathBuf;
use std::time::Duration;

/// Whose word is taken for what DNSSEC says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// [`Dnssec::TrustAd`] when every server is on this machine. Else we validate what decides where mail goes and how it is
    /// protected (MX, addresses, CNAME, TLSA), if the servers give what that needs; other answers are not checked.
    #[default]
    Auto,
    /// We check all signatures ourselves.
    Validate,
    /// The servers validate, and the way to them is safe: their AD bit is believed. RFC 4035 §3.2.3.
    TrustAd,
    /// Nobody looks.
    Off,
}

/// Limits of a resolver.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose word is taken for what DNSSEC says.
    pub dnssec: Dnssec,
    /// A file with the root's keys (`. IN DNSKEY …`, lines of a master file); none: those that IANA publishes.
    pub trust_anchor: Option<PathBuf>,
    /// For each message to a server.
    pub timeout: Duration,
    /// How often each server is asked before giving up.
    pub attempts: usize,
    /// For a whole question, aliases and waiting for a place included.
    pub deadline: Duration,
    /// Answers and denials kept.
    pub cached_answers: usize,
    /// Octets of answers and denials kept, roughly.
    pub cached_octets: usize,
    /// Questions on their way at a time; more wait.
    pub questions: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            dnssec: Dnssec::Auto,
            trust_anchor: None,
            timeout: Duration::from_secs(5),
            attempts: 2,
            deadline: Duration::from_secs(20),
            cached_answers: 16_384,
            cached_octets: 32 * 1024 * 1024,
            questions: 256,
        }
    }
}
