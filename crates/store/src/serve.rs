//! What the store's threads do: take jobs, run them in transactions, answer.
//!
//! Invariants:
//! 1. A job is answered with a receipt only after COMMIT returned, and after the hub was told.
//! 2. A job that fails or panics undoes itself and nothing else.
//! 3. SQLite may end the transaction by itself (disk full): then no job of the batch is acknowledged.

use crate::herald::Herald;
use crate::job::{Job, Queue, Waiting, measure};
use crate::link::Link;
use crate::receipt::commit;
use crate::tx::Connection;
use crate::{AccountId, Error, Hub, Locks, ModSeq, ReadTx, Receipt, Result, WriteTx};
use std::panic::Location;
use std::time::{Duration, Instant};

pub(crate) type ReadJob = dyn Job<ReadTx, ()>;
pub(crate) type WriteJob = dyn Job<WriteTx, Receipt>;

/// A reader thread, of either database.
pub(crate) fn reads(mut link: Link, queue: &Queue<ReadJob>, budget: Duration) {
    while let Some(Waiting { job, name, .. }) = queue.pop() {
        read_one(&mut link, job, name, budget);
    }
}

/// One job that looks: its transaction, its answer.
pub(crate) fn read_one(link: &mut Link, mut job: Box<ReadJob>, name: &'static Location<'static>, budget: Duration) {
    let tx = match link.begin_read() {
        Ok(tx) => tx,
        Err(error) => return job.finish(Err(error)),
    };
    measure("read", name, budget, || job.run(tx.read_mut()));
    let broken = matches!(tx.spoiled(), Some(Error::Unavailable(_)));
    if tx.end_read().is_err() || broken {
        link.drop_connection();
    }
    job.finish(Ok(()));
}

/// A writer thread of PostgreSQL: one job, one transaction. The locks are its first statement.
/// Other nodes hear of it by the herald.
pub(crate) fn postgres_writes(mut link: Link, queue: &Queue<WriteJob>, hub: &Hub, herald: &Herald, budget: Duration) {
    while let Some((Waiting { mut job, name, locks, .. }, held)) = queue.pop_free() {
        let begin = begin_with(&locks);
        let tx = match link.begin(&begin) {
            Ok(tx) => tx,
            Err(error) => {
                job.finish(Err(error));
                continue;
            }
        };
        let keep = measure("write", name, budget, || job.run(tx));
        let outcome = conclude(tx, keep, |news| {
            hub.publish_own(news);
            herald.tell(news);
        });
        let sound = match &outcome {
            Ok(_) => true,
            // This server became a standby: a new connection may find the one that took over.
            Err(Error::ReadOnly(_)) => false,
            Err(_) => tx.command("ROLLBACK").is_ok(),
        };
        if !sound {
            link.drop_connection();
        }
        drop(held);
        job.finish(outcome);
    }
}

/// What opens a transaction of PostgreSQL that holds `locks`, in one round trip.
///
/// Whoever writes to accounts holds the gate, shared; more accounts than [`Locks::MAX`] are excluded by holding it
/// alone. The gate is taken first by everybody, so that nobody waits in a ring.
fn begin_with(locks: &Locks) -> String {
    // Read committed, so that what the lock's last holder did is seen by the statements that follow it.
    let mut begin = "BEGIN ISOLATION LEVEL READ COMMITTED".to_owned();
    let (names, accounts) = locks.keys().split_at(locks.keys().partition_point(|key| *key < 0));
    let gate = crate::lock::named_key("accounts");
    let keys = match accounts.len() {
        0 => names,
        1..=Locks::MAX => {
            begin.push_str(&format!("; SELECT pg_advisory_xact_lock_shared({gate})"));
            locks.keys()
        }
        _ => {
            begin.push_str(&format!("; SELECT pg_advisory_xact_lock({gate})"));
            names
        }
    };
    if !keys.is_empty() {
        let keys: Vec<String> = keys.iter().map(i64::to_string).collect();
        begin.push_str(&format!(
            "; SELECT pg_advisory_xact_lock(k) FROM unnest('{{{}}}'::bigint[]) AS k",
            keys.join(",")
        ));
    }
    begin
}

/// Commits what one job did and publishes its news, or says why not; the caller then rolls back.
fn conclude(tx: &mut WriteTx, keep: bool, publish: impl FnOnce(&[(AccountId, ModSeq)])) -> Result<Receipt> {
    if !keep {
        return Err(Error::Temporary("undone".into()));
    }
    if let Some(error) = tx.spoiled() {
        return Err(error);
    }
    let news = tx.take_news();
    let receipt = commit(tx)?;
    publish(&news);
    Ok(receipt)
}

/// A job on the caller's thread, for the store in memory.
pub(crate) fn inline_write(tx: &mut WriteTx, mut job: Box<WriteJob>, hub: &Hub) {
    tx.reset();
    if let Err(error) = tx.command("BEGIN IMMEDIATE") {
        return job.finish(Err(error));
    }
    let keep = job.run(tx);
    let outcome = conclude(tx, keep, |news| hub.publish_own(news));
    if outcome.is_err() {
        // It fails only when the transaction ended by itself; then nothing is left to undo.
        let _ = tx.command("ROLLBACK");
    }
    job.finish(outcome);
}

