//! The store as its users see it, and the threads behind it.

use crate::blob::{Blobs, Swept, Upload};
use crate::herald::Herald;
use crate::job::{Answer, Queue, Work, in_job};
use crate::link::{Link, Open, Returns};
use crate::pool::Target;
use crate::quick::Quick;
use crate::receipt::{Receipt, Stored};
use crate::serve::{self, ReadJob, WriteJob};
use crate::sqlite::Sqlite;
use crate::tx::Connection;
use crate::{BlobPlace, Database, Error, Hub, Locks, Migration, ReadTx, Result, Settings, Timestamp, WriteTx, migrate};
use std::future::Future;
use std::panic::Location;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    hub: Arc<Hub>,
    blobs: Arc<Blobs>,
    place: String,
}

// A panic of a caller leaves nothing half-done behind: what a job did is undone.
impl std::panic::UnwindSafe for Store {}
impl std::panic::RefUnwindSafe for Store {}

enum Engine {
    Threads(Threads),
    Inline(Mutex<Option<WriteTx>>),
}

struct Threads {
    reads: Arc<Queue<ReadJob>>,
    writes: Arc<Queue<WriteJob>>,
    stop: Arc<AtomicBool>,
    quick: Quick,
    readers: Mutex<Vec<JoinHandle<()>>>,
    writers: Mutex<Vec<JoinHandle<()>>>,
    /// On PostgreSQL: says what the writers did, and ends after them.
    herald: Arc<Herald>,
    speakers: Mutex<Vec<JoinHandle<()>>>,
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

impl Store {
    /// Opens the database and starts the threads. Blocks.
    pub fn open(settings: Settings) -> Result<Store> {
        let blobs = Arc::new(Blobs::open(&settings)?);
        let hub = Arc::new(Hub::default());
        let (engine, place) = match &settings.database {
            Database::Memory => {
                let tx = WriteTx::new(Connection::Sqlite(Sqlite::open_memory()?), Arc::clone(&blobs));
                (Engine::Inline(Mutex::new(Some(tx))), "memory".to_owned())
            }
            Database::Sqlite(path) => {
                let threads = open_sqlite(&settings, path, &blobs, &hub)?;
                (Engine::Threads(threads), path.display().to_string())
            }
            Database::Postgres(url) => {
                let target = Target::parse(url, settings.patience)?;
                let place = target.place().to_owned();
                (Engine::Threads(open_postgres(&settings, target, &blobs, &hub)?), place)
            }
        };
        Ok(Store { inner: Arc::new(Inner { engine, hub, blobs, place }) })
    }

    /// Brings the tables up to date: all owners' lists together, in order. Blocks; can run again; a second node waits.
    /// Refuses a folder or object store in which another database keeps its blobs.
    pub fn migrate(&self, migrations: &[Migration]) -> Result<()> {
        migrate::run(self, migrations)?;
        if migrations.starts_with(crate::MIGRATIONS) {
            crate::blob::check_home(self, &self.inner.blobs)?;
        }
        Ok(())
    }

    /// Runs `f` on a snapshot.
    #[track_caller]
    pub fn read<R, E, F>(&self, f: F) -> impl Future<Output = Result<R, E>> + Send + use<R, E, F>
    where
        F: FnOnce(&ReadTx) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let work = self.read_with((), |tx, ()| f(tx));
        async { work.await.1 }
    }

