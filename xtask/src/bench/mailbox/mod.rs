//! `cargo xtask bench --only mailbox`: the same mailboxes in Postroad and in Dovecot, command by command in turn.
//!
//! Each size is an account whose INBOX holds that many letters; all servers get the same ones in the same order, over IMAP.
//! Then every case runs on each server in turn, round after round, so that whatever else the machine does burdens all of
//! them alike; what is written down is the time that a client waits and the CPU that the server's processes took.

mod cases;
mod loads;
mod results;
mod servers;
mod table;
mod timed;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use self::cases::{CASES, Case, fitted};
use self::results::{Filled, Results, Size, Timing};
use self::timed::Timed;
use super::folder::Folder;
use super::load::Load;
use super::machine::{Machine, first_line};
use super::options::Options;
use super::results::{Server, commit};
use super::rival::Rival;

pub(super) fn run(root: &Path, options: &Options, programs: &Path) -> Result<()> {
    super::theirs::install_dovecot()?;
    let began = Instant::now();
    let folder = Folder::make(options.folder.as_deref())?;
    let load = Load::new(programs.join("postroad-load"));
    crate::say(&format!("== the servers start in {}", folder.path().display()));
    let accounts = u32::try_from(options.messages.len()).unwrap_or(1).max(loads::ACCOUNTS);
    let mut rivals = servers::all(options, &folder, &programs.join("postroad"), accounts)?;
    let mut results = begin(root, options, &folder, &load, &rivals)?;

    let only = |case: &Case| options.cases.is_empty() || options.cases.iter().any(|part| case.name.contains(part));
    let wanted: Vec<&Case> = CASES.iter().filter(|case| only(case)).collect();
    for (account, size) in (1..).zip(options.messages.iter().copied().map(Size)) {
        race(options, programs, (account, size), &wanted, &mut rivals, &mut results)?;
    }
    loads::measure(options, &load, &mut rivals, &mut results);
    drop(folder);

    results.seconds = began.elapsed().as_secs_f64();
    let text = table::text(&results);
    crate::say(&text);
    if options.keep {
        let file = super::results::write_raw(&root.join("benchmarks"), &results.date, &results.name, &results)?;
        table::put_into_readme(&root.join("benchmarks"), &text, &file)?;
        crate::say(&format!("written to benchmarks/{file} and benchmarks/README.md"));
    }
    Ok(())
}

fn begin(root: &Path, options: &Options, folder: &Folder, load: &Load, rivals: &[Rival]) -> Result<Results> {
    let floor = ["floor", "--folder", &folder.path().display().to_string()].map(str::to_string);
    let commit = commit(root);
    Ok(Results {
        date: first_line("date", &["-u", "+%F"]).context("what day is it?")?,
        name: options.name.clone().unwrap_or_else(|| format!("mailbox-{}", commit.replace(' ', "-"))),
        commit,
        machine: Machine::look(folder.path()),
        floor: load.report(&floor)?,
        servers: rivals.iter().map(Server::of).collect(),
        message_octets: options.letter,
        filled: Vec::new(),
        timed: Vec::new(),
        idle: Vec::new(),
        active: Vec::new(),
        failures: Vec::new(),
        seconds: 0.0,
    })
}

/// One size: fills it everywhere, then all cases, all rounds.
fn race(
    options: &Options,
    programs: &Path,
    (account, size): (u32, Size),
    cases: &[&Case],
    rivals: &mut [Rival],
    results: &mut Results,
) -> Result<()> {
    let smallest = options.messages.iter().min().is_none_or(|least| *least == size.0);
    let mut hands = Vec::new();
    for rival in &*rivals {
        let mut timed = Timed::start(&programs.join("postroad-load"), rival, account, options.letter)?;
        timed.order("connect")?;
        let report = timed.order(&format!("append 1 {} fill INBOX", size.0))?;
        crate::say(&format!("{:<22} has {} messages after {:.0} s", rival.name, size.0, report.ms / 1e3));
        results.filled.push(Filled { server: rival.name, size, seconds: report.ms / 1e3 });
        timed.order("run SELECT INBOX")?;
        hands.push(timed);
    }
    // What the last one left to be written must not burden the first case.
    drop(std::process::Command::new("sync").status());
    for round in 1..=options.rounds {
        for case in cases.iter().filter(|case| smallest || !case.small_only) {
            let times = if case.times == 0 { u32::from(round == 1) } else { case.times };
            for _ in 0..times {
                for (rival, timed) in rivals.iter_mut().zip(&mut hands) {
                    match one(case, size, round, rival, timed) {
                        Ok(timing) => results.timed.extend(timing),
                        Err(error) => {
                            let what = format!("{} of {} on {}: {error:#}", case.name, size.0, rival.name);
                            crate::complain(&what);
                            results.failures.push(what);
                            // Whatever it left is undone as far as can be.
                            drop(timed.order("connect"));
                            for order in case.after.iter().chain(&["run SELECT INBOX"]) {
                                drop(timed.order(&fitted(order, size)));
                            }
                        }
                    }
                }
            }
            crate::say(&table::line(results, case, size));
        }
    }
    Ok(())
}

/// One case on one server; nothing where the server lacks what it needs.
fn one(case: &Case, size: Size, round: u32, rival: &mut Rival, timed: &mut Timed) -> Result<Option<Timing>> {
    if let Some(capability) = case.needs
        && !timed.has(capability)?
    {
        return Ok(None);
    }
    for order in case.before {
        match *order {
            "restart" => {
                timed.order("leave")?;
                rival.restart()?;
            }
            order => drop(timed.order(&fitted(order, size))?),
        }
    }
    let before = rival.cpu_seconds()?;
    let report = timed.order(&fitted(case.order, size))?;
    let cpu_ms = (rival.cpu_seconds()? - before) * 1e3;
    for order in case.after {
        timed.order(&fitted(order, size))?;
    }
    let timing =
        Timing { case: case.name, size, server: rival.name, round, ms: report.ms, cpu_ms, octets: report.octets };
    Ok(Some(timing))
}
