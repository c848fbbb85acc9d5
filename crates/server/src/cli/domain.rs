//! The command line of domains.

use clap::Subcommand;

use super::Policy;

#[derive(Debug, Subcommand)]
pub(crate) enum Domain {
    /// Take a domain's mail in.
    Add {
        /// The domain.
        name: String,
    },
    /// List domains and their aliases.
    List,
    /// Take no more mail for a domain; refused while it has accounts.
    Remove {
        /// The domain.
        name: String,
    },
    /// Make a domain another name of one that is here.
    Alias {
        /// The other name.
        alias: String,
        /// The domain that is here.
        domain: String,
    },
    /// Remove a domain alias.
    Unalias {
        /// The other name.
        alias: String,
    },
    /// What becomes of mail to the domain that cannot be verified (SPF, DKIM, DMARC).
    Policy {
        #[command(subcommand)]
        action: Policy,
    },
    /// Where mail for unknown addresses of the domain goes; without a target it is refused.
    CatchAll {
        /// The domain.
        name: String,
        /// The address that gets it.
        target: Option<String>,
    },
}
