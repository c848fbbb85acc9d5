//! The settings of listeners, and of the certificates that they show from files.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ListenerSettings {
    pub(crate) name: String,
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
    pub(crate) tls: TlsMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) proxy_from: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mechanisms: Vec<String>,
    #[serde(default)]
    pub(crate) client_certificates: bool,
}

impl ListenerSettings {
    /// The port by which others reach it.
    pub(crate) fn port_outside(&self) -> u16 {
        self.public_port.unwrap_or(self.address.port())
    }
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Service {
    Smtp,
    Submission,
    Lmtp,
    Imap,
    Pop3,
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TlsMode {
    None,
    Starttls,
    Implicit,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct CertificateSettings {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

/// The standard ports on all addresses.
pub(super) fn standard_listeners() -> Vec<ListenerSettings> {
    listeners(IpAddr::from([0, 0, 0, 0]), 0).into_iter().filter(|one| one.service != Service::Lmtp).collect()
}

/// A listener for each service on the standard ports plus `offset`.
pub(crate) fn listeners(address: IpAddr, offset: u16) -> Vec<ListenerSettings> {
    STANDARD
        .iter()
        .map(|(name, service, port, tls)| ListenerSettings {
            name: (*name).into(),
            service: *service,
            address: SocketAddr::new(address, port + offset),
            tls: *tls,
            public_port: None,
            proxy_from: Vec::new(),
            mechanisms: Vec::new(),
            client_certificates: false,
        })
        .collect()
}

/// Names, services, ports and the TLS that each starts with. RFC 8314 §3.3 for the implicit ones.
pub(crate) const STANDARD: &[(&str, Service, u16, TlsMode)] = &[
    ("smtp", Service::Smtp, 25, TlsMode::Starttls),
    ("submission", Service::Submission, 587, TlsMode::Starttls),
    ("submissions", Service::Submission, 465, TlsMode::Implicit),
    ("imap", Service::Imap, 143, TlsMode::Starttls),
    ("imaps", Service::Imap, 993, TlsMode::Implicit),
    ("pop3", Service::Pop3, 110, TlsMode::Starttls),
    ("pop3s", Service::Pop3, 995, TlsMode::Implicit),
    ("lmtp", Service::Lmtp, 24, TlsMode::None),
    ("http", Service::Http, 8080, TlsMode::None),
    ("https", Service::Http, 443, TlsMode::Implicit),
    ("web", Service::Http, 80, TlsMode::None),
];
