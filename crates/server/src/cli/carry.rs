//! Options of the commands that carry mail between the store and files: `import`, `export`, `backup`, `restore`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Output, Place};

/// Options of `postroad import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The account that the mail goes to.
    pub(crate) address: String,
    /// A Maildir, an mbox file or a folder of such, or a folder of .eml files.
    pub(crate) path: PathBuf,
    /// What the files are.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ImportFormat,
    /// Put everything into this mailbox and below it.
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) into: Option<String>,
    /// Keep names such as `Sent Items`; without it they go to the account's mailbox for sent mail, and so on.
    #[arg(long)]
    pub(crate) keep_names: bool,
    /// How lines that begin with `From ` are quoted in an mbox.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) quoting: MboxQuoting,
    /// Only look: where everything would go, how much it is, and what cannot be read.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also take again what an earlier import brought and is gone from its mailbox since.
    #[arg(long)]
    pub(crate) again: bool,
    /// Take more than the account's quota allows.
    #[arg(long)]
    pub(crate) ignore_quota: bool,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ImportFormat {
    /// Found out by looking.
    #[default]
    Auto,
    /// A Maildir, Maildir++ or a tree of Maildirs.
    Maildir,
    /// An mbox file or a tree of them.
    Mbox,
    /// A file for each message, `.eml` or `.emlx`.
    Eml,
}

/// Quoting of an mbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MboxQuoting {
    /// One `>` is taken from `>From `, `>>From ` and so on.
    #[default]
    Rd,
    /// One `>` is taken from `>From ` only.
    O,
    /// Nothing was quoted.
    None,
}

/// Options of `postroad export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The account whose mail it is.
    pub(crate) address: String,
    /// A folder for it; made when it is not there.
    pub(crate) path: PathBuf,
    /// In which form.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ExportFormat,
    /// Only this mailbox; may be given more than once.
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) mailbox: Vec<String>,
    /// Only messages received in this time: 90m, 12h, 7d, or since a day: 2026-11-22.
    #[arg(long, value_name = "AGE|DAY")]
    pub(crate) since: Option<String>,
    /// How lines end in the files.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) newline: ExportNewline,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What an export writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExportFormat {
    /// Maildir++: a file for each message, flags in its name.
    #[default]
    Maildir,
    /// A file for each mailbox.
    Mbox,
}

/// Line ends of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExportNewline {
    /// LF, and CRLF for what an import brought with CRLF: every byte as it was.
    #[default]
    Kept,
    /// LF.
    Lf,
    /// CRLF.
    Crlf,
}

/// Options of `postroad backup FOLDER`.
#[derive(Debug, Args)]
pub(crate) struct BackupMake {
    /// The folder of backups; made when it is not there.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Read everything again afterwards and compare it with its checksums.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Keep so many backups, the newest; older ones go, and the mail that only they had.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupAction {
    /// List the backups in a folder.
    List {
        /// The folder of backups.
        folder: PathBuf,
    },
    /// Read everything in a folder, compare it with its checksums, and name what is damaged and whose mail it is.
    Verify {
        /// The folder of backups.
        folder: PathBuf,
        /// Only this one, as `backup list` shows it; without it all.
        #[arg(long, value_name = "ID")]
        backup: Option<String>,
    },
}

/// Options of `postroad restore`.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The folder of backups.
    pub(crate) folder: PathBuf,
    /// Which, as `backup list` shows it; without it the newest.
    #[arg(long, value_name = "ID")]
    pub(crate) backup: Option<String>,
    /// Only this account: made again when it is gone, else completed with what it lacks.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) account: Option<String>,
    /// Put the account's mailboxes below this one.
    #[arg(long, value_name = "MAILBOX", requires = "account")]
    pub(crate) into: Option<String>,
    /// Put the mail into this account, or make it under this name.
    #[arg(long = "as", value_name = "ADDRESS", requires = "account")]
    pub(crate) to: Option<String>,
    /// Exactly as it was, with the same uidvalidities and a queue that goes on: only for moving a server that was stopped
    /// before the backup was made.
    #[arg(long, conflicts_with = "account")]
    pub(crate) exact: bool,
    /// Restore into this PostgreSQL: postgres://user:password@host/name.
    #[arg(long, value_name = "URL", conflicts_with = "account")]
    pub(crate) database: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) output: Output,
}
