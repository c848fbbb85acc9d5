//! The command line of the full-text index.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Index {
    /// Show how many messages are indexed, and how large the index is.
    Status {
        /// Only this account.
        address: Option<String>,
    },
    /// Make the index anew, while mail comes in and is read; searches are slower until it is done.
    Rebuild {
        /// Only this account.
        address: Option<String>,
    },
}
