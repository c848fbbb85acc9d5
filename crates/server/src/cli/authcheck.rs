//! The command that looks at mail as a receiver does: `authcheck`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Authcheck {
    /// Whether a host may send for a domain (SPF): the result as the first word, then the reason.
    ///
    /// The result is none, neutral, pass, fail, softfail, temperror or permerror (RFC 7208 §2.6). Exit code 0: there is one, whichever.
    Spf(AuthcheckSpf),
    /// What DKIM, DMARC and ARC say of a message in a file; a line for each result, reasons behind the colon.
    ///
    /// The file is the message as it came, with CRLF or LF. DMARC also needs what SPF says: tell where the message came from
    /// with --ip, --helo and --mail-from, or it goes by DKIM alone.
    Message(AuthcheckMessage),
}

#[derive(Debug, Args)]
pub(crate) struct AuthcheckMessage {
    /// The message; - is standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    /// Ask this name server instead of those of the settings or of the system: 127.0.0.1:53.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) dns: Option<String>,
    /// The address that the message came from: SPF is looked at too.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<IpAddr>,
    /// The name in EHLO.
    #[arg(long, value_name = "NAME", requires = "ip", default_value = "", hide_default_value = true)]
    pub(crate) helo: String,
    /// The address in MAIL FROM; nothing: the null path.
    #[arg(long, value_name = "ADDRESS", requires = "ip")]
    pub(crate) mail_from: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AuthcheckSpf {
    /// The address of the host that sends.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: IpAddr,
    /// The name in EHLO.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) helo: String,
    /// The address in MAIL FROM; nothing: the null path, and the name in EHLO is looked at.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mail_from: Option<String>,
    /// Ask this name server instead of those of the settings or of the system: 127.0.0.1:53.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) dns: Option<String>,
}
