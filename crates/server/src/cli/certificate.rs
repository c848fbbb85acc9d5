//! The command about certificates: `certificate`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// List what is wanted and what there is, until when, and what to do.
    List,
    /// Show one certificate with its keys and their TLSA records.
    Show {
        /// The certificate, as the list calls it, one of its names, or its serial number.
        certificate: String,
    },
    /// Have a certificate ordered for these names, which share it, and renewed from then on.
    Order {
        /// The names.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Have a certificate renewed now; without one, all.
    Renew {
        /// The certificate, as the list calls it, or one of its names.
        certificate: Option<String>,
        /// With a new key: once DNS shows its TLSA record, where there are any.
        #[arg(long)]
        new_key: bool,
    },
    /// Bring a certificate along; it is shown from now on by all servers that share the database, and not renewed.
    Import {
        /// PEM: the certificate, then its issuers.
        chain: PathBuf,
        /// PEM: the private key, not encrypted.
        key: PathBuf,
        /// In whose place; without it, that of the certificate that has its names.
        #[arg(long, value_name = "CERTIFICATE")]
        replace: Option<String>,
    },
    /// Tell the authority that a certificate is not to be believed any more; another one is ordered.
    Revoke {
        /// The certificate, as the list calls it, one of its names, or its serial number.
        certificate: String,
        /// Why; after a key-compromise the next key is used at once.
        #[arg(long, default_value = "unspecified", value_parser = ["unspecified", "key-compromise", "affiliation-changed", "superseded", "cessation-of-operation"])]
        reason: String,
        /// Say that you mean it.
        #[arg(long)]
        yes: bool,
    },
}
