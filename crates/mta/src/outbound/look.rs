//! What a sender would see of our own domain, for those who look before others do.

use std::path::Path;
use std::sync::Arc;

use postroad_dns::Dns;
use postroad_trust::sts::Policy;
use rustls::RootCertStore;

use super::https::Https;
use super::security::fetch::fetch;
use super::tls::{self, Tls};

/// Fetches the MTA-STS policy of a domain as a sender does (RFC 8461 §3.3). `authorities` is a PEM file, without one the
/// system's are trusted; `port` is 443 but in a trial. The error says why there is none.
pub async fn fetch_policy(
    dns: Arc<dyn Dns>,
    authorities: Option<&Path>,
    port: u16,
    allow_loopback: bool,
    domain: &str,
) -> Result<Policy, String> {
    let tls = Tls::new(authorities).map_err(|error| error.to_string())?;
    let https = Https { dns, tls, port, allow_loopback, sources: Vec::new() };
    fetch(&https, domain).await.map_err(|broken| broken.why)
}

/// Whom senders trust: a PEM file, or without one what the system trusts. The error says why there is nobody.
pub fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
    tls::roots(file)
}
