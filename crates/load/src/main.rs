//! A load generator for mail servers.
//!
//! It speaks SMTP and LMTP to hand mail in, IMAP and POP3 to read it, to any server that is named by host and
//! port, with accounts that exist there. It measures what a user of the server sees: how fast messages are
//! accepted, when they can be seen in their mailboxes, how fast they are read. It knows nothing of any server
//! in particular, looks at nobody's certificate, and never looks at the machine that the server runs on: who wants the
//! server's CPU or memory too samples them at the moments that `--paced` gives.

mod active;
mod deliver;
#[cfg(test)]
mod fake;
mod floor;
mod idle;
mod imap;
mod message;
mod pace;
mod pop3;
mod read;
mod report;
mod smtp;
mod timed;
mod tls;
mod users;
mod wire;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::pace::Pace;
use crate::users::{Login, UserPattern};

/// Load for mail servers: hands mail in, waits until it is visible, reads it, holds idle connections.
#[derive(Debug, Parser)]
#[command(name = "postroad-load", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Threads of the generator. One is enough until its report says that it used most of a core.
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Print the report as one line of JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Say `ready`, and later `done`, and wait for a line on standard input after each: whoever started this
    /// can look at the server exactly before and after the load.
    #[arg(long, global = true)]
    paced: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hand messages in over SMTP or LMTP and wait until all of them are visible over IMAP.
    Deliver(Deliver),
    /// Read whole mailboxes over IMAP, again and again.
    Fetch(Fetch),
    /// Read all messages over POP3, again and again.
    Retr(Retr),
    /// Open connections that sit in IDLE with INBOX selected, and hold them until standard input ends.
    Idle(Idle),
    /// Work on many connections, first alone, then with idle ones beside them.
    Active(Active),
    /// Time commands one by one: each line of standard input is an order, its report a line of JSON.
    ///
    /// `connect`, `run COMMAND`, `repeat TIMES COMMAND`, `each FIRST COUNT ITEMS` (FETCH, message by message), `append FIRST
    /// COUNT single|pipelined|multi|fill MAILBOX`, `pop3`, `retr FIRST COUNT single|pipelined`, `leave`.
    Timed(Timed),
    /// Measure this machine: fdatasync of a 4 KB append in a folder, and a round trip over loopback TCP.
    Floor {
        /// Where the file is written.
        #[arg(long, value_name = "DIR", default_value = ".")]
        folder: PathBuf,
    },
}

/// Accounts of the server under load.
#[derive(Debug, Clone, Args)]
struct Accounts {
    /// An account: `alice@example.test`, or many by a range: `u[0001-0100]@example.test`. May be repeated.
    #[arg(long = "user", value_name = "ADDRESS", required = true)]
    users: Vec<UserPattern>,
    /// The password of all of them.
    #[arg(long, env = "POSTROAD_LOAD_PASSWORD", default_value = "")]
    password: String,
}

impl Accounts {
    fn logins(&self) -> Vec<Login> {
        let all = self.users.iter().flat_map(UserPattern::expand);
        all.map(|user| Login { user, password: self.password.clone() }).collect()
    }
}

#[derive(Debug, Args)]
struct Deliver {
    /// The SMTP server, HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "lmtp", conflicts_with = "lmtp")]
    smtp: Option<String>,
    /// The LMTP server instead.
    #[arg(long, value_name = "HOST:PORT")]
    lmtp: Option<String>,
    /// The IMAP server where the messages must become visible; without it only acceptance is measured.
    #[arg(long, value_name = "HOST:PORT")]
    imap: Option<String>,
    #[command(flatten)]
    accounts: Accounts,
    /// The sender's address.
    #[arg(long, default_value = "sender@elsewhere.test")]
    from: String,
    /// Connections at once.
    #[arg(long, default_value_t = 20)]
    connections: usize,
    /// Octets of each message.
    #[arg(long, default_value_t = 10_000)]
    size: usize,
    /// Hand in this message instead of made ones: header and body, perhaps signed. To, Subject and Message-ID are put before it, and
    /// must be neither in it nor signed.
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
    /// Say by the PROXY protocol that the client has this address.
    #[arg(long, value_name = "ADDRESS")]
    proxy: Option<IpAddr>,
    /// Hand messages in for so long.
    #[arg(long, default_value_t = 5.0, conflicts_with = "messages")]
    seconds: f64,
    /// Hand in exactly so many messages instead.
    #[arg(long)]
    messages: Option<u64>,
    /// Messages on one connection before a new one is opened; 0: as many as the server takes.
    #[arg(long, default_value_t = 100)]
    per_connection: u64,
    /// Give up when not all is visible so many seconds after the last was accepted.
    #[arg(long, default_value_t = 120.0)]
    patience: f64,
}

