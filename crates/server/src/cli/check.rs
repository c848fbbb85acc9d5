//! The command that looks: `check`.

use std::net::IpAddr;

use clap::Args;

/// What of a domain is looked at. Without one it is the server alone.
#[derive(Debug, Args)]
pub(crate) struct DomainCheck {
    /// A domain of this server: what the DNS says of it, and what the world finds at this server's addresses.
    pub(crate) domain: Option<String>,
    /// The name server that is asked instead of those of the settings.
    #[arg(long, value_name = "HOST:PORT", requires = "domain")]
    pub(crate) dns: Option<String>,
    /// A public address that mail leaves from, when neither the settings nor the DNS tell; may stand several times.
    #[arg(long, value_name = "IP", requires = "domain")]
    pub(crate) address: Vec<IpAddr>,
    /// A list of bad addresses (DNSBL) to look into instead of those of the settings, or of the usual ones; may stand several
    /// times.
    #[arg(long, value_name = "ZONE", requires = "domain")]
    pub(crate) list: Vec<String>,
    /// What is added to the standard ports, as in `quickstart --port-offset`: for a trial.
    #[arg(long, value_name = "N", requires = "domain", hide = true, default_value_t = 0)]
    pub(crate) port_offset: u16,
}
