//! The settings of names that are looked up.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct DnsSettings {
    pub(crate) servers: Vec<String>,
    pub(crate) system: bool,
    pub(crate) dnssec: Dnssec,
    pub(crate) trust_anchor: Option<PathBuf>,
    pub(crate) timeout_seconds: u64,
    pub(crate) attempts: usize,
    pub(crate) cached_answers: usize,
    pub(crate) cached_octets: usize,
}

impl Default for DnsSettings {
    fn default() -> Self {
        DnsSettings {
            servers: Vec::new(),
            system: true,
            dnssec: Dnssec::Auto,
            trust_anchor: None,
            timeout_seconds: 5,
            attempts: 2,
            cached_answers: 16_384,
            cached_octets: 32 * 1024 * 1024,
        }
    }
}

/// Whose word is taken for what DNSSEC says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dnssec {
    /// The servers' when they are on this machine, else our own.
    Auto,
    /// Our own.
    Validate,
    /// The servers'.
    TrustAd,
    /// Nobody's.
    Off,
}
