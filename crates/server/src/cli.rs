//! The command line: names, options and their help. What the commands do stands in `commands/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Postroad: a complete mail server in one program.
#[derive(Debug, Parser)]
#[command(name = "postroad", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the server is that a command is about.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// The server's data folder; its postroad.toml is read when it has one.
    #[arg(long, value_name = "DIR", global = true, env = "POSTROAD_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// The settings file.
    #[arg(long, value_name = "FILE", global = true, env = "POSTROAD_SETTINGS")]
    pub(crate) settings: Option<PathBuf>,
}

/// How a command's answer is printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Output {
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve mail, as the settings say.
    Serve {
        #[command(flatten)]
        place: Place,
        /// The name server that resolves for us, instead of those of the settings: 127.0.0.1:53.
        #[arg(long, value_name = "HOST:PORT")]
        resolver: Option<String>,
    },
    /// A whole mail server in one step: on loopback to try, or for a domain of yours.
    Quickstart(Quickstart),
    /// Look at settings, database, certificates, listeners and DNS; each line a fact and a next step.
    Check {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Domains whose mail is kept here.
    Domain {
        #[command(subcommand)]
        action: Domain,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// People and programs with mailboxes here.
    Account {
        #[command(subcommand)]
        action: Account,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Addresses that lead to others: aliases and groups.
    Alias {
        #[command(subcommand)]
        action: Alias,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Accounts whose mail goes on to other addresses.
    Forward {
        #[command(subcommand)]
        action: Forward,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Mail that waits to be sent on: what waits and why, and orders about it.
    Queue {
        #[command(subcommand)]
        action: Queue,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Fixed next hosts: where mail for a domain goes instead of where DNS says.
    Route {
        #[command(subcommand)]
        action: Route,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Passwords for one program each, with a scope and an end.
    AppPassword {
        #[command(subcommand)]
        action: AppPassword,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// An account's mailboxes, and bringing deleted mail back.
    Mailbox {
        #[command(subcommand)]
        action: Mailbox,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Bring mail along from files: Maildir, mbox, folders of .eml; with flags, dates and folder names.
    ///
    /// Run it again after an interruption, or to catch up later: what was taken once is not taken twice. Exit code 0:
    /// everything was taken; 3: something could not be read and is named; 1: it ended early, run it again.
    Import(Import),
    /// Write an account's mail into files: Maildir or mbox.
    ///
    /// Into a Maildir that an earlier export wrote, only what is new is written. Exit code 0: everything was written;
    /// 3: something is damaged or not carried whole and is named; 1: it ended early, run it again.
    Export(Export),
    /// Back everything up into a folder, while the server runs; what an earlier backup stored is not stored again.
    ///
    /// The folder holds mail and password hashes: keep it as you keep those. Exit code 0: done; 3: done, but something is
    /// damaged and is named; 1: no backup was made.
    #[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
    Backup {
        #[command(subcommand)]
        action: Option<BackupAction>,
        #[command(flatten)]
        make: BackupMake,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Bring a backup back: all of it into an empty place, or one account into a server that may be running.
    ///
    /// The queue comes back held, so that nothing is sent twice: `postroad queue release --all` lets it go. Every mailbox gets a
    /// new uidvalidity, so that no client takes new mail for what it saw after the backup. Exit code 0: everything is
    /// back; 3: something is damaged and is named; 1: it did not succeed.
    Restore(Restore),
    /// The story of a message, from its connection to its mailbox and after.
    Trace {
        /// An address, a Message-ID or a trace id.
        #[arg(value_name = "ADDRESS|MESSAGE-ID|TRACE-ID")]
        key: String,
        /// Only stories that began at most so long ago: 90m, 12h, 7d.
        #[arg(long, value_name = "AGE", default_value = "7d")]
        since: String,
        /// At most so many stories, the newest first.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Print a settings file with every key, its meaning and its default.
    Settings,
    /// Print the version and what is built in.
    Version,
    /// Print the completion script for a shell.
    Completion { shell: clap_complete::Shell },
    /// Write the manual pages into a folder.
    Man { folder: PathBuf },
}

/// Options of `postroad quickstart`.
#[derive(Debug, Args)]
pub(crate) struct Quickstart {
    /// Your mail domain; without it a server for example.test on loopback.
    pub(crate) domain: Option<String>,
    /// Where everything is kept; made when it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Listen on the standard ports plus this.
    #[arg(long, value_name = "N")]
    pub(crate) port_offset: Option<u16>,
    /// The password of the accounts made; without it one is chosen and printed.
    #[arg(long, value_name = "PW")]
    pub(crate) password: Option<String>,
    /// Keep the database in PostgreSQL: postgres://user:password@host/name.
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// The name server that resolves for us, kept in the settings: 127.0.0.1:53. A trial without one sends nothing out.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) resolver: Option<String>,
    /// Where other servers take mail, kept in the settings; 25 when nothing is said.
    #[arg(long, value_name = "N")]
    pub(crate) outbound_port: Option<u16>,
    /// Also make accounts u0001@, u0002@ … with the same password.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) accounts: u32,
}

/// Options of `postroad import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The account that the mail goes to.
    pub(crate) address: String,
    /// A Maildir, an mbox file or a folder of such, or a folder of .eml files.
    pub(crate) path: PathBuf,
    /// What it is.
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
    /// Look.
    #[default]
    Auto,
    Maildir,
    Mbox,
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
    #[default]
    Maildir,
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
    List { folder: PathBuf },
    /// Read everything in a folder, compare it with its checksums, and name what is damaged and whose mail it is.
    Verify {
        folder: PathBuf,
        /// Only this one.
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

#[derive(Debug, Subcommand)]
pub(crate) enum Domain {
    /// Take a domain's mail in.
    Add { name: String },
    /// List domains and their aliases.
    List,
    /// Take no more mail for a domain; refused while it has accounts.
    Remove { name: String },
    /// Make a domain another name of one that is here.
    Alias { alias: String, domain: String },
    /// Remove a domain alias.
    Unalias { alias: String },
    /// Where mail for unknown addresses of the domain goes; without a target it is refused.
    CatchAll { name: String, target: Option<String> },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Make an account with its mailboxes.
    Add {
        address: String,
        /// The name shown with the address.
        #[arg(long)]
        name: Option<String>,
        /// The password; without it one is chosen and printed. `-` reads a line from standard input.
        #[arg(long)]
        password: Option<String>,
        /// Room for mail, for example 500M or 2G; without it there is no limit.
        #[arg(long)]
        quota: Option<String>,
    },
    /// List accounts.
    List {
        /// Only those of one domain.
        domain: Option<String>,
    },
    /// Show one account.
    Show { address: String },
    /// Set the password; without --password one is chosen and printed.
    Password {
        address: String,
        /// The new password. `-` reads a line from standard input.
        #[arg(long)]
        password: Option<String>,
    },
    /// Set the room for mail: 500M, 2G, or none.
    Quota {
        address: String,
        /// Octets, with K, M, G or T; `none` for no limit.
        size: String,
        /// Messages; without it no limit.
        #[arg(long)]
        messages: Option<u64>,
    },
    /// No signing in and no new mail, until resumed.
    Suspend { address: String },
    /// End a suspension.
    Resume { address: String },
    /// Remove an account with all its mail. This cannot be undone.
    Remove {
        address: String,
        /// Say that you mean it.
        #[arg(long)]
        yes: bool,
    },
    /// Compare all counters with a recount.
    Audit { address: Option<String> },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Forward {
    /// Send an account's mail on to one or more addresses, here or elsewhere, in place of what it had.
    Set {
        address: String,
        #[arg(required = true)]
        targets: Vec<String>,
        /// Leave a copy in the account.
        #[arg(long)]
        keep: bool,
    },
    /// Show where an account's mail goes on to; without one, all forwards.
    Show { address: Option<String> },
    /// Let an account's mail stay here again.
    Remove { address: String },
}

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
        /// Only recipients in this state: waiting, parked, backlog, sending, held, delivered, failed or cancelled.
        #[arg(long)]
        state: Option<String>,
        /// At most so many messages.
        #[arg(long, default_value_t = 50)]
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
    /// List routes; passwords are never shown.
    List,
    /// Let DNS say again where a domain's mail goes.
    Remove {
        /// The domain, or `*`.
        domain: String,
    },
}

/// Options of `postroad route add`.
#[derive(Debug, Args)]
pub(crate) struct RouteAdd {
    /// The domain, or `*` for all that have no route of their own.
    pub(crate) domain: String,
    /// The host: a name or an address.
    pub(crate) host: String,
    /// Its port; 25, or 465 with `--tls implicit`.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Protection: none; opportunistic (STARTTLS when offered); required (STARTTLS, any certificate); verified (STARTTLS,
    /// the certificate verified); implicit (TLS from the start, verified).
    #[arg(long, value_parser = ["none", "opportunistic", "required", "verified", "implicit"], default_value = "opportunistic")]
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

#[derive(Debug, Subcommand)]
pub(crate) enum Alias {
    /// Make an address lead to one or more others, here or elsewhere.
    Add {
        address: String,
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// List aliases and groups.
    List { domain: Option<String> },
    /// Remove an alias.
    Remove { address: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppPassword {
    /// Make a password for one program; it is shown once.
    Add {
        address: String,
        /// What it is for, for example `printer`.
        name: String,
        /// Protocols that it opens: smtp, imap, pop3; without it all.
        #[arg(long, value_delimiter = ',')]
        scope: Vec<String>,
        /// It ends after so many days.
        #[arg(long, value_name = "DAYS")]
        expires: Option<u32>,
    },
    /// List an account's app passwords.
    List { address: String },
    /// Remove one by its name.
    Remove { address: String, name: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mailbox {
    /// List an account's mailboxes with their counts.
    List { address: String },
    /// Make a mailbox.
    Create { address: String, name: String },
    /// Give a mailbox and all below it another name.
    Rename { address: String, from: String, to: String },
    /// Delete a mailbox; its mail can be brought back within the retention.
    Delete { address: String, name: String },
    /// What was deleted and can be brought back: mailboxes, or the messages of one of them.
    Deleted {
        address: String,
        /// A mailbox by its name, or a deleted one by its id, as the list of mailboxes shows it.
        mailbox: Option<String>,
    },
    /// Bring deleted messages back.
    Restore {
        address: String,
        /// A mailbox by its name, or a deleted one by its id, as `deleted` shows it.
        mailbox: String,
        /// Numbers as `deleted` shows them, for example 4,7:9; without them all.
        numbers: Option<String>,
        /// The mailbox they go to, made when it is not there; without it the one that they were in.
        #[arg(long, value_name = "MAILBOX")]
        into: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_contract_for_scripts_parses() {
        let line =
            "postroad quickstart --data d --port-offset 2000 --password pw --database postgres://h/n --accounts 5";
        let cli = Cli::try_parse_from(line.split(' ')).expect("the fixed form");
        let Command::Quickstart(quickstart) = cli.command else { panic!("quickstart") };
        assert_eq!((quickstart.port_offset, quickstart.accounts), (Some(2000), 5));
    }
}
