//! Driving `postroad-load`.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How long the generator may stay silent.
const SILENCE: Duration = Duration::from_secs(180);
/// How long it may take to end after its report.
const FAREWELL: Duration = Duration::from_secs(10);

/// The generator's program.
#[derive(Debug)]
pub(super) struct Load {
    program: PathBuf,
}

/// A run of the generator that waits where it says so.
#[derive(Debug)]
pub(super) struct Run {
    child: Child,
    input: Option<ChildStdin>,
    said: Receiver<String>,
}

impl Load {
    pub(super) fn new(program: PathBuf) -> Load {
        Load { program }
    }

    /// Starts it; it will say `ready` before its load begins.
    pub(super) fn start(&self, arguments: &[String]) -> Result<Run> {
        self.spawn(arguments, true)
    }

    /// Runs it to its end; its report.
    pub(super) fn report(&self, arguments: &[String]) -> Result<Value> {
        self.spawn(arguments, false)?.report()
    }

    fn spawn(&self, arguments: &[String], paced: bool) -> Result<Run> {
        let mut command = Command::new("sh");
        // A thousand connections need as many descriptors.
        command.args(["-c", "ulimit -n 65536 2>/dev/null || ulimit -n \"$(ulimit -H -n)\"; exec \"$@\"", "load"]);
        command.arg(&self.program).args(arguments).arg("--json");
        if paced {
            command.arg("--paced");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", self.program.display()))?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("its output is a pipe")?;
        let (sender, said) = channel();
        // The thread ends with the child's output.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Run { child, input, said })
    }
}

impl Run {
    /// Waits until it says this word.
    pub(super) fn wait_for(&mut self, word: &str) -> Result<()> {
        match self.said.recv_timeout(SILENCE) {
            Ok(line) if line == word => Ok(()),
            Ok(line) => bail!("the generator said {line:?} where {word:?} was due"),
            Err(_) => bail!("the generator did not come to {word:?}"),
        }
    }

    /// Lets it go on.
    pub(super) fn go(&mut self) -> Result<()> {
        let input = self.input.as_mut().context("the generator takes no input any more")?;
        input.write_all(b"go\n").context("the generator has ended")?;
        Ok(())
    }

    /// Its report, after which it must end well.
    pub(super) fn report(mut self) -> Result<Value> {
        let line = self.said.recv_timeout(SILENCE).ok().context("the generator gave no report")?;
        let began = Instant::now();
        while began.elapsed() < FAREWELL {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("the generator ended with {status}");
                }
                return serde_json::from_str(&line).with_context(|| format!("the generator's report {line:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the generator does not end")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It has ended unless something went wrong.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
