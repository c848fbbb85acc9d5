//! The command line of how mail leaves: whom nothing is sent to, how much at once, and from which addresses.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Suppression {
    /// List the addresses that are not written to.
    List {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Only those after this address: where an earlier list ended.
        #[arg(long, value_name = "ADDRESS")]
        after: Option<String>,
    },
    /// Show all that is known of an address, also refusals that are only counted so far.
    Show {
        /// The address.
        address: String,
    },
    /// Write to an address no more.
    Add {
        /// The address.
        address: String,
        /// For mail of this sender, or of this domain of senders; `*` for all mail.
        #[arg(long = "for", value_name = "SCOPE", default_value = "*")]
        scope: String,
        /// Why, in words that its senders read.
        #[arg(long, default_value = "")]
        why: String,
        /// For so many days; without it until it is removed.
        #[arg(long)]
        days: Option<u32>,
    },
    /// Write to an address again.
    Remove {
        /// The address.
        address: String,
        /// Only for mail of this sender or domain.
        #[arg(long = "for", value_name = "SCOPE")]
        scope: Option<String>,
    },
    /// Show the rules, or set after how many refusals an address is suppressed.
    Rule {
        /// A domain of senders; `*` for all that have no rule of their own.
        scope: Option<String>,
        /// After so many refusals as unknown; 0: never. Who sends in bulk takes 1.
        #[arg(long, requires = "scope")]
        failures: Option<u32>,
        /// The first and the last of them so far apart at least.
        #[arg(long, value_name = "HOURS", requires = "scope")]
        apart_hours: Option<u32>,
        /// For so many days.
        #[arg(long, requires = "scope")]
        days: Option<u32>,
        /// The usual rule again.
        #[arg(long, requires = "scope", conflicts_with_all = ["failures", "apart_hours", "days"])]
        usual: bool,
    },
    /// Take addresses in from a file: one in each line, or CSV as `export` writes it.
    Import {
        /// The file; `-` is standard input.
        file: PathBuf,
        /// The scope of lines that name none.
        #[arg(long = "for", value_name = "SCOPE", default_value = "*")]
        scope: String,
    },
    /// Write all as CSV: address, scope, reason, source, said, since, expires (seconds since 1970).
    Export,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Limit {
    /// List the limits, those that are built in as well.
    List,
    /// Set how much at once; what is not named is as the settings say.
    Set(LimitSet),
    /// Remove a limit; the built-in one, if there is one, holds again.
    Remove {
        /// As it was set.
        pattern: String,
    },
}

/// Options of `postroad limit set`.
#[derive(Debug, Args)]
pub(crate) struct LimitSet {
    /// A domain or the name of a host; all hosts below a name: .google.com.
    pub(crate) pattern: String,
    /// Connections of this server, to all of its hosts together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: Option<u32>,
    /// Messages on one connection.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) messages_per_connection: Option<u32>,
    /// Messages in a minute.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) messages_per_minute: Option<u32>,
    /// Recipients of one message.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) recipients: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Egress {
    /// List the addresses that mail leaves from, what went out today, and where they rest.
    List,
    /// Add an address of this machine to a pool, or change it.
    Set {
        /// The address.
        address: IpAddr,
        /// Its pool.
        #[arg(long, default_value = "default")]
        pool: String,
        /// Its share of the pool's mail; 0: none.
        #[arg(long, default_value_t = 1)]
        weight: u32,
        /// The name in EHLO, which its PTR record should have; without it that of the settings.
        #[arg(long, value_name = "NAME")]
        helo: Option<String>,
        /// Others do not know it: it begins with few messages a day.
        #[arg(long)]
        new: bool,
    },
    /// Send from an address no more.
    Remove {
        /// The address.
        address: IpAddr,
    },
    /// Let mail leave from a pool: by the domain it goes to, by the address of its sender, or by the sender's domain.
    Choose {
        /// By what.
        by: EgressBy,
        /// The domain or address.
        name: String,
        /// The pool; without one the choice is taken back.
        pool: Option<String>,
    },
}

/// By what a pool is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EgressBy {
    /// The domain that mail goes to.
    Destination,
    /// The address of the sender.
    Sender,
    /// The domain of the sender.
    Domain,
}
