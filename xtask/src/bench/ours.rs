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

/// With `names` it asks them, and has one listener more, for mail from elsewhere.
pub(super) fn start(folder: &Folder, program: &Path, accounts: u32, names: Option<&Names>) -> Result<Rival> {
    let own = folder.sub("postroad")?;
    let data = own.join("data");
    let mut processes = Processes::prepare(folder, "postroad")?;
    let (place, accounts) = (data.display().to_string(), accounts.to_string());
    let mut arguments = vec!["quickstart", "--data", &place, "--password", PASSWORD, "--accounts", &accounts];
    arguments.extend(names.iter().flat_map(|names| ["--resolver", &names.address]));
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
    let mut rival = Rival {
        name: NAME,
        versions: vec![version],
        settings: vec![
            "as `postroad quickstart` makes it: SQLite, synchronous=FULL, message bodies in the database".into(),
            "log at its default level, into a file".into(),
        ],
        smtp: port("smtp")?,
        imap: port("imap")?,
        pop3: port("pop3")?,
        verifies: None,
        processes,
        folder: own,
        keeper,
    };
    if let Some(names) = names {
        let [proxied] = free_ports()?;
        let listener = format!(
            "\n[[listener]]\nname = \"proxied\"\nservice = \"smtp\"\naddress = \"127.0.0.1:{proxied}\"\n\
             tls = \"none\"\nproxy-from = [\"127.0.0.1\"]\n"
        );
        let file = data.join("postroad.toml");
        std::fs::write(&file, std::fs::read_to_string(&file)? + &listener)?;
        rival.restart()?;
        rival.verifies = Some(Verifies { proxied, message: names.message.clone() });
    }
    Ok(rival)
}
