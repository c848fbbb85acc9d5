//! The machine that the figures belong to.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) processor: String,
    pub(super) memory_gib: f64,
    pub(super) kernel: String,
    pub(super) system: String,
    /// Of the folder in which the servers keep their mail.
    pub(super) file_system: String,
    /// The load when the run began: a busy machine gives no figures.
    pub(super) load_average: String,
}

impl Machine {
    pub(super) fn look(folder: &Path) -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str, separator: char| {
            text.lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line.split_once(separator))
                .map(|(_, value)| value.trim().trim_matches('"').to_string())
                .unwrap_or_else(|| "unknown".into())
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal", ':');
        let kib: f64 = memory.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0);
        Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: after(&read("/proc/cpuinfo"), "model name", ':'),
            memory_gib: kib / 1024.0 / 1024.0,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_string(),
            system: after(&read("/etc/os-release"), "PRETTY_NAME", '='),
            file_system: file_system(folder),
            load_average: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        }
    }

    /// Whether a sync means anything here.
    pub(super) fn is_durable(&self) -> bool {
        !self.file_system.starts_with("tmpfs")
    }
}

/// An ext4 without a journal syncs faster and makes files more slowly than others: it must be said.
fn without_journal(kind: &str, source: &str) -> &'static str {
    let device = source.rsplit('/').next().unwrap_or_default();
    let journals = std::fs::read_dir("/proc/fs/jbd2").into_iter().flatten().flatten();
    let mut names = journals.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let has_one = names.any(|name| name.starts_with(&format!("{device}-")));
    if kind == "ext4" && !has_one { " without a journal" } else { "" }
}

/// The type of the mount with the longest matching path.
fn file_system(folder: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut best = (0, "unknown".to_string());
    for line in mounts.lines() {
        // proc(5): id, parent, device, root, mount point, options, …, "-", type, source, options of the file system.
        let Some((mount, rest)) = line.split_once(" - ") else { continue };
        let Some(point) = mount.split(' ').nth(4) else { continue };
        let mut words = rest.split(' ');
        let (kind, source) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if folder.starts_with(point) && point.len() >= best.0 {
            best = (point.len(), format!("{kind}{}", without_journal(kind, source)));
        }
    }
    best.1
}

/// Octets written and flushes done by the disk below this folder since the machine started.
pub(super) fn disk_counters(folder: &Path) -> Option<(f64, f64)> {
    let device = std::fs::metadata(folder).ok()?.dev();
    // makedev(3), as glibc and the kernel encode it for user space.
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000);
    let minor = (device & 0xff) | ((device >> 12) & 0xffff_ff00);
    let stats = std::fs::read_to_string("/proc/diskstats").ok()?;
    let fields: Vec<&str> = stats.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|fields| {
        fields.first() == Some(&major.to_string().as_str()) && fields.get(1) == Some(&minor.to_string().as_str())
    })?;
    // The kernel's iostats: field 10 counts sectors of 512 octets written, field 19 flushes.
    let sectors: f64 = fields.get(9)?.parse().ok()?;
    let flushes: f64 = fields.get(18)?.parse().ok()?;
    Some((sectors * 512.0, flushes))
}

/// The first line that a program prints, or nothing.
pub(super) fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_string())
}
