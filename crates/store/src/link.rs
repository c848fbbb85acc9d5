//! A thread's connection: opened when first needed, given up when broken, opened again with growing pauses.
//!
//! Invariant: a transaction is begun on a new connection only if nothing ran on the lost one, so that no job
//! runs twice.

use crate::tx::Connection;
use crate::{Error, Result, WriteTx};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How a connection is made, again and again.
pub(crate) type Open = Box<dyn Fn() -> Result<WriteTx> + Send>;

/// Counts how often a connection came back, for all links of a store: when one finds the database again, the
/// others look at once.
pub(crate) type Returns = Arc<AtomicU64>;

/// One thread's connection, or the lack of one.
pub(crate) struct Link {
    open: Open,
    returns: Returns,
    current: Option<WriteTx>,
    /// How long a job may wait for the connection to come back.
    patience: Duration,
    trouble: Option<Trouble>,
}

struct Trouble {
    error: Error,
    last_try: Instant,
    pause: Duration,
    returns: u64,
}

impl Link {
    pub(crate) fn new(open: Open, returns: &Returns, patience: Duration) -> Link {
        Link { open, returns: Arc::clone(returns), current: None, patience, trouble: None }
    }

    /// Opens a look, as [`Link::begin`] does.
    pub(crate) fn begin_read(&mut self) -> Result<&mut WriteTx> {
        self.begin_by(&|tx| tx.begin_read())
    }

    /// Opens a transaction with `begin`. While the database is away the first job waits up to the patience, the
    /// following ones fail at once until it is time for another try.
    pub(crate) fn begin(&mut self, begin: &str) -> Result<&mut WriteTx> {
        self.begin_by(&|tx| tx.command(begin))
    }

    fn begin_by(&mut self, begin: &dyn Fn(&WriteTx) -> Result<()>) -> Result<&mut WriteTx> {
        if let Some(trouble) = &self.trouble
            && trouble.last_try.elapsed() < trouble.pause
            && trouble.returns == self.returns.load(Ordering::Relaxed)
        {
            return Err(trouble.error.clone());
        }
        let patience = if self.trouble.is_some() { Duration::ZERO } else { self.patience };
        let start = Instant::now();
        let mut nap = NAP_FIRST;
        loop {
            let error = match self.try_begin(begin) {
                Ok(()) => break,
                Err(error) => error,
            };
            let hopeful = matches!(error, Error::Unavailable(_)) && start.elapsed() + nap < patience;
            if !hopeful {
                return Err(self.failed(error));
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(NAP_MAX);
        }
        if self.trouble.take().is_some() {
            self.returns.fetch_add(1, Ordering::Relaxed);
            tracing::info!("the database answers again");
        }
        match &mut self.current {
            Some(tx) => Ok(tx),
            None => Err(Error::Bug("a transaction without a connection".into())),
        }
    }

    /// Gives the connection up; the next job gets a new one.
    pub(crate) fn drop_connection(&mut self) {
        self.current = None;
    }

    /// The connection, if there is one.
    pub(crate) fn connection(&self) -> Option<&WriteTx> {
        self.current.as_ref()
    }

    fn try_begin(&mut self, begin: &dyn Fn(&WriteTx) -> Result<()>) -> Result<()> {
        if let Some(tx) = &mut self.current {
            tx.reset();
            match begin(tx) {
                Ok(()) => return Ok(()),
                // Another process writes, or a lock was not granted: the connection is good. What of the transaction
                // was begun is ended.
                Err(error @ (Error::Busy(_) | Error::Temporary(_))) => {
                    let ended = match tx.connection() {
                        Connection::Sqlite(_) => Ok(()),
                        Connection::Postgres(_) => tx.command("ROLLBACK"),
                    };
                    if ended.is_err() {
                        self.current = None;
                    }
                    return Err(error);
                }
                // It idled while the database was away. Nothing ran on it yet: a new one does as well.
                Err(_) => self.current = None,
            }
        }
        let mut tx = (self.open)()?;
        tx.reset();
        begin(&tx)?;
        self.current = Some(tx);
        Ok(())
    }

    fn failed(&mut self, error: Error) -> Error {
        if matches!(error, Error::Busy(_) | Error::Temporary(_)) {
            return error;
        }
        let returns = self.returns.load(Ordering::Relaxed);
        let pause = match &self.trouble {
            None => {
                tracing::error!(%error, next_step = error.next_step(), "the database cannot be used");
                PAUSE_FIRST
            }
            Some(trouble) => (trouble.pause * 2).min(PAUSE_MAX),
        };
        self.trouble = Some(Trouble { error: error.clone(), last_try: Instant::now(), pause, returns });
        error
    }
}

const NAP_FIRST: Duration = Duration::from_millis(20);
const NAP_MAX: Duration = Duration::from_millis(250);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(500);
