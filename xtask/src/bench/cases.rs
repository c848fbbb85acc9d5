//! The cases of the race, and measuring one on one server.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::load::{Load, Run};
use super::names::{CLIENT, SENDER};
use super::options::{Options, READERS, RECIPIENTS};
use super::rival::{PASSWORD, Rival, users};
use super::usage::Used;

/// After a load until what it cost is read: what was begun is finished.
const AFTERWARDS: Duration = Duration::from_millis(500);
/// Idle connections are weighed when they have been idle for a while.
const IDLE_FOR: Duration = Duration::from_secs(3);
/// Connections that are open before the idle ones are counted: what a server needs once is there.
const WARM: usize = 100;
/// What the reading cases read: so many messages per mailbox, of so many octets.
const READ_MESSAGES: u32 = 200;
const READ_SIZE: u32 = 10_000;
/// Connections that bring mail to be verified.
const VERIFYING: usize = 20;
/// Connections that read.
const READING: [usize; 2] = [1, READERS as usize];

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Case {
    /// Mail comes in by SMTP until all is visible over IMAP.
    Deliver { connections: usize, size: usize },
    /// Whole mailboxes are read over IMAP.
    Fetch { connections: usize },
    /// Whole mailboxes are read over POP3.
    Retr { connections: usize },
    /// IMAP connections sit in IDLE.
    Idle { connections: usize },
    /// The same signed message comes in, from a host that is verified or from this machine, which is not. Postroad alone.
    Verify { checked: bool },
}

impl Case {
    pub(super) fn name(&self) -> String {
        match self {
            Case::Deliver { connections, size } => format!("deliver {connections} x {}", kilobytes(*size)),
            Case::Fetch { connections } => format!("fetch {connections}"),
            Case::Retr { connections } => format!("retr {connections}"),
            Case::Idle { connections } => format!("idle {connections}"),
            Case::Verify { checked: true } => "verify on".to_string(),
            Case::Verify { checked: false } => "verify off".to_string(),
        }
    }
}

pub(super) fn kilobytes(size: usize) -> String {
    if size.is_multiple_of(1_000) { format!("{} KB", size / 1_000) } else { format!("{size} B") }
}

/// What one case showed on one server in one round.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measured {
    pub(super) round: u32,
    pub(super) server: &'static str,
    #[serde(flatten)]
    pub(super) case: Case,
    /// What the generator found.
    pub(super) report: Value,
    /// What the server used for it; nothing for idle connections.
    pub(super) used: Option<Used>,
    /// Its memory before and with idle connections.
    pub(super) memory: Option<Memory>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Memory {
    pub(super) before_bytes: f64,
    pub(super) with_bytes: f64,
    pub(super) processes_before: usize,
    pub(super) processes_with: usize,
}

impl Measured {
    /// A number of the generator's report by its path.
    pub(super) fn found(&self, pointer: &str) -> Option<f64> {
        self.report.pointer(pointer)?.as_f64()
    }

    /// Messages that the case was about.
    pub(super) fn messages(&self) -> Option<f64> {
        self.found("/accepted").or_else(|| self.found("/messages"))
    }

    /// Octets of memory for each idle connection.
    pub(super) fn per_connection(&self) -> Option<f64> {
        let memory = self.memory?;
        Some((memory.with_bytes - memory.before_bytes) / self.found("/connections")?)
    }

    /// What makes the figures doubtful.
    pub(super) fn trouble(&self) -> Option<String> {
        let number = |pointer: &str| self.found(pointer).unwrap_or(0.0);
        match self.case {
            Case::Deliver { .. } | Case::Verify { .. } => {
                let (missing, repeated) = (number("/missing"), number("/repeated"));
                if self.found("/seconds_visible").is_none() {
                    return Some("not all accepted messages became visible in time".into());
                }
                (missing + repeated > 0.0)
                    .then(|| format!("{missing} accepted messages are missing, {repeated} are there more than once"))
            }
            Case::Fetch { .. } | Case::Retr { .. } => None,
            Case::Idle { connections } => {
                let alive = number("/alive_at_the_end");
                (alive < connections as f64).then(|| format!("only {alive} connections were alive at the end"))
            }
        }
    }

    /// What is said when it is done.
    pub(super) fn line(&self) -> String {
        let number = |pointer: &str| self.found(pointer).unwrap_or(f64::NAN);
        let cpu = self.used.zip(self.messages()).map_or(f64::NAN, |(used, messages)| used.cpu_seconds / messages * 1e3);
        match self.case {
            Case::Deliver { .. } | Case::Verify { .. } => {
                format!(
                    "{:>8.0} visible/s {:>8.0} accepted/s  {cpu:>6.2} CPU s per 1,000",
                    number("/visible_per_second"),
                    number("/accepted_per_second")
                )
            }
            Case::Fetch { .. } | Case::Retr { .. } => {
                format!("{:>8.0} read/s  {cpu:>6.2} CPU s per 1,000", number("/messages_per_second"))
            }
            Case::Idle { .. } => {
                format!("{:>8.1} KiB per connection", self.per_connection().unwrap_or(f64::NAN) / 1024.0)
            }
        }
    }
}

