//! The command about a domain's DNS records: `dns`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct DnsRecords {
    /// A domain of this server.
    pub(crate) domain: String,
    /// Print lines of a zone file instead of a table.
    #[arg(long, conflicts_with = "json")]
    pub(crate) zone: bool,
    /// Send what is missing to the zone's name server (RFC 2136), and tell what changes. What is there already and
    /// differs stays, but for what only this server can know (DKIM, TLSA, the id of the MTA-STS policy, the digest of the
    /// settings for programs).
    #[arg(long, conflicts_with = "zone")]
    pub(crate) publish: bool,
    /// The zone's first name server; without it that of dns-update.server.
    #[arg(long, value_name = "HOST:PORT", requires = "publish")]
    pub(crate) server: Option<String>,
    /// File with the key shared with it (TSIG), as tsig-keygen or keymgr -t writes it; without it that of dns-update.key-file.
    #[arg(long, value_name = "FILE", requires = "publish")]
    pub(crate) key: Option<PathBuf>,
    /// Put our records in the place of those that differ.
    #[arg(long, requires = "publish")]
    pub(crate) replace: bool,
    /// Only tell what would change.
    #[arg(long, requires = "publish")]
    pub(crate) dry_run: bool,
}
