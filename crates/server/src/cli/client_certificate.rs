//! `postroad client-certificate`: certificates that open accounts.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCertificate {
    /// Let a certificate open an account, on listeners that ask for certificates.
    Add {
        /// The account.
        address: String,
        /// What it is called, for example `laptop`.
        name: String,
        /// PEM file with the certificate.
        file: PathBuf,
    },
    /// List the certificates that open an account.
    List {
        /// The account.
        address: String,
    },
    /// Remove one by its name; connections that it opened end.
    Remove {
        /// The account.
        address: String,
        /// What it is called.
        name: String,
    },
}
