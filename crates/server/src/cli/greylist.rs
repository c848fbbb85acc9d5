//! The command line of who is asked to come again.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Greylist {
    /// List domains and networks that are known, or on their way; with --waiting, who was asked to come again.
    List {
        /// Who was asked to come again, and has not yet.
        #[arg(long)]
        waiting: bool,
        /// At most so many, the latest first.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Let a source of mail in without waiting from now on.
    Forgive {
        /// A domain that its SPF record vouches for, or a network: example.org, 192.0.2.0/24, 2001:db8::/64.
        source: String,
    },
    /// Forget what was learned of a source, also that it was forgiven.
    Forget {
        /// As it is listed.
        source: String,
    },
}
