//! The results of a run: what is written raw, and medians over the rounds.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::cases::{Case, Measured};
use super::folder::Folder;
use super::load::Load;
use super::machine::{Machine, first_line};
use super::options::Options;
use super::rival::Rival;

#[derive(Debug, Serialize)]
pub(super) struct Results {
    pub(super) date: String,
    pub(super) name: String,
    pub(super) commit: String,
    pub(super) rounds: u32,
    pub(super) seconds_per_case: f64,
    /// What the whole run took.
    pub(super) seconds: f64,
    pub(super) machine: Machine,
    /// The machine's own floor, from the generator.
    pub(super) floor: Value,
    pub(super) servers: Vec<Server>,
    pub(super) measured: Vec<Measured>,
    pub(super) failures: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) versions: Vec<String>,
    pub(super) settings: Vec<String>,
    /// How its CPU and memory were counted.
    pub(super) counted_by: &'static str,
}

/// The median over the rounds and what it lies between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Nothing for no values.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) };
        Some(Spread { median, least, most })
    }
}

impl Results {
    pub(super) fn begin(
        root: &Path,
        options: &Options,
        folder: &Folder,
        load: &Load,
        rivals: &[Rival],
    ) -> Result<Results> {
        let machine = Machine::look(folder.path());
        if !machine.is_durable() {
            crate::complain(
                "warning: the folder lies in memory, where a sync costs nothing; name a disk with --folder",
            );
        }
        let commit = commit(root);
        let name = options.name.clone().unwrap_or_else(|| commit.replace(' ', "-"));
        let floor = ["floor", "--folder", &folder.path().display().to_string()].map(str::to_string);
        Ok(Results {
            date: first_line("date", &["-u", "+%F"]).context("what day is it?")?,
            name,
            commit,
            rounds: options.rounds,
            seconds_per_case: options.seconds,
            seconds: 0.0,
            machine,
            floor: load.report(&floor)?,
            servers: rivals.iter().map(Server::of).collect(),
            measured: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// Writes the raw results; the file's name.
    pub(super) fn write(&self, folder: &Path) -> Result<String> {
        write_raw(folder, &self.date, &self.name, self)
    }

    /// All cases that were measured, in order.
    pub(super) fn cases(&self) -> Vec<Case> {
        let mut cases: Vec<Case> = Vec::new();
        for measured in &self.measured {
            if !cases.contains(&measured.case) {
                cases.push(measured.case.clone());
            }
        }
        cases
    }

    /// A figure of a case on a server over all rounds.
    pub(super) fn spread(
        &self,
        case: &Case,
        server: &str,
        figure: impl Fn(&Measured) -> Option<f64>,
    ) -> Option<Spread> {
        let these = self.measured.iter().filter(|one| one.case == *case && one.server == server);
        Spread::of(these.filter_map(figure).filter(|value| value.is_finite()).collect())
    }
}

impl Server {
    pub(super) fn of(rival: &Rival) -> Server {
        Server {
            name: rival.name,
            versions: rival.versions.clone(),
            settings: rival.settings.clone(),
            counted_by: rival.processes.how(),
        }
    }
}

/// The commit that is measured, and whether the tree has changes beside it.
pub(super) fn commit(root: &Path) -> String {
    let git = |arguments: &[&str]| {
        let mut all = vec!["-C", root.to_str().unwrap_or(".")];
        all.extend(arguments);
        first_line("git", &all)
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|line| !line.is_empty());
    if changed { format!("{commit} with changes") } else { commit }
}

/// Writes raw results as JSON; the file's name.
pub(super) fn write_raw(folder: &Path, date: &str, name: &str, results: &impl Serialize) -> Result<String> {
    std::fs::create_dir_all(folder)?;
    let name: String = name.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).collect();
    let file = format!("{date}-{name}.json");
    let mut text = serde_json::to_string_pretty(results)?;
    text.push('\n');
    std::fs::write(folder.join(&file), text).with_context(|| format!("{file} cannot be written"))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let check = |values: &[f64], expect: Option<(f64, f64, f64)>| {
            let spread = Spread::of(values.to_vec()).map(|spread| (spread.median, spread.least, spread.most));
            assert_eq!(spread, expect, "{values:?}");
        };
        check(&[], None);
        check(&[2.0], Some((2.0, 2.0, 2.0)));
        check(&[3.0, 1.0, 2.0], Some((2.0, 1.0, 3.0)));
        check(&[4.0, 1.0, 2.0, 3.0], Some((2.5, 1.0, 4.0)));
    }
}
