//! The project's own chores: `cargo xtask test`, `tidy`, `ci`, `bench`.
//!
//! `test` is everything that must hold before a change lands; CI calls nothing else.

mod bench;
mod packages;
mod tidy;
mod within;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Off in the usual build, which is not to need MIT's library; what is tested has all there is.
const WITH_KERBEROS: &str = "--features=postroad-server/gssapi";

const USAGE: &str = "\
usage: cargo xtask <task>

  test [-- ARGS]   install what the tests need (as root), then tidy, format, lint and all tests
  ci               the same, as continuous integration calls it
  bench [OPTIONS]  the race against Postfix + Dovecot, into benchmarks/ (--help: its options)
  tidy             layering, licences, sizes, documents: the checks that read the tree only
  within COMMAND   run one test program under a limit of time; `test` runs all of them so
  standards        write docs/standards.md from docs/rfc/index.tsv
  packages         print the Debian packages that the tests need
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = arguments.first().map(String::as_str);
    let outcome = match task {
        Some("test" | "ci") => test(&arguments[1..]),
        Some("bench") => bench::run(&root(), &arguments[1..]),
        Some("tidy") => tidy::run(&root()),
        Some("within") => match within::run(&arguments[1..]) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Some("standards") => tidy::standards::write(&root()),
        Some("packages") => {
            say(&packages::NEEDED.join(" "));
            Ok(())
        }
        Some(other) => Err(anyhow::anyhow!("no task is called {other:?}\n\n{USAGE}")),
        None => {
            say(USAGE);
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Everything that must hold: what reads the tree first, because it answers at once.
fn test(arguments: &[String]) -> Result<()> {
    let started = Instant::now();
    let root = root();
    packages::install()?;
    step("tidy", || tidy::run(&root))?;
    step("format", || cargo(&root, &["fmt", "--all", "--check"]))?;
    // One set of features for all that is built, so that nothing is built twice.
    let lint = ["clippy", "--workspace", "--all-targets", WITH_KERBEROS, "--quiet", "--", "--deny", "warnings"];
    step("lint", || cargo(&root, &lint))?;
    step("licences", || tidy::deny::run(&root))?;
    let runner = within::runner()?;
    let mut all = vec!["test", "--workspace", WITH_KERBEROS, "--no-fail-fast", "--config", &runner];
    all.extend(arguments.iter().map(String::as_str));
    step("tests", || cargo(&root, &all))?;
    say(&format!("all passed in {} s", started.elapsed().as_secs()));
    Ok(())
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    say(&format!("== {name}"));
    let started = Instant::now();
    work().with_context(|| format!("{name} failed"))?;
    say(&format!("== {name}: {} s", started.elapsed().as_secs()));
    Ok(())
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let status = Command::new(cargo).args(arguments).current_dir(root).status().context("cargo did not start")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// The workspace's root: the folder above this crate.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

#[allow(clippy::print_stdout, reason = "a command line's output")]
fn say(line: &str) {
    println!("{line}");
}

#[allow(clippy::print_stderr, reason = "a command line's errors")]
fn complain(line: &str) {
    eprintln!("{line}");
}
