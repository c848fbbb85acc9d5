//! Looks that run on the thread that asks for them.
//!
//! To hand a job to a thread and its answer back costs two wake-ups, some thirty microseconds of CPU; a look at a mailbox's row
//! costs five. So what touches few rows of a local database runs where it is asked for, in a transaction of its own as everywhere.
//!
//! Invariants:
//! 1. There are fewer connections here than processors: of an asynchronous runtime with a thread for each, one at least
//!    is never inside the database.
//! 2. Nobody waits for a connection here: who finds all of them taken stands in the queue of the readers.
//!
//! What it never does: reach beyond this machine. A database or an object store that is asked over a network is asked by
//! the store's own threads.

use crate::job::in_job;
use crate::link::{Link, Open, Returns};
use crate::serve::{self, ReadJob};
use std::panic::Location;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

/// The connections.
#[derive(Default)]
pub(crate) struct Quick {
    /// Nothing in one of them once the store is closed.
    links: Vec<Mutex<Option<Link>>>,
    budget: Duration,
}

impl Quick {
    /// As many as there may be on this machine; each opens when it is first needed.
    pub(crate) fn new(open: impl Fn() -> Open, returns: &Returns, budget: Duration) -> Quick {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let link = |_| Mutex::new(Some(Link::new(open(), returns, Duration::ZERO)));
        Quick { links: (1..processors.min(CONNECTIONS_MAX + 1)).map(link).collect(), budget }
    }

    /// Runs and answers a job; gives it back where no connection is free.
    pub(crate) fn read(&self, job: Box<ReadJob>, name: &'static Location<'static>) -> Option<Box<ReadJob>> {
        let mut free = self.links.iter().find_map(|link| match link.try_lock() {
            Ok(link) => Some(link),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        match free.as_mut().and_then(|link| link.as_mut()) {
            Some(link) => {
                serve::read_one(link, job, name, self.budget);
                None
            }
            None => Some(job),
        }
    }

    /// Waits for the jobs that run and closes the connections. The one of a job that closes the store stays until it ends.
    pub(crate) fn close(&self) {
        for link in &self.links {
            let taken = match in_job() {
                true => link.try_lock().ok(),
                false => Some(link.lock().unwrap_or_else(PoisonError::into_inner)),
            };
            drop(taken.and_then(|mut link| link.take()));
        }
    }
}

/// More of them would not be asked at once.
const CONNECTIONS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Answer, Work};
    use crate::sqlite::Sqlite;
    use crate::tx::Connection;
    use crate::{Error, ReadTx, Settings, WriteTx};
    use std::sync::Arc;
    use tokio::sync::oneshot::Receiver;

    fn quick(connections: usize) -> Quick {
        let blobs = Arc::new(crate::blob::Blobs::open(&Settings::memory()).expect("a place for blobs"));
        let link = |_| {
            let blobs = Arc::clone(&blobs);
            let open: Open =
                Box::new(move || Ok(WriteTx::new(Connection::Sqlite(Sqlite::open_memory()?), Arc::clone(&blobs))));
            Mutex::new(Some(Link::new(open, &Returns::default(), Duration::ZERO)))
        };
        Quick { links: (0..connections).map(link).collect(), budget: Duration::MAX }
    }

    #[expect(clippy::type_complexity, reason = "said once")]
    fn work(
        closure: impl FnOnce(&mut ReadTx, &mut i64) -> Result<i64, Error> + Send + 'static,
    ) -> (Box<ReadJob>, Receiver<Answer<i64, i64, (), Error>>) {
        let (work, answer) = Work::new(7, closure);
        (Box::new(work), answer)
    }

    #[test]
    fn a_look_is_answered_at_once_or_given_back() {
        let here = Location::caller();
        let quick = Arc::new(quick(1));
        let (job, mut answer) = work(|tx, seven| tx.one("SELECT $1 + 1", &[(*seven).into()], |row| row.int(0)));
        assert!(quick.read(job, here).is_none());
        assert_eq!(answer.try_recv(), Ok((Some(7), Ok((8, ())))));
        // While one runs there is none for another.
        let other = Arc::clone(&quick);
        let (outer, mut answer) = work(move |_, _| {
            let (inner, _) = work(|_, _| Ok(1));
            Ok(i64::from(other.read(inner, here).is_some()))
        });
        assert!(quick.read(outer, here).is_none());
        assert_eq!(answer.try_recv(), Ok((Some(7), Ok((1, ())))));
    }

    #[test]
    fn after_a_panic_and_a_failure_it_goes_on_and_after_the_end_it_does_not() {
        let here = Location::caller();
        let quick = Arc::new(quick(1));
        let (job, mut answer) = work(|_, _| panic!("on purpose"));
        assert!(quick.read(job, here).is_none());
        assert!(matches!(answer.try_recv(), Ok((None, Err(Error::Panicked(_))))));
        let (job, mut answer) = work(|tx, _| tx.one("SELECT nonsense", &[], |row| row.int(0)));
        assert!(quick.read(job, here).is_none());
        assert!(matches!(answer.try_recv(), Ok((Some(7), Err(_)))));
        // Who closes the store from within a job does not wait for itself.
        let other = Arc::clone(&quick);
        let (job, mut answer) = work(move |tx, _| {
            other.close();
            tx.one("SELECT 5", &[], |row| row.int(0))
        });
        assert!(quick.read(job, here).is_none());
        assert_eq!(answer.try_recv(), Ok((Some(7), Ok((5, ())))));
        quick.close();
        assert!(quick.read(work(|_, _| Ok(1)).0, here).is_some());
    }
}