/// A read on the caller's thread, for the store in memory.
pub(crate) fn inline_read(tx: &mut WriteTx, mut job: Box<ReadJob>) {
    tx.reset();
    if let Err(error) = tx.command("PRAGMA query_only=ON; BEGIN") {
        return job.finish(Err(error));
    }
    job.run(tx.read_mut());
    let ended = tx.command("ROLLBACK; PRAGMA query_only=OFF");
    job.finish(ended);
}

/// The writer thread of SQLite: group commit. A guest leaves the log to the process that writes.
pub(crate) fn sqlite_writes(mut link: Link, queue: &Queue<WriteJob>, hub: &Hub, budget: Duration, guest: bool) {
    while let Some(first) = queue.pop() {
        let tx = match link.begin("BEGIN IMMEDIATE") {
            Ok(tx) => tx,
            Err(error) => {
                first.job.finish(Err(error));
                continue;
            }
        };
        let outcome = batch(tx, first, queue, hub, budget);
        let Err(error) = outcome else { continue };
        let ended = match tx.connection() {
            Connection::Sqlite(sqlite) if sqlite.in_transaction() => tx.command("ROLLBACK").is_ok(),
            Connection::Sqlite(_) | Connection::Postgres(_) => true,
        };
        tracing::error!(%error, next_step = error.next_step(), "a batch of changes could not be stored");
        if !ended || !matches!(error, Error::Full(_) | Error::Busy(_)) {
            link.drop_connection();
        }
    }
    if let Some(Connection::Sqlite(sqlite)) = link.connection().map(|tx| tx.connection()).filter(|_| !guest) {
        sqlite.checkpoint();
    }
}

/// The jobs of a batch that ran, each with why it cannot be acknowledged, if so.
struct Ran {
    jobs: Vec<(Box<WriteJob>, Result<()>)>,
    news: Vec<(AccountId, ModSeq)>,
}

/// Runs the first job and those that wait, commits once, answers all. An error has been told to all of them.
fn batch(
    tx: &mut WriteTx,
    first: Waiting<WriteJob>,
    queue: &Queue<WriteJob>,
    hub: &Hub,
    budget: Duration,
) -> Result<()> {
    let start = Instant::now();
    let mut ran = Ran { jobs: Vec::new(), news: Vec::new() };
    let mut next = Some(first);
    let mut outcome = Ok(());
    while let Some(mut waiting) = next.take() {
        outcome = in_savepoint(tx, &mut waiting, &mut ran, budget);
        if let Err(error) = &outcome {
            waiting.job.finish(Err(error.clone()));
            break;
        }
        let own = match tx.spoiled() {
            Some(error) => Err(error),
            None => Ok(()),
        };
        ran.jobs.push((waiting.job, own));
        if ran.jobs.len() < BATCH_JOBS_MAX && start.elapsed() < BATCH_TIME_MAX {
            next = queue.pop_now();
        }
    }
    metrics::histogram!("postroad_store_batch_jobs").record(ran.jobs.len() as f64);
    match outcome.and_then(|()| commit(tx)) {
        Ok(receipt) => {
            hub.publish_own(&ran.news);
            for (job, own) in ran.jobs {
                job.finish(own.map(|()| receipt.clone()));
            }
            Ok(())
        }
        Err(error) => {
            for (job, _) in ran.jobs {
                job.finish(Err(error.clone()));
            }
            Err(error)
        }
    }
}

/// Runs one job of a batch. An error means that the whole batch is lost.
fn in_savepoint(tx: &mut WriteTx, waiting: &mut Waiting<WriteJob>, ran: &mut Ran, budget: Duration) -> Result<()> {
    tx.reset();
    tx.command("SAVEPOINT job")?;
    let keep = measure("write", waiting.name, budget, || waiting.job.run(tx));
    let alive = match tx.connection() {
        Connection::Sqlite(sqlite) => sqlite.in_transaction(),
        Connection::Postgres(_) => true,
    };
    if !alive {
        let lost = || Error::Temporary("SQLite ended the transaction by itself".into());
        return Err(tx.spoiled().unwrap_or_else(lost));
    }
    if let Some(error @ (Error::Unavailable(_) | Error::ReadOnly(_))) = tx.spoiled() {
        // Not this job's fault, and the next would meet the same: all are told, and a new connection is tried.
        return Err(error);
    }
    if keep && tx.spoiled().is_none() {
        tx.command("RELEASE job")?;
        ran.news.extend(tx.take_news());
        return Ok(());
    }
    tx.command("ROLLBACK TO job; RELEASE job")
}

/// A batch ends after this many jobs ...
pub(crate) const BATCH_JOBS_MAX: usize = 256;
/// ... or when it has run for this long: nobody waits longer than that for others' work before the commit.
pub(crate) const BATCH_TIME_MAX: Duration = Duration::from_millis(50);
