//! The command line of reports about mail.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// Who sends as our domains, how much of it passes, and why the rest fails: from DMARC reports of others.
    ///
    /// Reports come to the address that `postroad dns` puts into the record's rua; what comes is read without further set-up.
    Dmarc {
        /// A domain of this server; without it all.
        domain: Option<String>,
        /// How far back: 12h, 7d.
        #[arg(long, value_name = "AGE", default_value = "30d")]
        since: String,
    },
    /// How sessions of others with our hosts went: from their reports about TLS.
    Tls {
        /// A domain of this server; without it all.
        domain: Option<String>,
        /// How far back: 12h, 7d.
        #[arg(long, value_name = "AGE", default_value = "30d")]
        since: String,
    },
    /// Complaints and failures of single messages that others tell, and which message it was.
    Arf {
        /// A domain of this server; without it all.
        domain: Option<String>,
        /// How far back: 12h, 7d.
        #[arg(long, value_name = "AGE", default_value = "30d")]
        since: String,
    },
    /// Send what is owed for a day now, instead of in the night after it.
    Send {
        /// A day of UTC: 2026-11-21. What was sent for it is not sent again.
        #[arg(long, value_name = "DATE")]
        day: String,
        /// Say what would be sent, and send nothing.
        #[arg(long)]
        dry_run: bool,
    },
}
