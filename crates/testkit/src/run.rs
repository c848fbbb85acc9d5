//! Programs that run to their end, and waiting for what is to come.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::time::{Duration, Instant};

/// What a program printed and whether it succeeded.
#[derive(Debug)]
pub struct Ran {
    /// Whether it ended with 0.
    pub success: bool,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    /// Its output.
    ///
    /// # Panics
    /// With everything that it said, when it failed.
    pub fn good(self) -> String {
        assert!(self.success, "the program failed:\n{}\n{}", self.out, self.err);
        self.out
    }
}

/// Runs a program to its end with this input.
///
/// # Panics
/// When it does not start, or does not end in time; with everything that runs then.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Ran {
    run_in(Path::new("/"), program, arguments, input)
}

/// Runs a program in a folder, which is also its home.
pub fn run_in(folder: &Path, program: &str, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("HOME", folder).env("LC_ALL", "C.UTF-8");
    let output = output(&mut command, input);
    Ran {
        success: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command to its end with this input; both outputs.
///
/// # Panics
/// When it does not start, or does not end in time; with everything that runs then.
pub fn output(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("{command:?} does not start ({error}); run `cargo xtask test`, which installs what tests need")
        });
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // A program that ends before it has read all is not our failure.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = output_of(child, &format!("{command:?}"));
    feeder.join().expect("no panic");
    output
}

/// Waits for the end of a program and of its outputs that are piped; a daemon that it leaves behind may hold those open.
///
/// # Panics
/// When they do not end in time; with everything that runs then.
pub fn output_of(child: Child, what: &str) -> Output {
    let id = child.id();
    let (give, take) = channel();
    std::thread::spawn(move || give.send(child.wait_with_output()));
    match take.recv_timeout(RUN_WITHIN) {
        Ok(output) => output.expect("a child of ours can be waited for"),
        Err(_) => {
            let around = processes();
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            panic!("{what} (process {id}) did not end within {RUN_WITHIN:?}; what runs:\n{around}");
        }
    }
}

/// Waits for the end of a process that was told to end, or ends by itself.
///
/// # Panics
/// When it does not end; with everything that runs.
pub fn ended(child: &mut Child, what: &str) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours can be waited for") {
            return status;
        }
        if start.elapsed() >= RUN_WITHIN {
            let around = processes();
            let _ = child.kill();
            panic!("{what} (process {}) did not end within {RUN_WITHIN:?}; what runs:\n{around}", child.id());
        }
        pause();
    }
}

/// What a program says, line by line. Construct with [`lines`].
#[derive(Debug)]
pub struct Lines(Receiver<String>);

/// The lines of an output of a program, which is read no further than they are asked for.
pub fn lines(output: impl Read + Send + 'static) -> Lines {
    let (give, take) = sync_channel(0);
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| give.send(line))
    });
    Lines(take)
}

impl Iterator for Lines {
    type Item = String;

    /// The next line, nothing at the end.
    ///
    /// # Panics
    /// When neither comes in time; with everything that runs.
    fn next(&mut self) -> Option<String> {
        match self.0.recv_timeout(RUN_WITHIN) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no line came within {RUN_WITHIN:?}; what runs:\n{}", processes())
            }
        }
    }
}

/// Raises a flag when it is dropped: threads of a scope that go on until it is raised end also when the test fails.
#[derive(Debug)]
pub struct StopAtEnd<'a>(pub &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// All processes: who is whose child, for how long, in what call of the kernel.
fn processes() -> String {
    let table = Command::new("ps").args(["-eo", "pid,ppid,etimes,stat,wchan:24,args"]).output();
    table.map_or_else(|error| error.to_string(), |table| String::from_utf8_lossy(&table.stdout).into_owned())
}

/// Looks until there is something.
///
/// # Panics
/// When it does not come within a minute; `what` names it.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    in_time(look).unwrap_or_else(|| panic!("{what} does not come"))
}

/// Looks until there is something, for a minute.
pub fn in_time<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || start.elapsed() >= PATIENCE {
            return found;
        }
        pause();
    }
}

/// Whether the effective user is root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0)
}

/// The time between two looks.
pub(crate) fn pause() {
    let (_nobody, silence) = channel::<()>();
    let _ = silence.recv_timeout(LOOK);
}

/// What is waited for comes within this, or never.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// No program of a test takes longer: one that does hangs, and the test is to say so before its whole run is ended.
pub const RUN_WITHIN: Duration = Duration::from_secs(240);

const LOOK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_goes_in_and_both_outputs_come_back() {
        let ran = run("/bin/sh", &["-c", "cat; echo trouble >&2; exit 3"], b"words");
        assert_eq!((ran.success, ran.out.as_str(), ran.err.as_str()), (false, "words", "trouble\n"));
        let mut looks = 0;
        let found = eventually("the third look", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    fn lines_are_read_when_they_are_asked_for() {
        let mut command = Command::new("/bin/sh");
        let mut child = command.args(["-c", "echo one; echo two"]).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut said = lines(child.stdout.take().expect("piped"));
        assert_eq!(said.next().as_deref(), Some("one"));
        assert_eq!(said.collect::<Vec<_>>(), ["two"]);
        assert!(ended(&mut child, "the shell").success());
    }
}
