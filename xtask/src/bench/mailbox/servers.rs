//! The servers whose mailboxes are raced: Postroad on SQLite and on PostgreSQL, Dovecot with mdbox and with Maildir.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::bench::folder::Folder;
use crate::bench::options::Options;
use crate::bench::rival::{Rival, free_ports, start, wait_until};
use crate::bench::usage::Processes;
use crate::bench::{ours, theirs};

/// Where Debian keeps the programs of PostgreSQL.
const POSTGRES: &str = "/usr/lib/postgresql";
/// What PostgreSQL runs as: it refuses to be root.
const POSTGRES_USER: &str = "postgres";

/// The one that the targets are set for, and the one that it is held against.
pub(super) const OURS: &str = "Postroad, SQLite";
pub(super) const OURS_POSTGRES: &str = "Postroad, PostgreSQL";
pub(super) const MDBOX: &str = "Dovecot, mdbox";
pub(super) const MAILDIR: &str = "Dovecot, Maildir";

/// Starts those that are wanted, ours first.
pub(super) fn all(options: &Options, folder: &Folder, program: &Path, accounts: u32) -> Result<Vec<Rival>> {
    let sqlite = ours::Setup { name: OURS, folder: "postroad", database: None };
    let mut all = vec![ours::start_as(&sqlite, folder, program, accounts)?];
    if options.postgres {
        let mut processes = Processes::prepare(folder, "postgres")?;
        let url = postgres(folder, &mut processes)?;
        let setup = ours::Setup { name: OURS_POSTGRES, folder: "postroad-on-postgres", database: Some(&url) };
        let mut rival = ours::start_as(&setup, folder, program, accounts)?;
        rival.settings = vec!["as `postroad quickstart --database` makes it; Debian's PostgreSQL, fsync on".into()];
        rival.beside = Some(processes);
        all.push(rival);
    }
    all.push(theirs::dovecot(MDBOX, folder, "mdbox", accounts)?);
    if options.maildir {
        all.push(theirs::dovecot(MAILDIR, folder, "maildir", accounts)?);
    }
    Ok(all)
}

/// A cluster of its own; the address of its database.
fn postgres(folder: &Folder, processes: &mut Processes) -> Result<String> {
    let programs = programs()?;
    let own = folder.sub("postgres")?;
    let id = |flag: &str| -> Result<u32> {
        let said = Command::new("id").args([flag, POSTGRES_USER]).output()?.stdout;
        String::from_utf8_lossy(&said).trim().parse().with_context(|| format!("there is no user {POSTGRES_USER}"))
    };
    chown(&own, Some(id("-u")?), Some(id("-g")?))?;
    let [port] = free_ports()?;
    let (data, log) = (own.join("data"), own.join("log"));
    let as_user = |line: String| -> Result<()> {
        let arguments = ["-u", POSTGRES_USER, "--", "sh", "-c", &line];
        let mut child = start(processes, Path::new("/usr/sbin/runuser"), &arguments, &own.join("setup.log"))?;
        if !child.wait()?.success() {
            bail!("{line} failed:\n{}", std::fs::read_to_string(own.join("setup.log")).unwrap_or_default());
        }
        Ok(())
    };
    let bin = programs.display();
    as_user(format!("{bin}/initdb -D {} -U postroad --auth=trust --encoding=UTF8 --locale=C", data.display()))?;
    let stop = format!("runuser -u {POSTGRES_USER} -- {bin}/pg_ctl -D {} stop -m fast", data.display());
    folder.stop_with(&stop)?;
    as_user(format!(
        "{bin}/pg_ctl -D {} -l {} -w -o '-p {port} -k {} -c listen_addresses=127.0.0.1 -c shared_buffers=256MB' start",
        data.display(),
        log.display(),
        own.display()
    ))?;
    wait_until("PostgreSQL does not listen", &log, || crate::bench::rival::listens(port))?;
    Ok(format!("postgres://postroad@127.0.0.1:{port}/postgres"))
}

/// The newest that is installed.
fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(POSTGRES)
        .with_context(|| format!("{POSTGRES} is not there: apt-get install postgresql"))?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path).with_context(|| format!("{POSTGRES} holds no version"))
}
