//! The settings of mail that goes out.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct OutboundSettings {
    pub(crate) enabled: bool,
    pub(crate) port: u16,
    pub(crate) concurrency: usize,
    pub(crate) per_destination: usize,
    pub(crate) per_host: usize,
    pub(crate) recipients_per_message: usize,
    pub(crate) messages_per_connection: u32,
    pub(crate) idle_seconds: u64,
    pub(crate) patience_percent: u32,
    pub(crate) lifetime_hours: u32,
    pub(crate) delay_notice_hours: u32,
    pub(crate) lease_seconds: u64,
    pub(crate) source_addresses: Vec<IpAddr>,
    pub(crate) helo_name: Option<String>,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) tls: OutboundTls,
    pub(crate) dane: bool,
    pub(crate) mta_sts: bool,
    pub(crate) mta_sts_port: u16,
    pub(crate) allow_loopback: bool,
    pub(crate) rewrite_senders: bool,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        OutboundSettings {
            enabled: true,
            port: 25,
            concurrency: 400,
            per_destination: 10,
            per_host: 20,
            recipients_per_message: 100,
            messages_per_connection: 100,
            idle_seconds: 5,
            patience_percent: 100,
            lifetime_hours: 120,
            delay_notice_hours: 4,
            lease_seconds: 120,
            source_addresses: Vec::new(),
            helo_name: None,
            authorities: None,
            tls: OutboundTls::Opportunistic,
            dane: true,
            mta_sts: true,
            mta_sts_port: 443,
            allow_loopback: false,
            rewrite_senders: true,
        }
    }
}

/// How hosts are spoken with of which no policy is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OutboundTls {
    /// With TLS where it is offered.
    Opportunistic,
    /// With TLS, whatever the certificate.
    Required,
    /// With TLS and a certificate that is verified.
    Verified,
}
