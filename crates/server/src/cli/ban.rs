//! The command line of who is shut out.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Ban {
    /// List who is shut out, why and until when.
    List,
    /// Shut a client or a network out, of all services.
    Add {
        /// An address or a network: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32.
        network: String,
        /// For so long, such as 90m, 12h or 7d; without it for good.
        #[arg(long = "for", value_name = "TIME")]
        length: Option<String>,
        /// Why, for whoever reads the list later.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let somebody in again, and forget what was counted.
    Remove {
        /// As it is listed.
        network: String,
    },
}
