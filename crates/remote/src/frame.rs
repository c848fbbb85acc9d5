//! What runs in both directions have: a connection that is made again when it breaks, and a report.

use std::time::Duration;

use crate::connection::Connection;
use crate::desk::Desk;
use crate::migrate::{Progress, Report, Watch};
use crate::{Access, Error, Result};

/// A run.
pub(crate) struct Frame<'a, W> {
    pub(crate) access: &'a Access,
    pub(crate) desk: &'a Desk,
    pub(crate) watch: &'a mut W,
    pub(crate) report: Report,
    pub(crate) progress: Progress,
    pub(crate) line: Option<Connection>,
    /// Connections in a row that may get nowhere.
    tries: u32,
    /// The wait after the first of them.
    pause: Duration,
    failed: u32,
}

impl<'a, W: Watch> Frame<'a, W> {
    pub(crate) fn new(
        access: &'a Access,
        desk: &'a Desk,
        watch: &'a mut W,
        (tries, pause): (u32, Duration),
    ) -> Frame<'a, W> {
        let (report, progress) = (Report::default(), Progress::default());
        Frame { access, desk, watch, report, progress, line: None, tries, pause, failed: 0 }
    }

    /// The connection, made when there is none.
    pub(crate) async fn open(&mut self) -> Result<&mut Connection> {
        if self.line.is_none() {
            self.line = Some(self.access.open().await?);
        }
        self.line.as_mut().ok_or_else(unexpected)
    }

    /// It got somewhere: failures are counted anew.
    pub(crate) fn went_on(&mut self) {
        self.failed = 0;
    }

    /// Waits after an error that may pass; gives back one that does not, or too many.
    pub(crate) async fn again(&mut self, error: Error) -> Result<()> {
        if let Some(line) = self.line.take() {
            self.report.octets += line.octets;
        }
        if !error.is_passing() || self.failed >= self.tries {
            return Err(error);
        }
        let doubled = self.pause.saturating_mul(1 << self.failed.min(10)).min(PAUSE_MAX);
        let pause = match &error {
            Error::Busy(_) => doubled.saturating_mul(BUSY_FACTOR).min(BUSY_MAX),
            Error::Network(_) | Error::User(_) | Error::Refused(_) | Error::Peer(_) | Error::Here(_) => doubled,
        };
        self.failed += 1;
        self.report.reconnected += 1;
        self.watch.say(&format!("{error}; going on in {} s", pause.as_secs_f32().ceil()));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// The report, when it is over.
    pub(crate) async fn finish(mut self, outcome: Result<()>) -> Report {
        if let Some(line) = self.line.take() {
            self.report.octets += line.octets;
            line.logout().await;
        }
        self.watch.progress(self.progress);
        self.report.complete = outcome.is_ok();
        self.report.error = outcome.err().map(|error| error.to_string());
        self.report
    }
}

/// The store's side said what does not fit.
pub(crate) fn unexpected() -> Error {
    Error::Here("an answer that does not fit; is the server the same version?".into())
}

/// The longest wait for a new connection.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// A server that asks to wait is given so many times more.
const BUSY_FACTOR: u32 = 30;
const BUSY_MAX: Duration = Duration::from_secs(1_800);
