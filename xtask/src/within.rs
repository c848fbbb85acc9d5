//! Runs one test program under a limit of time, so that a test that hangs is named and costs minutes, not the whole run.

use std::fs;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Thrice what the longest test program takes on two slow cores.
const LIMIT: Duration = Duration::from_secs(900);

/// Cargo's setting that has each test program run by [`run`].
pub(crate) fn runner() -> Result<String> {
    let own = std::env::current_exe().context("this program's own path")?;
    Ok(format!("target.'cfg(all())'.runner = [{:?}, \"within\"]", own.display().to_string()))
}

/// Runs the program to its end, which is ours, or to the limit.
pub(crate) fn run(command: &[String]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no test program is named")?;
    let started = Instant::now();
    let mut child =
        Command::new(program).args(arguments).spawn().with_context(|| format!("{program} does not start"))?;
    let id = child.id();
    let (give, take) = channel();
    std::thread::spawn(move || give.send(child.wait()));
    let status = match take.recv_timeout(LIMIT) {
        Ok(status) => status?,
        Err(RecvTimeoutError::Disconnected) => anyhow::bail!("{program} cannot be waited for"),
        Err(RecvTimeoutError::Timeout) => {
            crate::complain(&format!("{program} did not end within {LIMIT:?}; its threads: {}", threads(id)));
            let _ = Command::new("ps").args(["-eo", "pid,ppid,etimes,stat,wchan:24,args"]).status();
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            return Ok(ExitCode::FAILURE);
        }
    };
    let took = started.elapsed();
    if took >= WORTH_A_WORD {
        crate::say(&format!("took {} s: {program}", took.as_secs()));
    }
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
    })
}

/// The names of a process's threads: those of tests are their names' beginnings.
fn threads(id: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect::<Vec<_>>().join(", ")
}

const WORTH_A_WORD: Duration = Duration::from_secs(20);
