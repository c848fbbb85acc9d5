//! Licences, bans and sources of everything that is linked, by `cargo deny` and `deny.toml`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs `cargo deny`, installing it first where it is not there: from the same registry as all else.
pub(crate) fn run(root: &Path) -> Result<()> {
    let is_there =
        Command::new("cargo").args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !is_there {
        crate::say("installing cargo-deny (once; this takes some minutes)");
        let status = Command::new("cargo")
            .args(["install", "--locked", "--quiet", "cargo-deny"])
            .status()
            .context("cargo install did not start")?;
        if !status.success() {
            bail!("cargo-deny could not be installed; run `cargo install --locked cargo-deny`");
        }
    }
    deny(root, &["licenses", "bans", "sources"])?;
    // The advisory database is a repository of its own and cannot be reached from everywhere.
    if deny(root, &["advisories"]).is_err() {
        crate::say("the advisory database was not reached, or names one of our dependencies: see above");
    }
    Ok(())
}

fn deny(root: &Path, checks: &[&str]) -> Result<()> {
    let status = Command::new("cargo")
        .args(["deny", "--log-level", "error", "check"])
        .args(checks)
        .current_dir(root)
        .status()?;
    if !status.success() {
        bail!("cargo deny check {} ended with {status}", checks.join(" "));
    }
    Ok(())
}