    /// Runs `f` in a transaction: `Ok` commits, `Err` undoes. Goes on to its end when the future is dropped after it
    /// was first polled.
    #[track_caller]
    pub fn write<R, E, F>(&self, locks: Locks, f: F) -> impl Future<Output = Result<Stored<R>, E>> + Send + use<R, E, F>
    where
        F: FnOnce(&mut WriteTx) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let work = self.write_with(locks, (), |tx, ()| f(tx));
        async { work.await.1 }
    }

    /// Like [`Store::read`]; `state` travels and comes back, unless `f` panicked.
    #[track_caller]
    pub fn read_with<S, R, E, F>(
        &self,
        state: S,
        f: F,
    ) -> impl Future<Output = (Option<S>, Result<R, E>)> + Send + use<S, R, E, F>
    where
        F: FnOnce(&ReadTx, &mut S) -> Result<R, E> + Send + 'static,
        S: Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.look(state, f, Location::caller(), false)
    }

    /// Like [`Store::read_with`], for a look at a few rows: on SQLite it runs on the caller's thread where one of the
    /// connections for such looks is free, and so spares two changes of threads, which cost several times as much as the look.
    /// There are fewer of these connections than processors, so that some thread of an asynchronous runtime always goes on.
    #[track_caller]
    pub fn read_quick_with<S, R, E, F>(
        &self,
        state: S,
        f: F,
    ) -> impl Future<Output = (Option<S>, Result<R, E>)> + Send + use<S, R, E, F>
    where
        F: FnOnce(&ReadTx, &mut S) -> Result<R, E> + Send + 'static,
        S: Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.look(state, f, Location::caller(), true)
    }

    fn look<S, R, E, F>(
        &self,
        state: S,
        f: F,
        name: &'static Location<'static>,
        quick: bool,
    ) -> impl Future<Output = (Option<S>, Result<R, E>)> + Send + use<S, R, E, F>
    where
        F: FnOnce(&ReadTx, &mut S) -> Result<R, E> + Send + 'static,
        S: Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        async move {
            let (work, answer) = Work::new(state, |tx: &mut ReadTx, state: &mut S| f(tx, state));
            let left = if quick { inner.read_here(Box::new(work), name) } else { Some(Box::new(work) as _) };
            if let Some(work) = left {
                inner.submit_read(work, name).await;
            }
            drop(inner);
            let (state, result): Answer<S, R, (), E> =
                answer.await.unwrap_or_else(|_| (None, Err(Error::Closed.into())));
            (state, result.map(|(value, ())| value))
        }
    }

    /// Like [`Store::write`]; `state` travels and comes back, unless `f` panicked. It keeps what `f` did to it
    /// also when the transaction was undone.
    #[track_caller]
    pub fn write_with<S, R, E, F>(
        &self,
        locks: Locks,
        state: S,
        f: F,
    ) -> impl Future<Output = (Option<S>, Result<Stored<R>, E>)> + Send + use<S, R, E, F>
    where
        F: FnOnce(&mut WriteTx, &mut S) -> Result<R, E> + Send + 'static,
        S: Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let name = Location::caller();
        let inner = Arc::clone(&self.inner);
        async move {
            let (work, answer) = Work::new(state, f);
            inner.submit_write(Box::new(work), locks, name).await;
            drop(inner);
            let (state, result): Answer<S, R, Receipt, E> =
                answer.await.unwrap_or_else(|_| (None, Err(Error::Closed.into())));
            (state, result.map(|(value, receipt)| Stored { value, receipt }))
        }
    }

    /// [`Store::read`] for the command line and tests.
    #[track_caller]
    pub fn read_blocking<R, E, F>(&self, f: F) -> Result<R, E>
    where
        F: FnOnce(&ReadTx) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        block_on(self.read(f))
    }

    /// [`Store::write`] for the command line and tests.
    #[track_caller]
    pub fn write_blocking<R, E, F>(&self, locks: Locks, f: F) -> Result<Stored<R>, E>
    where
        F: FnOnce(&mut WriteTx) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        block_on(self.write(locks, f))
    }

    /// Who listens to which account.
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// Begins a blob.
    pub fn upload(&self) -> Upload {
        Upload::new(Arc::clone(&self.inner.blobs))
    }

    pub(crate) fn blobs(&self) -> &Arc<Blobs> {
        &self.inner.blobs
    }

    /// Removes blobs without references for longer than `grace`, and files and objects older than a day that no row
    /// names. Does a bounded part: call again while [`Swept::more`]. Blocks.
    pub fn sweep_blobs(&self, now: Timestamp, grace: Duration) -> Result<Swept> {
        crate::blob::sweep(self, &self.inner.blobs, now, grace)
    }

    /// A cheap look whether the database answers. Blocks.
    pub fn health(&self) -> Result<Health> {
        let memory = matches!(self.inner.engine, Engine::Inline(_));
        let (postgres, version) = self.read_blocking(|tx| {
            let sql =
                if tx.is_postgres() { "SELECT current_setting('server_version')" } else { "SELECT sqlite_version()" };
            Ok::<_, Error>((tx.is_postgres(), tx.one(sql, &[], |row| row.text(0))?))
        })?;
        // On SQLite only a write shows whether the disk takes one. This one changes nothing and needs no table.
        let writable = self.write_blocking(Locks::none(), |tx| match tx.is_postgres() {
            true => tx.one("SELECT current_setting('transaction_read_only') = 'off'", &[], |row| row.bool(0)),
            false => tx.execute("PRAGMA user_version = 0", &[]).map(|_| true),
        });
        Ok(Health {
            database: if postgres {
                "PostgreSQL"
            } else if memory {
                "memory"
            } else {
                "SQLite"
            },
            version,
            place: self.inner.place.clone(),
            blobs: self.inner.blobs.place(),
            writable: writable.is_ok_and(|stored| stored.value),
        })
    }

    /// Finishes what waits, refuses what comes, and closes the database. Dropping the last clone does the same. Blocks.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    async fn submit_read(&self, job: Box<ReadJob>, name: &'static Location<'static>) {
        if in_job() {
            return job.finish(Err(nested(name)));
        }
        match &self.engine {
            Engine::Threads(threads) => threads.reads.push(job, Locks::none(), name).await,
            Engine::Inline(tx) => match tx.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                Some(tx) => serve::inline_read(tx, job),
                None => job.finish(Err(Error::Closed)),
            },
        }
    }

    /// Runs a job on this thread; gives it back where that cannot be.
    fn read_here(&self, job: Box<ReadJob>, name: &'static Location<'static>) -> Option<Box<ReadJob>> {
        match &self.engine {
            Engine::Threads(threads) if !in_job() => threads.quick.read(job, name),
            Engine::Threads(_) | Engine::Inline(_) => Some(job),
        }
    }

    async fn submit_write(&self, job: Box<WriteJob>, locks: Locks, name: &'static Location<'static>) {
        if in_job() {
            return job.finish(Err(nested(name)));
        }
        match &self.engine {
            Engine::Threads(threads) => threads.writes.push(job, locks, name).await,
            Engine::Inline(tx) => match tx.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                Some(tx) => serve::inline_write(tx, job, &self.hub),
                None => job.finish(Err(Error::Closed)),
            },
        }
    }

    fn close(&self) {
        match &self.engine {
            Engine::Threads(threads) => threads.close(),
            Engine::Inline(tx) => *tx.lock().unwrap_or_else(PoisonError::into_inner) = None,
        }
    }
}

