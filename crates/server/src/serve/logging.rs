//! Where log lines go: standard error, for people or as JSON.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// Starts logging; once per process.
pub(super) fn start(settings: &LogSettings) -> Result<()> {
    let filter = EnvFilter::try_new(&settings.filter).with_context(|| {
        format!("log.filter {:?} is no filter; write a level (info) or module=level pairs", settings.filter)
    })?;
    // It writes whole messages where one does not validate; what follows from that is told by us, in a line.
    let filter = match settings.filter.contains(VALIDATOR) {
        true => filter,
        false => filter.add_directive(format!("{VALIDATOR}=error").parse().context("a filter of our own")?),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Human => lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The module that validates DNSSEC.
const VALIDATOR: &str = "hickory_net";
