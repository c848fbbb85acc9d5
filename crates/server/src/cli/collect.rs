//! The command about mail that is collected by POP3: `collect`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::moving::Consent;

#[derive(Debug, Subcommand)]
pub(crate) enum Collect {
    /// Collect from an account elsewhere from now on.
    Add(Box<CollectAdd>),
    /// List the places that are collected from, and how that goes.
    List {
        /// Only those of this account.
        address: Option<String>,
    },
    /// Collect from a place no more; what came stays.
    Remove {
        /// The account that the mail goes to.
        address: String,
        /// The number that `collect list` shows.
        id: i64,
    },
    /// Look now, whatever the time between two looks.
    Now {
        /// Only at the places of this account.
        address: Option<String>,
    },
}

/// Options of `postroad collect add`.
#[derive(Debug, Args)]
pub(crate) struct CollectAdd {
    /// The account that the mail goes to.
    pub(crate) address: String,
    /// From where: pop3s://user@host, or pop3://user@host (STLS).
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// How often to look, such as 15m or 2h.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = span)]
    pub(crate) every: u32,
    /// Leave everything there (as it is without --delete-after, too).
    #[arg(long, conflicts_with = "delete_after")]
    pub(crate) leave: bool,
    /// Remove there what has been here for so long, such as 14d; 0 at once.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) delete_after: Option<u32>,
    /// The mailbox that the mail goes to.
    #[arg(long, value_name = "MAILBOX", default_value = "INBOX")]
    pub(crate) into: String,
    /// A file whose first line is the password there. Without it POSTROAD_REMOTE_PASSWORD, else it is asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Trust these authorities (PEM) and no others.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// `90`, `90s`, `15m`, `2h`, `14d` in seconds.
fn span(text: &str) -> Result<u32, String> {
    let unit = |last| match last {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    };
    let (digits, factor) = match text.chars().last().and_then(unit) {
        Some(factor) => (&text[..text.len() - 1], factor),
        None => (text, 1),
    };
    let seconds = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    seconds.ok_or_else(|| "write a time such as 15m, 2h or 14d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("0", Some(0)),
            ("90", Some(90)),
            ("15m", Some(900)),
            ("14d", Some(1_209_600)),
            ("m", None),
            ("99999999d", None),
            ("-1h", None),
        ] {
            assert_eq!(span(text).ok(), expected, "{text}");
        }
    }
}
