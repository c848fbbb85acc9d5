//! `postroad serve`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Place;
use crate::{place, print, serve};

pub(super) fn command(at: &Place) -> Result<ExitCode> {
    let settings = place::settings(at)?;
    let lock = place::lock(&settings.data)?;
    serve::run(&settings, lock, || print::line("ready"))?;
    Ok(ExitCode::SUCCESS)
}
