//! Options of the commands that move accounts between servers: `migrate`, `mirror`.

use std::path::PathBuf;

use clap::Args;

use super::{Output, Place};

/// Options of `postroad migrate`.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// The account that the mail goes to.
    #[arg(required_unless_present = "many")]
    pub(crate) address: Option<String>,
    /// From where: imaps://user@host, imap://user@host (STARTTLS), maildir:PATH, mbox:PATH (mboxrd) or mboxo:PATH.
    #[arg(long, value_name = "URL|FORMAT:PATH", required_unless_present = "many")]
    pub(crate) from: Option<String>,
    /// Many accounts: a file with a line `address,url,password-file` for each.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "from", "map", "folder"])]
    pub(crate) many: Option<PathBuf>,
    /// With --many: so many accounts at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub(crate) at_once: u8,
    /// Put this folder, and what is below it, there; may be given more than once.
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) map: Vec<String>,
    /// Only look: where everything would go and how much it is.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// From now on the account is used here: the last run that follows flags and deletions. Later runs take only new mail.
    #[arg(long)]
    pub(crate) cut_over: bool,
    /// Fetch everything once more for the proof (files are read twice anyhow).
    #[arg(long)]
    pub(crate) prove: bool,
    /// Take more than the account's quota allows.
    #[arg(long)]
    pub(crate) ignore_quota: bool,
    #[command(flatten)]
    pub(crate) moving: Moving,
}

/// Options of `postroad mirror`.
#[derive(Debug, Args)]
pub(crate) struct Mirror {
    /// The account whose mail it is.
    pub(crate) address: String,
    /// To where: imaps://user@host, or imap://user@host (STARTTLS).
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// Put everything below this folder there.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) into: Option<String>,
    #[command(flatten)]
    pub(crate) moving: Moving,
}

/// What both take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Moving {
    /// Only this folder, and what is below it; may be given more than once.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Vec<String>,
    /// Not this folder, nor what is below it; may be given more than once.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) exclude: Vec<String>,
    /// Keep what is deleted at the source.
    #[arg(long)]
    pub(crate) keep_deleted: bool,
    /// Away from a terminal: say how far it is every so many seconds; 0 at each step.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) progress_every: u64,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// How the other server is reached.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    /// A file whose first line is the password there. Without it POSTROAD_REMOTE_PASSWORD, else it is asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// A file whose first line is an OAuth 2.0 access token.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["password_file", "oauth2_token_command"])]
    pub(crate) oauth2_token_file: Option<PathBuf>,
    /// A command that prints an OAuth 2.0 access token; it is run for each new connection.
    #[arg(long, value_name = "COMMAND", conflicts_with = "password_file")]
    pub(crate) oauth2_token_command: Option<String>,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Trust these authorities (PEM) and no others.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Take any certificate: whoever is in between then has the password and the mail.
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure_any_certificate: bool,
    /// At most so many kilobytes in a second.
    #[arg(long, value_name = "KB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) bandwidth: Option<u64>,
    /// Give up after so many new connections in a row that got nowhere.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) tries: u32,
}

/// How tokens of OAuth 2.0 are got from a provider, and kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct Consent {
    /// Sign in at a provider: google, microsoft, or an issuer's address (https://…). What it grants is kept sealed and renewed
    /// in time; later runs use it without these options.
    #[arg(long, value_name = "NAME|URL", requires = "client_id", conflicts_with = "password_file")]
    pub(crate) oauth: Option<String>,
    /// With --oauth microsoft: the tenant, a domain or an id.
    #[arg(long, requires = "oauth")]
    pub(crate) tenant: Option<String>,
    /// With --oauth: what this server is called at the provider, where it has to be registered.
    #[arg(long, value_name = "ID", requires = "oauth")]
    pub(crate) client_id: Option<String>,
    /// With --oauth: a file whose first line is its secret there, where it has one.
    #[arg(long, value_name = "FILE", requires = "oauth")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// With --oauth: what to ask for, in place of what is usual there for reading mail.
    #[arg(long, requires = "oauth")]
    pub(crate) scope: Option<String>,
    /// With --oauth: a file whose first line is a refresh token that was got in another way.
    #[arg(long, value_name = "FILE", requires = "oauth")]
    pub(crate) refresh_token_file: Option<PathBuf>,
}
