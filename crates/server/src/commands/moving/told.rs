//! How far it is, and what came of it, in words and in JSON.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use postroad_remote::Place;
use postroad_remote::migrate::{FolderReport, Progress, Report, Watch};
use serde_json::json;

use crate::commands::carry::{counted, rate, size};
use crate::print;

/// A line that says how far it is: rewritten in place on a terminal, else now and then a new one.
pub(super) struct Shown {
    whose: Option<String>,
    begun: Instant,
    /// When messages began to come.
    coming: Option<Instant>,
    shown: Instant,
    every: Duration,
    terminal: bool,
    drawn: bool,
}

impl Shown {
    pub(super) fn new(whose: Option<String>, seconds: u64) -> Shown {
        let now = Instant::now();
        // Several at once do not share a line.
        let terminal = std::io::stderr().is_terminal() && whose.is_none();
        let every = if terminal { EVERY_ON_TERMINAL } else { Duration::from_secs(seconds) };
        Shown { whose, begun: now, coming: None, shown: now, every, terminal, drawn: false }
    }

    pub(super) fn end(&mut self) -> Duration {
        self.clear();
        self.begun.elapsed()
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

impl Watch for Shown {
    fn progress(&mut self, at: Progress) {
        let coming = *self.coming.get_or_insert_with(Instant::now);
        if self.shown.elapsed() < self.every {
            return;
        }
        self.shown = Instant::now();
        let took = coming.elapsed();
        let mut text = String::new();
        if at.of > 0 {
            let done = at.messages.min(at.of);
            if self.terminal {
                let full = usize::try_from(done * BAR as u64 / at.of).unwrap_or(BAR).min(BAR);
                text += &format!("[{}{}] ", "#".repeat(full), ".".repeat(BAR - full));
            }
            text += &format!("{} of {} messages", counted(done), counted(at.of));
        } else {
            text += &format!("{} messages", counted(at.messages));
        }
        text += &format!(", {}{}", size(at.octets), rate(at.messages, took));
        if at.messages > 0 && at.of > at.messages {
            let left = took.mul_f64((at.of - at.messages) as f64 / at.messages as f64).as_secs();
            text += &format!(", {}:{:02} left", left / 60, left % 60);
        }
        match (&self.whose, self.terminal) {
            (_, true) => {
                let _ = write!(std::io::stderr().lock(), "\r\x1b[K{text}");
                self.drawn = true;
            }
            (Some(whose), false) => print::complaint(&format!("{whose}: {text}")),
            (None, false) => print::complaint(&text),
        }
    }

    fn say(&mut self, words: &str) {
        self.clear();
        match &self.whose {
            Some(whose) => print::complaint(&format!("{whose}: {words}")),
            None => print::complaint(words),
        }
    }
}

pub(super) fn json(address: &str, place: &Place, report: &Report) -> serde_json::Value {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.insert("address".into(), json!(address));
        map.insert("other".into(), json!(place.to_string()));
        map.insert("proved".into(), json!(report.is_proved()));
    }
    value
}

pub(super) fn text(address: &str, place: &Place, report: &Report, took: Duration) {
    say(report, "here", &format!("{place} to {address}"), took);
}

pub(super) fn text_outwards(address: &str, place: &Place, report: &Report, took: Duration) {
    say(report, "there", &format!("{address} to {place}"), took);
}

fn say(report: &Report, arrived: &str, what: &str, took: Duration) {
    let width = report.folders.iter().map(|folder| folder.folder.chars().count()).max().unwrap_or(0).clamp(6, 40);
    let source = if arrived == "here" { "there" } else { "here" };
    print::line(&format!("{:width$}  {source:>9} {:>9} {:>9} {arrived:>9}     equal  ", "", "taken", "flags"));
    for folder in &report.folders {
        let FolderReport { folder: name, mailbox, there, taken, flags, here, equal, .. } = folder;
        let goes = if name == mailbox { String::new() } else { format!("  -> {mailbox}") };
        print::line(&format!(
            "{name:width$}  {:>9} {:>9} {:>9} {:>9} {:>9}{goes}",
            counted(*there),
            counted(*taken),
            counted(*flags),
            counted(*here),
            counted(*equal)
        ));
    }
    for folder in &report.folders {
        for (count, why) in [
            (folder.entries, "came with another folder and have one more entry"),
            (folder.gone, "gone at the source"),
            (folder.moved, "moved to another mailbox by their owner since"),
            (folder.removed, "removed by their owner since"),
        ] {
            if count > 0 {
                print::line(&format!("{}: {} {why}", folder.folder, counted(count)));
            }
        }
        for difference in folder.differences.iter().take(DIFFERENCES_SHOWN) {
            let id = difference.message_id.as_deref().map(|id| format!(" <{id}>")).unwrap_or_default();
            print::complaint(&format!("{} uid {}{id}: {}", folder.folder, difference.uid, difference.why));
        }
        if folder.differences.len() > DIFFERENCES_SHOWN {
            print::complaint(&format!("{}: and more; --json names them", folder.folder));
        }
    }
    for (folder, why) in &report.left_out {
        print::line(&format!("{folder}: left out: {why}"));
    }
    let sum = |of: fn(&FolderReport) -> u64| report.folders.iter().map(of).sum::<u64>();
    let (taken, bytes) = (sum(|folder| folder.taken), sum(|folder| folder.bytes));
    let verb = if report.dry { "would be taken" } else { "taken" };
    print::line(&format!(
        "{what}: {} messages ({}) {verb} in {} s{}",
        counted(taken),
        size(bytes),
        took.as_secs(),
        rate(taken, took)
    ));
    if report.reconnected > 0 {
        print::line(&format!("connections made again: {}", report.reconnected));
    }
    if let Some(error) = &report.error {
        print::complaint(&format!("error: {error}"));
        print::complaint("run the same command again to go on");
    } else if report.is_proved() {
        let again = match sum(|folder| folder.fetched_again.unwrap_or(0)) {
            0 => String::new(),
            again => format!(", and {} were fetched once more from the source and are the same", counted(again)),
        };
        print::line(&format!(
            "PROVED: all {} messages arrived, each equal by BLAKE3 over its octets{again}",
            counted(sum(|folder| folder.there))
        ));
    } else if !report.dry {
        print::complaint("NOT PROVED: what is missing or different is named above");
    }
}

const BAR: usize = 24;
const DIFFERENCES_SHOWN: usize = 50;
const EVERY_ON_TERMINAL: Duration = Duration::from_millis(200);
