//! A server in the race, and how one is started.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::folder::Folder;
use super::usage::Processes;

/// The domain and the password of all accounts, which are called u0001 and so on.
pub(super) const DOMAIN: &str = "example.test";
pub(super) const PASSWORD: &str = "race-4-fun";
/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);
/// Into its control group, with room for connections, then the program itself.
const BEGIN: &str = r#"
if [ -n "$1" ]; then echo $$ > "$1" || exit 1; fi
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
shift
exec "$@"
"#;

/// A running server.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) versions: Vec<String>,
    /// How it is set up, where that is not as it comes.
    pub(super) settings: Vec<String>,
    pub(super) smtp: u16,
    pub(super) imap: u16,
    pub(super) pop3: u16,
    /// IMAP with implicit TLS, where there is one.
    pub(super) imaps: Option<u16>,
    /// How it is brought mail that it verifies.
    pub(super) verifies: Option<Verifies>,
    pub(super) processes: Processes,
    /// Those of a database that serves it.
    pub(super) beside: Option<Processes>,
    pub(super) folder: PathBuf,
    /// The program that keeps the mail and answers over IMAP.
    pub(super) keeper: Keeper,
}

/// Mail for a server that verifies it.
#[derive(Debug)]
pub(super) struct Verifies {
    /// A port where the client's address comes by the PROXY protocol.
    pub(super) proxied: u16,
    pub(super) message: PathBuf,
}

/// A program that can be started again.
#[derive(Debug)]
pub(super) struct Keeper {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    /// Where the guard finds which process to end.
    id_file: PathBuf,
    child: Child,
}

impl Keeper {
    /// Starts it among the processes of a server.
    pub(super) fn start(
        folder: &Folder,
        own: &Path,
        processes: &mut Processes,
        program: &Path,
        arguments: &[&str],
    ) -> Result<Keeper> {
        let (log, id_file) = (own.join("keeper.log"), own.join("keeper.pid"));
        folder.stop_with(&format!("kill $(cat {})", id_file.display()))?;
        let child = start(processes, program, arguments, &log)?;
        std::fs::write(&id_file, child.id().to_string())?;
        processes.add_root(child.id());
        let arguments = arguments.iter().map(|argument| (*argument).to_string()).collect();
        Ok(Keeper { program: program.into(), arguments, log, id_file, child })
    }

    /// Where its output goes.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }
}

impl Rival {
    /// CPU of all its processes so far, user and system.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        let beside = self.beside.as_ref().map_or(Ok(0.0), Processes::cpu_seconds)?;
        Ok(self.processes.cpu_seconds()? + beside)
    }

    /// Ends the keeper of the mail and starts it again: its memory is that of a fresh program.
    pub(super) fn restart(&mut self) -> Result<()> {
        let Keeper { program, arguments, log, id_file, child } = &mut self.keeper;
        let told = Command::new("kill").arg(child.id().to_string()).status()?;
        wait_until("it does not end", log, || !told.success() || !matches!(child.try_wait(), Ok(None)))?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // Ports and locks of the former life may take a moment.
        wait_until("its port stays taken", log, || !listens(self.imap))?;
        *child = start(&self.processes, program, &arguments, log)?;
        std::fs::write(id_file, child.id().to_string())?;
        self.processes.add_root(child.id());
        wait_until("it does not start again", log, || listens(self.imap))
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // Only reaps what has ended: waiting is the guard's matter.
        drop(self.keeper.child.try_wait());
    }
}

/// Accounts by number as `postroad-load` takes them.
pub(super) fn users(first: u32, last: u32) -> String {
    format!("u[{first:04}-{last:04}]@{DOMAIN}")
}

/// Starts a program among the processes of a server, its output into a file.
pub(super) fn start(processes: &Processes, program: &Path, arguments: &[&str], log: &Path) -> Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    let group = processes.group_file().map(|file| file.display().to_string()).unwrap_or_default();
    Command::new("sh")
        .args(["-c", BEGIN, "begin", &group])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // An interrupt from the keyboard is the guard's matter.
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} does not start", program.display()))
}

/// So many ports that are free now.
pub(super) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Waits until a condition holds; otherwise fails with the log's last lines.
pub(super) fn wait_until(what: &str, log: &Path, mut holds: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > START {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(20).collect();
            bail!("{what} within {START:?}; it says:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Whether somebody listens there.
pub(super) fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}
