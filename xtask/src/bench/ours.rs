//! Postroad as `quickstart` makes it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::folder::Folder;
use super::machine::first_line;
use super::names::Names;
use super::rival::{Keeper, PASSWORD, Rival, Verifies, free_ports, wait_until};
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

/// One of several in a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) name: &'static str,
    /// Its folder and its group of processes.
    pub(super) folder: &'a str,
    /// The address of a PostgreSQL; SQLite without.
    pub(super) database: Option<&'a str>,
}

/// With `names` it asks them, and has one listener more, for mail from elsewhere.
pub(super) fn start(folder: &Folder, program: &Path, accounts: u32, names: Option<&Names>) -> Result<Rival> {
    let setup = Setup { name: NAME, folder: "postroad", database: None };
    let options: Vec<&str> = names.iter().flat_map(|names| ["--resolver", &names.address]).collect();
    let mut rival = start_with(&setup, folder, program, accounts, &options)?;
    if let Some(names) = names {
        let [proxied] = free_ports()?;
        let listener = format!(
            "\n[[listener]]\nname = \"proxied\"\nservice = \"smtp\"\naddress = \"127.0.0.1:{proxied}\"\n\
             tls = \"none\"\nproxy-from = [\"127.0.0.1\"]\n"
        );
        let file = rival.folder.join("data/postroad.toml");
        std::fs::write(&file, unlimited(&std::fs::read_to_string(&file)?) + &listener)?;
        rival.restart()?;
        rival.verifies = Some(Verifies { proxied, message: names.message.clone() });
    }
    Ok(rival)
}

/// All mail that is verified is of one stranger, of whom the gate takes so much in an hour.
fn unlimited(settings: &str) -> String {
    let lines = settings.lines().map(|line| match line.split_once(" = ") {
        Some((key, _)) if key.starts_with("messages-per-") => format!("{key} = 0\n"),
        Some(_) | None => format!("{line}\n"),
    });
    lines.collect()
}

/// As the setup says.
pub(super) fn start_as(setup: &Setup<'_>, folder: &Folder, program: &Path, accounts: u32) -> Result<Rival> {
    let options: Vec<&str> = setup.database.iter().flat_map(|url| ["--database", url]).collect();
    start_with(setup, folder, program, accounts, &options)
}

fn start_with(setup: &Setup<'_>, folder: &Folder, program: &Path, accounts: u32, options: &[&str]) -> Result<Rival> {
    let own = folder.sub(setup.folder)?;
    let data = own.join("data");
    let mut processes = Processes::prepare(folder, setup.folder)?;
    let (place, accounts) = (data.display().to_string(), accounts.to_string());
    let mut arguments = vec!["quickstart", "--data", &place, "--password", PASSWORD, "--accounts", &accounts];
    arguments.extend(options);
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
        name: setup.name,
        versions: vec![version],
        settings: vec![
            "as `postroad quickstart` makes it: SQLite, synchronous=FULL, message bodies in the database".into(),
            "log at its default level, into a file".into(),
        ],
        smtp: port("smtp")?,
        imap: port("imap")?,
        pop3: port("pop3")?,
        imaps: port("imaps").ok(),
        verifies: None,
        processes,
        beside: None,
        folder: own,
        keeper,
    })
}