/// A job that waits for another job of the same thread would wait for ever.
fn nested(name: &'static Location<'static>) -> Error {
    Error::Bug(format!("a transaction inside a transaction at {name}"))
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Threads {
    fn new(quick: Quick) -> Threads {
        Threads {
            quick,
            reads: Arc::new(Queue::new("read")),
            writes: Arc::new(Queue::new("write")),
            stop: Arc::new(AtomicBool::new(false)),
            readers: Mutex::new(Vec::new()),
            writers: Mutex::new(Vec::new()),
            herald: Arc::new(Herald::default()),
            speakers: Mutex::new(Vec::new()),
        }
    }

    fn spawn_reader(&self, body: impl FnOnce() + Send + 'static) -> Result<()> {
        spawn(&self.readers, "store-reader", body)
    }

    fn spawn_writer(&self, body: impl FnOnce() + Send + 'static) -> Result<()> {
        spawn(&self.writers, "store-writer", body)
    }

    fn close(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.reads.close();
        join(&self.readers);
        self.quick.close();
        // The writer's connection is the last: only then can SQLite take its log into the database and remove it.
        self.writes.close();
        join(&self.writers);
        self.herald.close();
        join(&self.speakers);
    }
}

fn spawn(threads: &Mutex<Vec<JoinHandle<()>>>, name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| Error::Unavailable(format!("no thread for the store: {error}")))?;
    threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    Ok(())
}

