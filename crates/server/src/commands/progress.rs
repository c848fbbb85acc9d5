//! How far backups and restores are: a line on standard error, rewritten in place on a terminal, else now and then.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postroad_archive::backup::{Progress, Tell};

use super::carry::{counted, size};
use crate::print;

/// Shows what it is told.
#[derive(Clone)]
pub(super) struct Shown(Arc<Mutex<Last>>);

struct Last {
    shown: Instant,
    drawn: bool,
    terminal: bool,
}

impl Shown {
    pub(super) fn new() -> Shown {
        let terminal = std::io::stderr().is_terminal();
        Shown(Arc::new(Mutex::new(Last { shown: Instant::now(), drawn: false, terminal })))
    }

    /// For work in this process.
    pub(super) fn tell(&self) -> Tell {
        let own = self.clone();
        Arc::new(move |at: Progress| own.show(at.stage, at.done, at.total, at.bytes))
    }

    pub(super) fn show(&self, stage: &str, done: u64, total: u64, bytes: u64) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let every = if last.terminal { EVERY_ON_TERMINAL } else { EVERY };
        if last.shown.elapsed() < every {
            return;
        }
        last.shown = Instant::now();
        let mut text = format!("{stage}: {}", counted(done));
        if total > 0 {
            text += &format!(" of {}", counted(total));
        }
        if bytes > 0 {
            text += &format!(", {}", size(bytes));
        }
        if last.terminal {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{text}");
            last.drawn = true;
        } else {
            print::complaint(&text);
        }
    }

    /// The line is free for what is said next.
    pub(super) fn clear(&self) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut last.drawn) {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

const EVERY_ON_TERMINAL: Duration = Duration::from_millis(200);
const EVERY: Duration = Duration::from_secs(10);
