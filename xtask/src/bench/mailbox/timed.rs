//! Driving `postroad-load timed`: an order, its report.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::bench::rival::{PASSWORD, Rival, users};

/// What the generator says of an order.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    #[serde(default)]
    pub(super) ms: f64,
    #[serde(default)]
    pub(super) octets: u64,
    #[serde(default)]
    said: String,
    error: Option<String>,
}

/// A generator that talks to one server as one account.
#[derive(Debug)]
pub(super) struct Timed {
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Timed {
    pub(super) fn start(program: &Path, rival: &Rival, account: u32, size: usize) -> Result<Timed> {
        let mut child = Command::new(program)
            .args(["timed", "--imap", &format!("127.0.0.1:{}", rival.imap)])
            .args(["--pop3", &format!("127.0.0.1:{}", rival.pop3)])
            .args(["--user", &users(account, account), "--password", PASSWORD, "--size", &size.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let orders = child.stdin.take().context("its input is a pipe")?;
        let reports = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        Ok(Timed { child, orders, reports })
    }

    pub(super) fn order(&mut self, order: &str) -> Result<Report> {
        writeln!(self.orders, "{order}").context("the generator has ended")?;
        let mut line = String::new();
        self.reports.read_line(&mut line)?;
        let report: Report = serde_json::from_str(&line).with_context(|| format!("the generator said {line:?}"))?;
        if let Some(error) = report.error {
            bail!("{error}");
        }
        Ok(report)
    }
}

impl Timed {
    /// Whether the server has a capability.
    pub(super) fn has(&mut self, capability: &str) -> Result<bool> {
        let said = self.order("capabilities")?.said;
        Ok(said.split(' ').any(|one| one.eq_ignore_ascii_case(capability)))
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
