//! The commands about mail that is sent on: `queue` and `route`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// List what waits, the oldest first, and the destinations that cannot be reached.
    List {
        /// Only recipients of this domain.
        #[arg(long)]
        domain: Option<String>,
        /// Only messages of this sender; `<>` for notices.
        #[arg(long, value_name = "ADDRESS")]
        sender: Option<String>,
        /// Only recipients in this state: waiting (for its time), parked (with its destination, which cannot be reached),
        /// backlog (behind others of its sender), sending, held, delivered, relayed (delivered to a host that reports no
        /// success), failed or cancelled.
        #[arg(long)]
        state: Option<String>,
        /// At most so many messages.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Only messages after this one: where an earlier list ended.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Show one message with all its recipients.
    Show {
        /// The id that `queue list` and traces show, or a trace id.
        id: String,
    },
    /// Try now, whatever the schedule says.
    Retry(QueueWhich),
    /// Do not send until released.
    Hold(QueueWhich),
    /// Send what was held.
    Release(QueueWhich),
    /// Never send, and tell nobody.
    Cancel {
        #[command(flatten)]
        which: QueueWhich,
        /// Say that you mean more than one message.
        #[arg(long)]
        yes: bool,
    },
}

/// Which messages an order is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct QueueWhich {
    /// The id that `queue list` and traces show, or a trace id.
    pub(crate) id: Option<String>,
    /// All recipients of this domain.
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// All messages of this sender; `<>` for notices.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) sender: Option<String>,
    /// Everything.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Route {
    /// Send mail for a domain to a fixed host; replaces the route that it has.
    Add(RouteAdd),
    /// Sign in at the provider of a route's host: tokens of OAuth 2.0 are shown there in place of a password, and renewed in time.
    Login(RouteLogin),
    /// List routes; passwords are never shown.
    List,
    /// Let DNS say again where a domain's mail goes.
    Remove {
        /// The domain, or `*`.
        domain: String,
    },
}

/// Options of `postroad route login`.
#[derive(Debug, Args)]
pub(crate) struct RouteLogin {
    /// The route's domain, or `*`.
    pub(crate) domain: String,
    /// As whom; else as before.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The provider: google, microsoft, or an issuer's address (https://…), which is asked where its end points are.
    #[arg(long, value_name = "NAME|URL")]
    pub(crate) provider: String,
    /// With --provider microsoft: the tenant, a domain or an id.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// What this server is called at the provider, where it has to be registered.
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: String,
    /// A file whose first line is its secret there, where it has one.
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// What to ask for, in place of what is usual there for sending mail.
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// A file whose first line is a refresh token that was got in another way.
    #[arg(long, value_name = "FILE", conflicts_with = "client_credentials")]
    pub(crate) refresh_token_file: Option<PathBuf>,
    /// Nobody consents: the secret alone is enough (client credentials).
    #[arg(long, requires = "client_secret_file")]
    pub(crate) client_credentials: bool,
}

/// Options of `postroad route add`.
#[derive(Debug, Args)]
pub(crate) struct RouteAdd {
    /// The domain, or `*` for all that have no route of their own.
    pub(crate) domain: String,
    /// The host: a name or an address.
    pub(crate) host: String,
    /// Its port; 25, or 465 with `--tls implicit`.
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Protection: none; opportunistic (STARTTLS when offered); required (STARTTLS, any certificate); verified (STARTTLS,
    /// the certificate verified); implicit (TLS from the start, verified); dane (STARTTLS, the certificate as the host's TLSA records say).
    #[arg(long, value_parser = ["none", "opportunistic", "required", "verified", "implicit", "dane"], default_value = "opportunistic")]
    pub(crate) tls: String,
    /// Certificates (PEM) to verify with, in place of the system's.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Sign in as this user.
    #[arg(long, requires = "password")]
    pub(crate) user: Option<String>,
    /// With this password. `-` reads a line from standard input.
    #[arg(long, requires = "user")]
    pub(crate) password: Option<String>,
}