/// All cases that are wanted, in the order of a round.
pub(super) fn all(options: &Options) -> Vec<Case> {
    let mut cases = Vec::new();
    if options.wants("deliver") {
        for &connections in &options.connections {
            cases.extend(options.sizes.iter().map(|&size| Case::Deliver { connections, size }));
        }
    }
    if options.wants("fetch") {
        cases.extend(READING.map(|connections| Case::Fetch { connections }));
    }
    if options.wants("retr") {
        cases.extend(READING.map(|connections| Case::Retr { connections }));
    }
    if options.wants("idle") {
        cases.push(Case::Idle { connections: options.idle });
    }
    if options.wants("verify") {
        cases.extend([false, true].map(|checked| Case::Verify { checked }));
    }
    cases
}

/// The same mail into the mailboxes that will be read.
pub(super) fn fill_readers(load: &Load, rival: &Rival) -> Result<()> {
    let mut arguments = vec!["deliver".to_string()];
    arguments.extend(accounts(&readers()));
    for (name, value) in [
        ("--smtp", place(rival.smtp)),
        ("--imap", place(rival.imap)),
        ("--messages", (READ_MESSAGES * READERS).to_string()),
        ("--size", READ_SIZE.to_string()),
    ] {
        arguments.extend([name.to_string(), value]);
    }
    load.report(&arguments).with_context(|| format!("{} does not take the mail that will be read", rival.name))?;
    Ok(())
}

pub(super) fn measure(case: &Case, round: u32, options: &Options, load: &Load, rival: &mut Rival) -> Result<Measured> {
    if matches!(case, Case::Idle { .. }) {
        // Memory that earlier cases left free would hide what connections take.
        rival.restart()?;
    }
    // What one server left to be written must not burden the next.
    drop(Command::new("sync").status());
    let run = load.start(&arguments(case, options, rival)?)?;
    let mut measured =
        Measured { round, server: rival.name, case: case.clone(), report: Value::Null, used: None, memory: None };
    match case {
        Case::Idle { .. } => weigh(run, rival, &mut measured)?,
        Case::Deliver { .. } | Case::Fetch { .. } | Case::Retr { .. } | Case::Verify { .. } => {
            burden(run, rival, &mut measured)?
        }
    }
    Ok(measured)
}

fn burden(mut run: Run, rival: &Rival, measured: &mut Measured) -> Result<()> {
    run.wait_for("ready")?;
    let before = rival.processes.used(&rival.folder)?;
    run.go()?;
    run.wait_for("done")?;
    std::thread::sleep(AFTERWARDS);
    measured.used = Some(rival.processes.used(&rival.folder)?.since(before));
    run.go()?;
    measured.report = run.report()?;
    Ok(())
}

fn weigh(mut run: Run, rival: &Rival, measured: &mut Measured) -> Result<()> {
    run.wait_for("ready")?;
    let (before_bytes, processes_before) = rival.processes.memory()?;
    run.go()?;
    run.wait_for("held")?;
    std::thread::sleep(IDLE_FOR);
    let (with_bytes, processes_with) = rival.processes.memory()?;
    measured.memory = Some(Memory { before_bytes, with_bytes, processes_before, processes_with });
    run.go()?;
    measured.report = run.report()?;
    Ok(())
}

fn arguments(case: &Case, options: &Options, rival: &Rival) -> Result<Vec<String>> {
    let seconds = options.seconds.to_string();
    let (kind, who, connections, more) = match case {
        Case::Deliver { connections, size } => (
            "deliver",
            users(1, RECIPIENTS),
            connections,
            vec![
                ("--smtp", place(rival.smtp)),
                ("--imap", place(rival.imap)),
                ("--size", size.to_string()),
                ("--seconds", seconds),
            ],
        ),
        Case::Fetch { connections } => {
            ("fetch", readers(), connections, vec![("--imap", place(rival.imap)), ("--seconds", seconds)])
        }
        Case::Retr { connections } => {
            ("retr", readers(), connections, vec![("--pop3", place(rival.pop3)), ("--seconds", seconds)])
        }
        Case::Idle { connections } => (
            "idle",
            users(1, RECIPIENTS),
            connections,
            vec![("--imap", place(rival.imap)), ("--warm", WARM.to_string())],
        ),
        Case::Verify { checked } => {
            let verifies = rival.verifies.as_ref().context("this server verifies nothing")?;
            let mut more = vec![
                ("--imap", place(rival.imap)),
                ("--message", verifies.message.display().to_string()),
                ("--from", SENDER.to_string()),
                ("--seconds", seconds),
            ];
            match checked {
                true => more.extend([("--smtp", place(verifies.proxied)), ("--proxy", CLIENT.to_string())]),
                false => more.push(("--smtp", place(rival.smtp))),
            }
            ("deliver", users(1, RECIPIENTS), &VERIFYING, more)
        }
    };
    let mut all = vec![kind.to_string(), "--connections".into(), connections.to_string()];
    all.extend(accounts(&who));
    all.extend(more.into_iter().flat_map(|(name, value)| [name.to_string(), value]));
    Ok(all)
}

fn accounts(who: &str) -> [String; 4] {
    ["--user".into(), who.into(), "--password".into(), PASSWORD.into()]
}

fn readers() -> String {
    users(RECIPIENTS + 1, RECIPIENTS + READERS)
}

fn place(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
