//! `cargo xtask bench`: the race against Postfix + Dovecot.
//!
//! Both servers run on this machine, each in a temporary folder on free ports, with the same accounts, and get
//! the same load from `postroad-load`, case by case in turn, round after round. What is measured is what a
//! user sees (accepted, visible, read) and what it costs (CPU of all processes of a server, their memory, what
//! they write). The raw figures go to `benchmarks/`, the table to `benchmarks/README.md`.
//!
//! It never leaves anything running: a guard process stops the servers and removes the folder when this
//! process ends, however it ends.

mod cases;
mod folder;
mod load;
mod machine;
mod mailbox;
mod names;
mod options;
mod ours;
mod results;
mod rival;
mod table;
mod theirs;
mod usage;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use self::cases::Case;
use self::folder::Folder;
use self::load::Load;
use self::options::Options;
use self::results::Results;
use self::rival::Rival;

/// Between a build and the first case, and between the start of a server and its first load.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let Some(options) = Options::parse(arguments)? else {
        crate::say(options::USAGE);
        return Ok(());
    };
    let programs = match &options.programs {
        Some(programs) => programs.clone(),
        None => build(root)?,
    };
    if options.wants("mailbox") {
        return mailbox::run(root, &options, &programs);
    }
    theirs::install()?;
    let folder = Folder::make(options.folder.as_deref())?;
    let load = Load::new(programs.join("postroad-load"));
    crate::say(&format!("== the servers start in {}", folder.path().display()));
    let names = options.wants("verify").then(|| names::start(&folder)).transpose()?;
    let mut rivals = [
        theirs::start(&folder, options.accounts())?,
        ours::start(&folder, &programs.join("postroad"), options.accounts(), names.as_ref())?,
    ];
    std::thread::sleep(SETTLE);

    let mut results = Results::begin(root, &options, &folder, &load, &rivals)?;
    race(&options, &load, &mut rivals, &mut results)?;
    drop(folder);

    let text = table::text(&results);
    crate::say(&text);
    if options.keep {
        let file = results.write(&root.join("benchmarks"))?;
        table::put_into_readme(&root.join("benchmarks"), &text, &file)?;
        crate::say(&format!("written to benchmarks/{file} and benchmarks/README.md"));
    }
    Ok(())
}

/// All rounds, or as many as fit the time.
fn race(options: &Options, load: &Load, rivals: &mut [Rival], results: &mut Results) -> Result<()> {
    let began = Instant::now();
    let cases = cases::all(options);
    if cases.iter().any(|case| matches!(case, Case::Fetch { .. } | Case::Retr { .. })) {
        for rival in &*rivals {
            crate::say(&format!("== {} gets the mail that will be read", rival.name));
            cases::fill_readers(load, rival)?;
        }
    }
    let mut longest = Duration::ZERO;
    'rounds: for round in 1..=options.rounds {
        let round_began = Instant::now();
        if round > 1 && began.elapsed() + longest > options.at_most {
            crate::say(&format!("== no time for round {round} of {} within {:?}", options.rounds, options.at_most));
            break;
        }
        for case in &cases {
            if began.elapsed() > options.at_most {
                results.failures.push(format!("round {round} was cut short before {}: no time", case.name()));
                break 'rounds;
            }
            let skipped = |rival: &Rival| matches!(case, Case::Verify { .. }) && rival.verifies.is_none();
            for rival in rivals.iter_mut().filter(|rival| !skipped(rival)) {
                let name = rival.name;
                let mut trouble = |what: String| {
                    let what = format!("round {round}, {} on {name}: {what}", case.name());
                    crate::complain(&what);
                    results.failures.push(what);
                };
                match cases::measure(case, round, options, load, rival) {
                    Ok(measured) => {
                        let line = measured.line();
                        crate::say(&format!("round {round}  {:<20} {:<18} {line}", case.name(), name));
                        measured.trouble().into_iter().for_each(&mut trouble);
                        results.measured.push(measured);
                    }
                    // One case that fails must not cost all others; the table shows the gap.
                    Err(error) => trouble(format!("{error:#}")),
                }
            }
        }
        longest = longest.max(round_began.elapsed());
    }
    results.seconds = began.elapsed().as_secs_f64();
    Ok(())
}

/// Builds the server and the generator; where the programs are.
fn build(root: &Path) -> Result<std::path::PathBuf> {
    crate::say("== building the release");
    crate::cargo(root, &["build", "--release", "--quiet", "-p", "postroad-server", "-p", "postroad-load"])?;
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root.join(folder),
        None => root.join("target"),
    };
    target.join("release").canonicalize().context("the built programs are not where they should be")
}
