//! tmp
use crate::{Error, Hub, Locks, Migration, ReadTx, Result, Settings, Swept, Timestamp, Upload, WriteTx};
use std::time::Duration;

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {}

/// Proof that a COMMIT succeeded. Only this crate makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    _private: (),
}

/// What a committed write gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<R> {
    /// What the closure answered.
    pub value: R,
    /// Proof that it is stored.
    pub receipt: Receipt,
}

/// What the database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `SQLite`, `PostgreSQL` or `memory`.
    pub database: &'static str,
    /// Its version.
    pub version: String,
    /// The file, or host and database; without passwords.
    pub place: String,
    /// Where large blobs are.
    pub blobs: String,
    /// Whether it can be written now.
    pub writable: bool,
}

#[allow(unused)]
impl Store {
    /// Opens the database and starts the threads. Blocks.
    pub fn open(settings: Settings) -> Result<Store> {
        unimplemented!()
    }
    /// Brings the tables up to date: all owners' lists together, in order. Blocks; can run again; a second node waits.
    pub fn migrate(&self, migrations: &[Migration]) -> Result<()> {
        unimplemented!()
    }
    /// Runs `f` on a snapshot.
    pub async fn read<R, E, F>(&self, f: F) -> Result<R, E>
    where
        F: FnOnce(&ReadTx) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        unimplemented!()
    }
    /// Runs `f` in a transaction: `Ok` commits, `Err` undoes. Goes on to its end when the future is dropped.
    pub async fn write<R, E, F>(&self, locks: Locks, f: F) -> Result<Stored<R>, E>
    where
        F: FnOnce(&mut WriteTx) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        unimplemented!()
    }
    /// Like [`Store::read`]; `state` travels and comes back, unless `f` panicked.
    pub async fn read_with<S, R, E, F>(&self, state: S, f: F) -> (Option<S>, Result<R, E>)
    where
        F: FnOnce(&ReadTx, &mut S) -> Result<R, E> + Send + 'static,
        S: Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        unimplemented!()
    }
    /// Like [`Store::write`]; `state` travels and comes back, unless `f` panicked. It keeps what `f` did to it
    /// also when the transaction was undone.
    pub async fn write_with<S, R, E, F>(&self, locks: Locks, state: S, f: F) -> (Option<S>, Result<Stored<R>, E>)
    where
        F: FnOnce(&mut WriteTx, &mut S) -> Result<R, E> + Send + 'static,
        S: Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        unimplemented!()
    }
    /// [`Store::read`] for the command line and tests.
    pub fn read_blocking<R, E, F>(&self, f: F) -> Result<R, E>
    where
        F: FnOnce(&ReadTx) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        unimplemented!()
    }
    /// [`Store::write`] for the command line and tests.
    pub fn write_blocking<R, E, F>(&self, locks: Locks, f: F) -> Result<Stored<R>, E>
    where
        F: FnOnce(&mut WriteTx) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        unimplemented!()
    }
    /// Who listens to which account.
    pub fn hub(&self) -> &Hub {
        unimplemented!()
    }
    /// Begins a blob.
    pub fn upload(&self) -> Upload {
        unimplemented!()
    }
    /// Removes blobs without references for longer than `grace`, and files and objects older than a day that no row
    /// names. Does a bounded part. Blocks.
    pub fn sweep_blobs(&self, now: Timestamp, grace: Duration) -> Result<Swept> {
        unimplemented!()
    }
    /// A cheap look whether the database answers. Blocks.
    pub fn health(&self) -> Result<Health> {
        unimplemented!()
    }
    /// Finishes what waits, refuses what comes, and closes the database. Dropping the last clone does the same. Blocks.
    pub fn close(&self) {
        unimplemented!()
    }
}
