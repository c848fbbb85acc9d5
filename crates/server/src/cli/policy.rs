//! The command line of what becomes of mail that cannot be verified, and of whom the server believes.

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Show what becomes of mail that cannot be verified; without a domain, of all for which something was chosen.
    Show {
        /// A domain of this server.
        domain: Option<String>,
    },
    /// Choose what becomes of it: dmarc-reject=junk spf-fail=tag …
    ///
    /// Keys: dmarc-reject, dmarc-quarantine, dmarc-none (DMARC fails, and the author's domain asks for this), spf-fail,
    /// dkim-fail (there is no DMARC policy), from-invalid (no From, or several), each reject, junk or tag; unsure (the DNS does
    /// not answer), defer or tag. `default` takes a choice back.
    Set {
        /// A domain of this server.
        domain: String,
        /// What is chosen.
        #[arg(value_name = "KEY=VALUE", required = true)]
        choices: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trusted {
    /// List who is believed.
    List,
    /// Believe somebody whose mail would fail SPF and DMARC: a sealer, a forwarder, a list.
    Add {
        /// As what.
        kind: TrustedKind,
        /// A domain; for a forwarder also a network (192.0.2.0/24); for a list its List-Id, or all below a domain as
        /// *.lists.example.org.
        name: String,
        /// Why, for whoever reads the list later.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Believe somebody no more.
    Remove {
        /// As what.
        kind: TrustedKind,
        /// As it was added.
        name: String,
    },
}

/// As what somebody is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrustedKind {
    /// A domain whose ARC seals are believed: what it saw when the message came to it.
    ArcSealer,
    /// Hosts that send mail on to people here.
    Forwarder,
    /// A mailing list, when a message is authenticated as the list's own.
    List,
}
