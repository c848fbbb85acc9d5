//! The command line of MTA-STS: what our domains ask of others, and what others ask of us.

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum MtaSts {
    /// Show the policy of a domain of this server, with its record; without a domain, of all.
    Show {
        /// A domain of this server.
        domain: Option<String>,
    },
    /// Set what a domain of this server asks of those who send to it.
    Set {
        /// A domain of this server.
        domain: String,
        /// What they do with hosts that the policy does not vouch for.
        #[arg(long)]
        mode: Mode,
        /// How many days they may keep the policy.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
        /// A host that takes the domain's mail: a name, or *.example.org; may be repeated. None: this server.
        #[arg(long = "mx", value_name = "HOST")]
        mx: Vec<String>,
    },
    /// Back to what a domain has of which nothing was set: testing, kept for a day.
    Reset {
        /// A domain of this server.
        domain: String,
    },
    /// List the policies of other domains that are kept.
    Others,
    /// Forget the policy of another domain; it is fetched again when mail goes there.
    Forget {
        /// The other domain.
        domain: String,
    },
}

/// RFC 8461 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// They do not deliver there.
    Enforce,
    /// They deliver, and report.
    Testing,
    /// As if there were no policy.
    None,
}
