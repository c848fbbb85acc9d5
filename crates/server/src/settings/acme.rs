//! The settings of certificates by ACME, and of the name server that takes updates.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct AcmeSettings {
    pub(crate) terms_agreed: bool,
    pub(crate) directory: String,
    pub(crate) contact: Option<String>,
    pub(crate) names: Vec<String>,
    pub(crate) before_domains: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) challenges: Vec<Challenge>,
    pub(crate) key: KeyKind,
    pub(crate) key_days: u32,
    pub(crate) profile: Option<String>,
    pub(crate) external_key_id: Option<String>,
    pub(crate) external_key_file: Option<PathBuf>,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) publish_tlsa: bool,
}

/// How an authority looks whether a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Challenge {
    #[serde(rename = "http-01")]
    Http,
    #[serde(rename = "tls-alpn-01")]
    Alpn,
    #[serde(rename = "dns-01")]
    Dns,
}

/// What keys of certificates are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyKind {
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct DnsUpdateSettings {
    pub(crate) server: Option<String>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) zone: Option<String>,
    pub(crate) settle_seconds: u64,
}

impl Default for AcmeSettings {
    fn default() -> Self {
        AcmeSettings {
            terms_agreed: false,
            directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
            contact: None,
            names: Vec::new(),
            before_domains: ["mail", "mta-sts", "autoconfig", "autodiscover", "ua-auto-config"]
                .map(String::from)
                .into(),
            addresses: Vec::new(),
            challenges: Vec::new(),
            key: KeyKind::EcdsaP256,
            key_days: 0,
            profile: None,
            external_key_id: None,
            external_key_file: None,
            authorities: None,
            publish_tlsa: false,
        }
    }
}
