//! Postroad as `quickstart` makes it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::folder::Folder;
use super::machine::first_line;
use super::rival::{Keeper, PASSWORD, Rival, wait_until};
use super::usage::Processes;

pub(super) const NAME: &str = "Postroad";

#[derive(Deserialize)]
struct Settings {
    listener: Vec<Listener>,
}

#[derive(Deserialize)]
struct Listener {
    name: String,
    address: std::net::SocketAddr,
}

pub(super) fn start(folder: &Folder, program: &Path, accounts: u32) -> Result<Rival> {
    let own = folder.sub("postroad")?;
    let data = own.join("data");
    let mut processes = Processes::prepare(folder, "postroad")?;
    let arguments = [
        "quickstart",
        "--data",
        &data.display().to_string(),
        "--password",
        PASSWORD,
        "--accounts",
        &accounts.to_string(),
    ];
    let keeper = Keeper::start(folder, &own, &mut processes, program, &arguments)?;
    wait_until("Postroad is not ready", keeper.log(), || {
        std::fs::read_to_string(keeper.log()).is_ok_and(|said| said.lines().any(|line| line == "ready"))
    })?;
    let settings: Settings = toml::from_str(&std::fs::read_to_string(data.join("postroad.toml"))?)?;
    let port = |name: &str| {
        let found = settings.listener.iter().find(|listener| listener.name == name);
        found.map(|listener| listener.address.port()).with_context(|| format!("there is no listener {name}"))
    };
    let version = first_line(&program.display().to_string(), &["--version"]).context("the program has no version")?;
    Ok(Rival {
        name: NAME,
        versions: vec![version],
        settings: vec![
            "as `postroad quickstart` makes it: SQLite, synchronous=FULL, message bodies in the database".into(),
            "log at its default level, into a file".into(),
        ],
        smtp: port("smtp")?,
        imap: port("imap")?,
        pop3: port("pop3")?,
        processes,
        folder: own,
        keeper,
    })
}
