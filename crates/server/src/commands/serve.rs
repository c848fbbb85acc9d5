//! `postroad serve`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Place;
use crate::{place, print, serve};

pub(super) fn command(at: &Place, resolver: Option<String>) -> Result<ExitCode> {
    let mut settings = place::settings(at)?;
    if let Some(resolver) = resolver {
        settings.dns.servers = vec![resolver];
    }
    serve::kerberos::prepare(&settings)?;
    let lock = place::lock(&settings.data)?;
    serve::run(&settings, lock, || print::line("ready"))?;
    Ok(ExitCode::SUCCESS)
}