#[derive(Debug, Args)]
struct Fetch {
    /// The IMAP server.
    #[arg(long, value_name = "HOST:PORT")]
    imap: String,
    #[command(flatten)]
    accounts: Accounts,
    /// Connections at once, spread over the accounts.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Read for so long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// What is fetched of each message.
    #[arg(long, default_value = "BODY.PEEK[]")]
    items: String,
}

#[derive(Debug, Args)]
struct Retr {
    /// The POP3 server.
    #[arg(long, value_name = "HOST:PORT")]
    pop3: String,
    #[command(flatten)]
    accounts: Accounts,
    /// Connections at once, each with an account of its own: a POP3 session may lock its mailbox.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Read for so long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

#[derive(Debug, Args)]
struct Active {
    /// The IMAP server.
    #[arg(long, value_name = "HOST:PORT")]
    imap: String,
    #[command(flatten)]
    accounts: Accounts,
    /// Connections that work, spread over the accounts.
    #[arg(long, default_value_t = 200)]
    connections: usize,
    /// Whose the connections in IDLE are, when not theirs.
    #[arg(long = "beside-user", value_name = "ADDRESS")]
    beside_users: Vec<UserPattern>,
    /// Connections in IDLE that are opened beside them for the second half.
    #[arg(long, default_value_t = 10_000)]
    beside: usize,
    /// Work for so long, each time.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

#[derive(Debug, Args)]
struct Timed {
    /// The IMAP server.
    #[arg(long, value_name = "HOST:PORT")]
    imap: String,
    /// The POP3 server, for `retr`.
    #[arg(long, value_name = "HOST:PORT")]
    pop3: Option<String>,
    #[command(flatten)]
    accounts: Accounts,
    /// Octets of each appended message.
    #[arg(long, default_value_t = 2_500)]
    size: usize,
}

#[derive(Debug, Args)]
struct Idle {
    /// The IMAP server.
    #[arg(long, value_name = "HOST:PORT")]
    imap: String,
    #[command(flatten)]
    accounts: Accounts,
    /// Connections at once, spread over the accounts.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// With TLS from the first octet; nobody's certificate is looked at.
    #[arg(long)]
    tls: bool,
    /// Further connections that are opened before `ready`, so that what a server needs once is there.
    #[arg(long, default_value_t = 0)]
    warm: usize,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let runtime = match cli.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?,
    };
    let pace = Pace::new(cli.paced);
    let out = |line: String| report::say(&line);
    match &cli.command {
        Command::Deliver(options) => {
            out(report::print(&runtime.block_on(deliver::run(&deliver::plan(options)?, pace))?, cli.json)?);
        }
        Command::Fetch(options) => out(report::print(&runtime.block_on(read::fetch(options, pace))?, cli.json)?),
        Command::Retr(options) => out(report::print(&runtime.block_on(read::retr(options, pace))?, cli.json)?),
        Command::Idle(options) => out(report::print(&runtime.block_on(idle::run(options, pace))?, cli.json)?),
        Command::Active(options) => out(report::print(&runtime.block_on(active::run(options, pace))?, cli.json)?),
        Command::Timed(options) => timed::run(options)?,
        Command::Floor { folder } => out(report::print(&floor::measure(folder)?, cli.json)?),
    }
    Ok(())
}

#[allow(clippy::print_stderr, reason = "a command line's errors")]
fn complain(line: &str) {
    eprintln!("{line}");
}
