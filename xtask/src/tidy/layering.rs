//! Which crate may import which: the layering table, checked against the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Fault;

/// A crate, the crates of ours that it may import, and whether it may import the async world.
struct Layer {
    name: &'static str,
    may_import: &'static [&'static str],
    shell: bool,
}

/// From the bottom up. A crate that is not here fails the check: give it a row first.
const LAYERS: &[Layer] = &[
    layer("fuzz", &[]),
    layer("protocol", &[]),
    layer("message", &[]),
    layer("search", &["message"]),
    layer("sasl", &["protocol"]),
    layer("kerberos", &["sasl"]),
    layer("imap", &["sasl"]),
    layer("smtp", &["protocol", "sasl"]),
    layer("store", &[]),
    layer("mail", &["store", "message", "search", "sasl"]),
    layer("identity", &["store", "mail"]),
    layer("queue", &["store", "smtp", "message"]),
    layer("mailauth", &["message"]),
    layer("trust", &["store", "mailauth", "message"]),
    layer("archive", &["store", "mail", "message", "imap"]),
    layer("imapd", &["protocol", "mail", "queue", "store", "imap", "sasl", "message", "search"]),
    layer("pop3d", &["protocol", "mail", "queue", "store", "sasl", "message"]),
    shell("net", &["protocol"]),
    shell("dns", &[]),
    shell("oauth", &["store", "queue"]),
    shell("login", &["mail", "store", "net", "sasl", "identity"]),
    shell(
        "mta",
        &[
            "protocol", "smtp", "imap", "sasl", "message", "mail", "queue", "store", "net", "dns", "login", "mailauth",
            "trust", "identity", "oauth",
        ],
    ),
    shell("remote", &["protocol", "imap", "sasl", "message", "mail", "store", "archive"]),
    shell("web", &["net", "mail", "queue", "store", "dns", "mailauth", "trust", "identity", "login", "sasl"]),
    shell(
        "server",
        &[
            "protocol", "message", "smtp", "imap", "sasl", "store", "mail", "queue", "imapd", "pop3d", "net", "dns",
            "login", "mta", "web", "archive", "mailauth", "trust", "identity", "remote", "oauth", "kerberos",
        ],
    ),
    shell("load", &[]),
    shell(
        "testkit",
        &[
            "protocol", "message", "smtp", "imap", "sasl", "store", "mail", "queue", "imapd", "pop3d", "net", "dns",
            "login", "mta", "web", "archive", "mailauth", "trust", "identity",
        ],
    ),
];

const fn layer(name: &'static str, may_import: &'static [&'static str]) -> Layer {
    Layer { name, may_import, shell: false }
}

const fn shell(name: &'static str, may_import: &'static [&'static str]) -> Layer {
    Layer { name, may_import, shell: true }
}

/// The async world and the databases, and the only crates outside the shell that may name them.
/// `store` waits on its threads with `tokio::sync` and speaks S3 on a runtime of its own.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("tokio", &["store"]),
    ("tokio-rustls", &[]),
    ("rustls", &["store"]),
    ("axum", &[]),
    ("hickory-resolver", &[]),
    ("rusqlite", &["store"]),
    ("postgres", &["store"]),
    ("tokio-postgres", &["store"]),
    ("tokio-postgres-rustls", &["store"]),
    ("object_store", &["store"]),
    ("anyhow", &[]),
];

/// Crates that are programs: they may say what went wrong in words alone.
const PROGRAMS: &[&str] = &["server", "load"];

/// Database drivers stay below the seam, in the shell too; `testkit` starts real servers with them.
const DRIVERS: &[&str] = &["rusqlite", "postgres", "tokio-postgres", "tokio-postgres-rustls", "object_store"];

#[derive(Deserialize)]
struct Manifest {
    package: Package,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
    lints: Option<Lints>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize)]
struct Lints {
    workspace: bool,
}

pub(super) fn check(root: &Path) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let (mut seen, mut stand_on) = (BTreeSet::new(), BTreeMap::new());
    for entry in std::fs::read_dir(root.join("crates"))? {
        let path = entry?.path().join("Cargo.toml");
        if !path.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let manifest: Manifest = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        seen.insert(folder.clone());
        let ours = manifest.dependencies.keys().filter_map(|name| name.strip_prefix("postroad-"));
        stand_on.insert(folder.clone(), ours.map(str::to_owned).collect());
        faults.extend(check_crate(&folder, &manifest));
    }
    for layer in LAYERS {
        if !seen.contains(layer.name) {
            faults.push(format!("xtask/src/tidy/layering.rs: the table names {}, which is gone", layer.name));
        }
    }
    faults.extend(check_map(&std::fs::read_to_string(root.join("ARCHITECTURE.md"))?, &stand_on));
    Ok(faults)
}

