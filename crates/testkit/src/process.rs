//! The program as users run it: a child process with a data folder and ports of its own.
//!
//! It is killed when the value is dropped, and by the kernel when the test process dies.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::janitor::Janitor;
use crate::ports::PortOffset;
use crate::run::ended;

/// A running program. Construct with [`Process::quickstart`] or [`Process::start`].
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    child: Option<Child>,
    said: Arc<Mutex<Vec<String>>>,
    ports: Option<PortOffset>,
    folder: Option<(PathBuf, Janitor)>,
}

impl Process {
    /// Starts `program quickstart` with a fresh data folder, free ports and `password` for alice and bob, and
    /// waits for its `ready`. `more` is appended to the command line, for example `["--database", url]`.
    pub fn quickstart(program: impl AsRef<Path>, password: &str, more: &[&str]) -> Process {
        let made = tempfile::Builder::new().prefix("postroad-data-").tempdir();
        let folder = made.expect("a temporary folder can be made").keep();
        let janitor = Janitor::of(&folder);
        let ports = PortOffset::find();
        let mut arguments: Vec<OsString> = vec!["quickstart".into(), "--data".into()];
        arguments.push(folder.clone().into());
        arguments.push("--port-offset".into());
        arguments.push(ports.offset().to_string().into());
        arguments.push("--password".into());
        arguments.push(password.into());
        arguments.extend(more.iter().map(OsString::from));
        let mut process = Process {
            program: program.as_ref().to_owned(),
            arguments,
            child: None,
            said: Arc::default(),
            ports: Some(ports),
            folder: Some((folder, janitor)),
        };
        process.start_again();
        process
    }

    /// Starts any command line of the program and waits for its `ready`.
    pub fn start(program: impl AsRef<Path>, arguments: &[&str]) -> Process {
        let mut process = Process {
            program: program.as_ref().to_owned(),
            arguments: arguments.iter().map(OsString::from).collect(),
            child: None,
            said: Arc::default(),
            ports: None,
            folder: None,
        };
        process.start_again();
        process
    }

    /// Starts a program that does not know the word `ready`: it is started, and no more is known.
    pub(crate) fn spawn(program: &str, arguments: &[&str]) -> Process {
        let ready = ["-c", "echo ready; exec \"$0\" \"$@\"", program];
        Process::start("/bin/sh", &[&ready, arguments].concat())
    }

    /// Starts the same command line again after [`Process::kill`] or [`Process::stop`].
    ///
    /// # Panics
    /// When the program ends, or does not say `ready` in time; what it printed is in the message.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the program is still running");
        let (events, arrived) = channel();
        self.child = Some(spawn(&self.program, &self.arguments, &self.said, events));
        match wait_ready(&arrived) {
            Ok(()) => {}
            Err(why) => {
                self.kill();
                panic!("{} {why}; it printed:\n{}", self.program.display(), self.printed());
            }
        }
    }

    /// Where the service with this standard port listens (25, 587, 143, 8080, ..).
    pub fn address(&self, standard: u16) -> std::net::SocketAddr {
        self.ports.as_ref().expect("only a quickstart has ports of its own").address(standard)
    }

    /// The data folder of a quickstart.
    pub fn data(&self) -> &Path {
        let (folder, _) = self.folder.as_ref().expect("only a quickstart has a folder of its own");
        folder
    }

    /// What it printed so far on both outputs, the last lines of it.
    pub fn printed(&self) -> String {
        self.said.lock().expect("readers do not panic").join("\n")
    }

    /// The process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits for the graceful end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the program is running");
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill is installed");
        assert!(sent.success(), "the program ended before it was told to");
        ended(&mut child, &self.program.display().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Spawns from a thread that lives as long as the child's output: the kernel's parent-death signal fires
/// when the *thread* that spawned ends, not the process.
fn spawn(program: &Path, arguments: &[OsString], said: &Arc<Mutex<Vec<String>>>, events: Sender<Event>) -> Child {
    let mut command = if Path::new("/usr/bin/setpriv").exists() {
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (give, take) = channel();
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let spawned = command.spawn().map(|mut child| {
            let outputs = (child.stdout.take(), child.stderr.take());
            let _ = give.send(Ok(child));
            outputs
        });
        match spawned {
            Ok((stdout, stderr)) => {
                let errors = Arc::clone(&said);
                let stderr = stderr.expect("stderr is piped");
                std::thread::spawn(move || keep_lines(stderr, &errors, |_| {}));
                keep_lines(stdout.expect("stdout is piped"), &said, |line| {
                    if line == "ready" {
                        let _ = events.send(Event::Ready);
                    }
                });
                let _ = events.send(Event::Ended);
            }
            Err(error) => {
                let _ = give.send(Err(error));
            }
        }
    });
    match take.recv().expect("the spawning thread answers") {
        Ok(child) => child,
        Err(error) => panic!("{} cannot be started: {error}", program.display()),
    }
}

enum Event {
    Ready,
    Ended,
}

fn wait_ready(arrived: &Receiver<Event>) -> Result<(), String> {
    match arrived.recv_timeout(READY_WITHIN) {
        Ok(Event::Ready) => Ok(()),
        Ok(Event::Ended) => Err("ended before it was ready".to_owned()),
        Err(_) => Err(format!("did not print `ready` within {READY_WITHIN:?}")),
    }
}

fn keep_lines(from: impl Read, said: &Mutex<Vec<String>>, mut each: impl FnMut(&str)) {
    for line in BufReader::new(from).split(b'\n') {
        let Ok(line) = line else { return };
        let line = String::from_utf8_lossy(&line).into_owned();
        each(&line);
        let mut said = said.lock().expect("nobody panics with this lock");
        if said.len() == LINES_KEPT {
            said.remove(0);
        }
        said.push(line);
    }
}

/// A debug build that makes accounts with argon2 on a busy machine takes a while.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Lines kept of what the program printed.
const LINES_KEPT: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_waited_for_and_an_early_end_is_told() {
        let mut process = Process::start("/bin/sh", &["-c", "echo one; echo ready; exec cat /dev/zero >/dev/null"]);
        assert!(process.id().is_some());
        process.kill();
        process.start_again();
        assert!(!process.stop().success());
        let early = std::panic::catch_unwind(|| Process::start("/bin/sh", &["-c", "echo broken"]));
        let why = early.expect_err("no `ready` came");
        let why = why.downcast_ref::<String>().expect("a formatted panic");
        assert!(why.contains("ended before it was ready") && why.contains("broken"), "{why}");
    }
}
