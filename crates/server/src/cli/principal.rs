//! `postroad principal`: principals of Kerberos that open accounts.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Principal {
    /// Let a principal of Kerberos open an account, where the server has a keytab (login.keytab). What login.realms gives needs
    /// no such line; a principal that is named opens this account alone.
    Add {
        /// The account.
        address: String,
        /// As `klist` shows it, for example `alice/mail@EXAMPLE.ORG`.
        principal: String,
    },
    /// List the principals that are named for an account.
    List {
        /// The account.
        address: String,
    },
    /// Remove one; connections that it opened end.
    Remove {
        /// The account.
        address: String,
        /// The principal.
        principal: String,
    },
}