/// The map's rows, ``| `crates/web` | what it is | what it stands on | never |``, say what the manifests say.
fn check_map(map: &str, stand_on: &BTreeMap<String, BTreeSet<String>>) -> Vec<Fault> {
    let rows: BTreeMap<&str, BTreeSet<String>> = map
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `crates/")?.split('|');
            let name = cells.next()?.trim().strip_suffix('`')?;
            let stands_on = cells.nth(1).filter(|_| cells.clone().count() == 2)?;
            Some((name, stands_on.split_whitespace().map(str::to_owned).collect()))
        })
        .collect();
    let differs = |(name, ours): (&String, &BTreeSet<String>)| {
        let told = rows.get(name.as_str());
        let why = match told {
            None => "has no row in the table of crates".to_owned(),
            Some(told) if told == ours => return None,
            Some(_) => format!("stands on: {}", ours.iter().map(String::as_str).collect::<Vec<_>>().join(" ")),
        };
        Some(format!("ARCHITECTURE.md: crates/{name} {why}"))
    };
    stand_on.iter().filter_map(differs).collect()
}

fn check_crate(folder: &str, manifest: &Manifest) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |sentence: String| faults.push(format!("crates/{folder}/Cargo.toml: {sentence}"));
    if manifest.package.name != format!("postroad-{folder}") {
        fault(format!("folder {folder} holds crate {}", manifest.package.name));
    }
    if !manifest.lints.as_ref().is_some_and(|lints| lints.workspace) {
        fault("the workspace's lints (unsafe code forbidden) are not taken over".into());
    }
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == folder) else {
        fault("has no row in the layering table".into());
        return faults;
    };
    for dependency in manifest.dependencies.keys() {
        if let Some(ours) = dependency.strip_prefix("postroad-") {
            if !layer.may_import.contains(&ours) {
                fault(format!("{folder} must not import {ours}"));
            }
            continue;
        }
        let driver = DRIVERS.contains(&dependency.as_str());
        let allowed = OUTSIDE.iter().find(|(name, _)| name == dependency);
        if let Some((_, but)) = allowed {
            let shell = layer.shell && (!driver || folder == "testkit");
            if !shell && !but.contains(&folder) {
                fault(format!("{folder} must not import {dependency}"));
            }
        }
        if dependency == "anyhow" && !PROGRAMS.contains(&folder) {
            fault("anyhow is for programs; a library names its errors".into());
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(folder: &str, manifest: &str) -> Vec<Fault> {
        check_crate(folder, &toml::from_str(manifest).expect("a manifest"))
    }

    #[test]
    fn the_map_says_what_the_manifests_say() {
        let map = "| crate | what | stands on | never |\n| `crates/imap` | words | sasl | state |\n\
                   | see | `crates/imap` |\n| `crates/store` | the seam | | mail |\n";
        let ours = |rows: &[(&str, &[&str])]| {
            let row = |(name, ours): &(&str, &[&str])| {
                ((*name).to_owned(), ours.iter().map(|one| (*one).to_owned()).collect())
            };
            check_map(map, &rows.iter().map(row).collect())
        };
        assert_eq!(ours(&[("imap", &["sasl"]), ("store", &[])]), Vec::<String>::new());
        assert_eq!(
            ours(&[("imap", &["sasl", "store"]), ("web", &[])]),
            [
                "ARCHITECTURE.md: crates/imap stands on: sasl store",
                "ARCHITECTURE.md: crates/web has no row in the table of crates"
            ]
        );
    }

    #[test]
    fn the_table_is_enforced() {
        let good =
            "[package]\nname = 'postroad-imapd'\n[lints]\nworkspace = true\n[dependencies]\npostroad-mail = {}\n";
        assert_eq!(faults("imapd", good), Vec::<String>::new());
        let bad = "[package]\nname = 'postroad-imapd'\n[lints]\nworkspace = true\n[dependencies]\npostroad-pop3d = {}\ntokio = '1'\n";
        let found = faults("imapd", bad);
        assert!(found.iter().any(|fault| fault.ends_with("imapd must not import pop3d")), "{found:?}");
        assert!(found.iter().any(|fault| fault.ends_with("imapd must not import tokio")), "{found:?}");
        let unlinted = "[package]\nname = 'postroad-web'\n[dependencies]\nrusqlite = '0'\n";
        assert_eq!(faults("web", unlinted).len(), 2);
    }
}