fn join(threads: &Mutex<Vec<JoinHandle<()>>>) {
    let threads = std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
    // The last clone may be dropped by a job, on a thread of ours: that one ends by itself.
    for thread in threads.into_iter().filter(|thread| thread.thread().id() != thread::current().id()) {
        if thread.join().is_err() {
            tracing::error!("a thread of the store panicked");
        }
    }
}

fn open_sqlite(settings: &Settings, path: &std::path::Path, blobs: &Arc<Blobs>, hub: &Arc<Hub>) -> Result<Threads> {
    // Made here once, so that an unusable file is known at once and the readers find one.
    drop(Sqlite::open_writer(path)?);
    let opener = |open: fn(&std::path::Path) -> Result<Sqlite>| -> Open {
        let (path, blobs) = (PathBuf::from(path), Arc::clone(blobs));
        Box::new(move || Ok(WriteTx::new(Connection::Sqlite(open(&path)?), Arc::clone(&blobs))))
    };
    let (budget, returns) = (settings.job_budget, Returns::default());
    // An object store is asked over a network, by a runtime of its own.
    let quick = match settings.blobs {
        BlobPlace::S3(_) => Quick::default(),
        BlobPlace::Folder(_) | BlobPlace::Inline => Quick::new(|| opener(Sqlite::open_reader), &returns, budget),
    };
    let threads = Threads::new(quick);
    let (queue, link) = (Arc::clone(&threads.writes), Link::new(opener(Sqlite::open_writer), &returns, Duration::ZERO));
    let (hub, guest) = (Arc::clone(hub), settings.guest);
    threads.spawn_writer(move || serve::sqlite_writes(link, &queue, &hub, budget, guest))?;
    for _ in 0..settings.readers.max(1) {
        let (queue, link) =
            (Arc::clone(&threads.reads), Link::new(opener(Sqlite::open_reader), &returns, Duration::ZERO));
        threads.spawn_reader(move || serve::reads(link, &queue, budget))?;
    }
    Ok(threads)
}

fn open_postgres(settings: &Settings, target: Target, blobs: &Arc<Blobs>, hub: &Arc<Hub>) -> Result<Threads> {
    let target = Arc::new(target);
    crate::pool::check_server(&target)?;
    let threads = Threads::new(Quick::default());
    let opener = || -> Open {
        let (target, blobs) = (Arc::clone(&target), Arc::clone(blobs));
        Box::new(move || Ok(WriteTx::new(Connection::Postgres(Box::new(target.connect()?)), Arc::clone(&blobs))))
    };
    let (budget, returns) = (settings.job_budget, Returns::default());
    for _ in 0..settings.writers.max(1) {
        let (queue, link) = (Arc::clone(&threads.writes), Link::new(opener(), &returns, settings.patience));
        let (hub, herald) = (Arc::clone(hub), Arc::clone(&threads.herald));
        threads.spawn_writer(move || serve::postgres_writes(link, &queue, &hub, &herald, budget))?;
    }
    for _ in 0..settings.readers.max(1) {
        let (queue, link) = (Arc::clone(&threads.reads), Link::new(opener(), &returns, settings.patience));
        threads.spawn_reader(move || serve::reads(link, &queue, budget))?;
    }
    let (speaking, herald) = (Arc::clone(&target), Arc::clone(&threads.herald));
    spawn(&threads.speakers, "store-herald", move || herald.run(&speaking))?;
    let (stop, hub) = (Arc::clone(&threads.stop), Arc::clone(hub));
    spawn(&threads.readers, "store-listener", move || crate::pool::listen(&target, &hub, &stop))?;
    Ok(threads)
}

/// Waits for a future on this thread, without a runtime; also on a thread of a runtime, whose budget for a task would
/// otherwise be used up after so many waits, and never given back to who does not return.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
