//! What a server uses: CPU, memory and writing of all its processes.
//!
//! Where the kernel has control groups of the second version and this process may make one, each server gets
//! its own: the group counts also what ended. Elsewhere the tree of processes below the server's first ones is
//! summed, in which the kernel adds an ended process to the parent that waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::folder::Folder;

/// The processes of one server.
#[derive(Debug)]
pub(super) struct Processes {
    group: Option<PathBuf>,
    roots: Vec<u32>,
}

/// What was used since the start of the server.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Used {
    /// User and system, of all processes, ended ones too.
    pub(super) cpu_seconds: f64,
    /// What the processes had the file system write (`write_bytes` of proc(5)), the journal not counted.
    pub(super) written_bytes: f64,
    /// What the disk below the folder wrote, for whomever; nothing when the disk is not known.
    pub(super) disk_written_bytes: Option<f64>,
    /// Cache flushes that the disk did, for whomever: what fsync comes to.
    pub(super) disk_flushes: Option<f64>,
}

impl Used {
    pub(super) fn since(self, earlier: Used) -> Used {
        let minus = |late: Option<f64>, early: Option<f64>| Some(late? - early?);
        Used {
            cpu_seconds: self.cpu_seconds - earlier.cpu_seconds,
            written_bytes: self.written_bytes - earlier.written_bytes,
            disk_written_bytes: minus(self.disk_written_bytes, earlier.disk_written_bytes),
            disk_flushes: minus(self.disk_flushes, earlier.disk_flushes),
        }
    }
}

impl Processes {
    /// Prepares to watch a server that starts next.
    pub(super) fn prepare(folder: &Folder, name: &str) -> Result<Processes> {
        let group = make_group(name);
        if let Some(group) = &group {
            let group = group.display();
            // Politely, then for sure; only what is in the group, and that only this run started.
            folder.sweep_with(&format!(
                "i=0; while [ -n \"$(cat {group}/cgroup.procs)\" ] && [ $i -lt 50 ]; do sleep 0.2; i=$((i+1)); \
                 [ $i -eq 25 ] && kill $(cat {group}/cgroup.procs); [ $i -eq 45 ] && kill -9 $(cat {group}/cgroup.procs); \
                 done; rmdir {group}"
            ))?;
        }
        Ok(Processes { group, roots: Vec::new() })
    }

    /// The file into which a process writes itself to belong to this server.
    pub(super) fn group_file(&self) -> Option<PathBuf> {
        self.group.as_ref().map(|group| group.join("cgroup.procs"))
    }

    /// Names a process whose children belong to the server too.
    pub(super) fn add_root(&mut self, process: u32) {
        self.roots.push(process);
    }

    pub(super) fn how(&self) -> &'static str {
        if self.group.is_some() { "control group" } else { "process tree" }
    }

    /// User and system, of all processes, ended ones too.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        match &self.group {
            Some(group) => {
                let stat = std::fs::read_to_string(group.join("cpu.stat"))?;
                Ok(field(&stat, "usage_usec").context("cpu.stat has no usage_usec")? / 1e6)
            }
            None => Ok(self.ids()?.iter().filter_map(|&id| process_cpu(id)).sum()),
        }
    }

    pub(super) fn used(&self, folder: &Path) -> Result<Used> {
        let ids = self.ids()?;
        let cpu_seconds = self.cpu_seconds()?;
        let written = |id: &u32| field(&std::fs::read_to_string(format!("/proc/{id}/io")).ok()?, "write_bytes:");
        let disk = super::machine::disk_counters(folder);
        Ok(Used {
            cpu_seconds,
            written_bytes: ids.iter().filter_map(written).sum(),
            disk_written_bytes: disk.map(|(written, _)| written),
            disk_flushes: disk.map(|(_, flushes)| flushes),
        })
    }

    /// Memory in octets, shared pages divided between those that share them, and the number of processes.
    pub(super) fn memory(&self) -> Result<(f64, usize)> {
        let ids = self.ids()?;
        let memory = |id: &u32| {
            field(&std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?, "Pss:").map(|kib| kib * 1024.0)
        };
        Ok((ids.iter().filter_map(memory).sum(), ids.len()))
    }

    fn ids(&self) -> Result<BTreeSet<u32>> {
        match self.group_file() {
            Some(file) => Ok(std::fs::read_to_string(file)?.lines().filter_map(|line| line.parse().ok()).collect()),
            None => tree(&self.roots),
        }
    }
}

/// Makes a control group below our own, if that is possible.
fn make_group(name: &str) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let group = Path::new(mount).join(own.trim_start_matches('/')).join(format!("bench-{name}-{}", std::process::id()));
    std::fs::create_dir(&group).ok()?;
    // Not each kernel counts CPU without the controller.
    let counts = std::fs::read_to_string(group.join("cpu.stat")).is_ok_and(|stat| stat.contains("usage_usec"));
    if !counts {
        drop(std::fs::remove_dir(&group));
        return None;
    }
    Some(group)
}

/// The processes below these, and these.
fn tree(roots: &[u32]) -> Result<BTreeSet<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some(parent) = stat_fields(id).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = BTreeSet::new();
    let mut left = roots.to_vec();
    while let Some(id) = left.pop() {
        if found.insert(id) {
            left.extend(children.get(&id).into_iter().flatten());
        }
    }
    Ok(found)
}

/// User and system time, with that of children that were waited for (fields 14 to 17 of proc(5)).
fn process_cpu(id: u32) -> Option<f64> {
    let fields = stat_fields(id)?;
    let ticks: f64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<f64>().ok()).sum();
    Some(ticks / 100.0)
}

/// The fields after the name in brackets, which may hold anything.
fn stat_fields(id: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(stat.rsplit(')').next()?.split_whitespace().map(str::to_string).collect())
}

/// The number after a word at the start of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_whole_words() {
        let text = "usage_usec 1500000\nuser_usec 7\n";
        assert_eq!(field(text, "usage_usec"), Some(1_500_000.0));
        assert_eq!(field(text, "usec"), None);
        assert_eq!(field("Pss:                 804 kB\n", "Pss:"), Some(804.0));
    }

    #[test]
    fn this_process_is_in_its_own_tree() {
        let own = std::process::id();
        assert!(tree(&[own]).expect("/proc is there").contains(&own));
        assert!(process_cpu(own).is_some());
    }
}
