//! Tables and their history: which steps were applied is written beside the data.
//!
//! Invariants:
//! 1. A step runs once, whole or not at all, also when several nodes start together.
//! 2. A step that was applied never changes: its text is compared with the hash of what ran.
//! 3. A database that a newer version made is refused, not misread.

use crate::{Error, Locks, Result, Store, Timestamp, WriteTx, params};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A step of an owner's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The crate that owns the tables.
    pub owner: &'static str,
    /// 1, 2, 3, ... without gaps.
    pub version: u32,
    /// Statements separated by `;`, with holes. Once released it never changes again: its text is checked.
    pub sql: &'static str,
}

/// The tables of this crate: blobs and the trace.
pub const MIGRATIONS: &[Migration] = &[
    Migration { owner: "store", version: 1, sql: crate::blob::TABLES },
    Migration { owner: "store", version: 2, sql: crate::trace::TABLES },
    Migration { owner: "store", version: 3, sql: crate::blob::IDLE },
    Migration { owner: "store", version: 4, sql: crate::dump::PINS },
    Migration { owner: "store", version: 5, sql: crate::trace::BY_TIME },
    Migration { owner: "store", version: 6, sql: crate::blob::BY_ID },
];

/// Applies what is missing, each step in a transaction of its own.
pub(crate) fn run(store: &Store, migrations: &[Migration]) -> Result<()> {
    check_list(migrations)?;
    in_turn(store, |tx| {
        exclude_others(tx)?;
        tx.execute(HISTORY, &[]).map(|_| ())
    })?;
    let known = newest(migrations);
    for migration in migrations.iter().copied() {
        let known = known[migration.owner];
        in_turn(store, move |tx| apply(tx, migration, known))?;
    }
    Ok(())
}

/// Another process that is busy with a long step on SQLite is waited for, a few seconds at a time.
fn in_turn(store: &Store, step: impl Fn(&mut WriteTx) -> Result<()> + Copy + Send + 'static) -> Result<()> {
    let start = Instant::now();
    loop {
        match store.write_blocking(Locks::none(), step) {
            Err(Error::Busy(why)) if start.elapsed() < PATIENCE => {
                tracing::info!(why, "waiting for another process that brings the tables up to date");
            }
            outcome => return outcome.map(|_| ()),
        }
    }
}

fn apply(tx: &mut WriteTx, migration: Migration, known: u32) -> Result<()> {
    exclude_others(tx)?;
    let Migration { owner, version, sql } = migration;
    let hash = text_hash(&migration);
    let newest =
        tx.one("SELECT coalesce(max(version), 0) FROM migration WHERE owner = $1", params![owner], |row| row.int(0))?;
    if newest > i64::from(known) {
        return Err(Error::Schema(format!(
            "the tables of {owner} are at version {newest}, this program knows {known}"
        )));
    }
    let applied =
        tx.row("SELECT hash FROM migration WHERE owner = $1 AND version = $2", params![owner, version], |row| {
            row.text(0)
        })?;
    match applied {
        Some(applied) if applied == hash => return Ok(()),
        Some(_) => {
            return Err(Error::Schema(format!("version {version} of the tables of {owner} was made by another text")));
        }
        None => {}
    }
    tx.script(sql).map_err(|error| error.context(format!("tables of {owner}, version {version}")))?;
    tx.execute(
        "INSERT INTO migration (owner, version, hash, applied) VALUES ($1, $2, $3, $4)",
        params![owner, version, &hash, Timestamp::now()],
    )?;
    tracing::info!(owner, version, "tables brought up to date");
    Ok(())
}

/// What a step's text is recognised by.
pub(crate) fn text_hash(migration: &Migration) -> String {
    blake3::hash(migration.sql.as_bytes()).to_hex().to_string()
}

/// A second node waits here, however long it takes. On SQLite the transaction itself excludes others.
fn exclude_others(tx: &mut WriteTx) -> Result<()> {
    if tx.is_postgres() {
        let key = crate::lock::named_key("migrations");
        tx.command(&format!(
            "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({key})"
        ))?;
    }
    Ok(())
}

fn newest(migrations: &[Migration]) -> HashMap<&'static str, u32> {
    let mut newest = HashMap::new();
    for migration in migrations {
        let known = newest.entry(migration.owner).or_insert(0);
        *known = (*known).max(migration.version);
    }
    newest
}

/// Each owner counts 1, 2, 3.
fn check_list(migrations: &[Migration]) -> Result<()> {
    let mut last: HashMap<&str, u32> = HashMap::new();
    for migration in migrations {
        let last = last.entry(migration.owner).or_insert(0);
        if migration.version != *last + 1 {
            return Err(Error::Bug(format!(
                "version {} of the tables of {} follows {last}",
                migration.version, migration.owner
            )));
        }
        *last = migration.version;
    }
    Ok(())
}

/// How long another process may take.
const PATIENCE: Duration = Duration::from_secs(600);

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS migration (
    owner {text} NOT NULL, version BIGINT NOT NULL, hash {text} NOT NULL, applied BIGINT NOT NULL,
    PRIMARY KEY (owner, version))";
