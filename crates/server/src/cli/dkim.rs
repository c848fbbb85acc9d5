//! The command about signing keys: `dkim`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Dkim {
    /// List keys: where each stands, what the DNS has, and what to do next.
    List {
        /// Only those of this domain.
        domain: Option<String>,
    },
    /// Print the records to publish, as lines of a zone file.
    Show {
        /// The domain.
        domain: String,
        /// Only this key's.
        selector: Option<String>,
    },
    /// Look now what the DNS has; a key whose record is there begins to sign. Exit code 1: a record is not as it should be.
    Check {
        /// Only keys of this domain.
        domain: Option<String>,
        /// Ask this name server instead of those of the settings: 127.0.0.1:53.
        #[arg(long, value_name = "HOST:PORT")]
        dns: Option<String>,
    },
    /// Make new keys; each takes the place of the old one once its record has been in the DNS for an hour.
    Rotate {
        /// The domain.
        domain: String,
    },
    /// Sign with a key now, whatever the DNS says.
    Activate {
        /// The domain.
        domain: String,
        /// The key.
        selector: String,
    },
    /// Sign with a key no more.
    Retire {
        /// The domain.
        domain: String,
        /// The key.
        selector: String,
        /// Others have its private half: erase it here, and print the record that takes it back.
        #[arg(long)]
        leaked: bool,
    },
    /// Bring a key along from another server, with its selector.
    Import {
        /// The domain.
        domain: String,
        /// The key's name.
        selector: String,
        /// The private key in PEM, as openssl or opendkim-genkey writes it; `-` reads it from standard input.
        file: PathBuf,
    },
    /// Print a private key (PEM, PKCS#8): whoever has it can sign as the domain.
    Export {
        /// The domain.
        domain: String,
        /// The key.
        selector: String,
    },
}
