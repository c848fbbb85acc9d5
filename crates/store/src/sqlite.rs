//! One SQLite connection: how it is opened, how statements run on it, what its errors mean.
//!
//! WAL with `synchronous=FULL` and nothing less: a COMMIT that returned is on the disk.

use crate::blob::fault_of_file;
use crate::dialect::{Dialect, rewrite};
use crate::{Error, Param, Result, Row};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// An open connection and the statements as SQLite spells them.
pub(crate) struct Sqlite {
    db: Connection,
    spelled: RefCell<HashMap<String, String>>,
}

impl Sqlite {
    /// The connection that writes; makes the file when it is not there.
    pub(crate) fn open_writer(path: &Path) -> Result<Sqlite> {
        Sqlite::try_open_writer(path).map_err(|error| match error {
            // SQLite does not say why it cannot open its files; the file system does.
            said @ (Error::Unavailable(_) | Error::ReadOnly(_)) => {
                why_not(path).map_or(said, |error| fault_of_file(&error, path))
            }
            other => other,
        })
    }

    fn try_open_writer(path: &Path) -> Result<Sqlite> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db =
            Connection::open_with_flags(path, flags).map_err(|error| fault(&error, &path.display().to_string()))?;
        let sqlite = Sqlite::prepare(db, WRITER_CACHE_KIB)?;
        // A second process (the command line) may be switching at the same moment: the busy time-out waits.
        let mode: String = sqlite
            .db
            .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
            .map_err(|e| fault(&e, "journal_mode"))?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(Error::Settings(format!(
                "{} cannot use a write-ahead log (its file system has no shared memory: do not keep it on a network drive)",
                path.display()
            )));
        }
        // SQLite falls back to reading when a file cannot be written.
        if sqlite.db.is_readonly("main").map_err(|error| fault(&error, "main"))? {
            return Err(Error::ReadOnly(format!("{} cannot be written", path.display())));
        }
        sqlite.batch(&format!("PRAGMA journal_size_limit={WAL_KEPT_BYTES}; PRAGMA wal_autocheckpoint={WAL_PAGES}"))?;
        Ok(sqlite)
    }

    /// A connection that reads.
    pub(crate) fn open_reader(path: &Path) -> Result<Sqlite> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db =
            Connection::open_with_flags(path, flags).map_err(|error| fault(&error, &path.display().to_string()))?;
        Sqlite::prepare(db, READER_CACHE_KIB)
    }

    /// A database of its own, in memory.
    pub(crate) fn open_memory() -> Result<Sqlite> {
        let db = Connection::open_in_memory().map_err(|error| fault(&error, "memory"))?;
        Sqlite::prepare(db, READER_CACHE_KIB)
    }

    fn prepare(db: Connection, cache_kib: u32) -> Result<Sqlite> {
        let set = || {
            db.busy_timeout(BUSY_PATIENCE)?;
            db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
            // Without it a statement with `LIMIT $1` is parsed and planned again for each value it is given.
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            rusqlite::vtab::array::load_module(&db)?;
            // LIKE distinguishes case as PostgreSQL does. The two `fullfsync` matter on macOS only.
            db.execute_batch(&format!(
                "PRAGMA synchronous=FULL; PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1; PRAGMA temp_store=MEMORY;
                 PRAGMA cache_size=-{cache_kib}; PRAGMA foreign_keys=OFF; PRAGMA case_sensitive_like=ON;
                 PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
            ))
        };
        set().map_err(|error| fault(&error, "open"))?;
        Ok(Sqlite { db, spelled: RefCell::default() })
    }

    /// Runs a query and shows each row to `each` until it breaks.
    pub(crate) fn query(
        &self,
        sql: &str,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<(), Failed> {
        let mut statement = self.statement(sql)?;
        bind(&mut statement, sql, params)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|error| Failed::Statement(fault(&error, sql)))? {
            match each(&Row::sqlite(row)) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(error) => return Err(Failed::Closure(error)),
            }
        }
        Ok(())
    }

    /// Runs a statement once for each set of parameters; says how many rows it touched.
    pub(crate) fn execute<'a, 'p: 'a>(
        &self,
        sql: &str,
        sets: &mut dyn Iterator<Item = &'a [Param<'p>]>,
    ) -> Result<u64, Failed> {
        let mut statement = self.statement(sql)?;
        let mut touched = 0;
        for params in sets {
            bind(&mut statement, sql, params)?;
            touched += statement.raw_execute().map_err(|error| Failed::Statement(fault(&error, sql)))? as u64;
        }
        Ok(touched)
    }

    /// Statements without parameters, as they are.
    pub(crate) fn batch(&self, sql: &str) -> Result<()> {
        self.db.execute_batch(sql).map_err(|error| fault(&error, sql))
    }

    /// Transaction control. Runs for every job, so a single statement is kept ready like any other.
    pub(crate) fn control(&self, sql: &str) -> Result<()> {
        if sql.contains(';') {
            return self.batch(sql);
        }
        let run = || self.db.prepare_cached(sql)?.execute([]).map(|_| ());
        run().map_err(|error| fault(&error, sql))
    }

    /// Whether a transaction is open: SQLite ends one by itself when the disk is full.
    pub(crate) fn in_transaction(&self) -> bool {
        !self.db.is_autocommit()
    }

    /// Takes the write-ahead log into the database file; what cannot be done now is done by the next.
    pub(crate) fn checkpoint(&self) {
        if let Err(error) = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log could not be taken into the database; the next start does it");
        }
    }

    fn statement(&self, sql: &str) -> Result<rusqlite::CachedStatement<'_>, Failed> {
        let mut spelled = self.spelled.borrow_mut();
        if spelled.len() >= STATEMENTS_MAX {
            spelled.clear();
        }
        let text = match spelled.get(sql) {
            Some(text) => text,
            None => {
                let text = rewrite(sql, Dialect::Sqlite).map_err(Failed::Statement)?;
                spelled.entry(sql.to_owned()).or_insert(text)
            }
        };
        self.db.prepare_cached(text).map_err(|error| Failed::Statement(fault(&error, sql)))
    }
}

/// What the file system says when the database, or a file beside it, is opened for writing.
fn why_not(path: &Path) -> Option<std::io::Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-probe");
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.and_then(|_| File::create(&beside)).and_then(|_| std::fs::remove_file(&beside)).err()
}

/// Which side failed: a failed statement spoils the transaction, an error of the caller's closure does not.
#[derive(Debug)]
pub(crate) enum Failed {
    Statement(Error),
    Closure(Error),
}

fn bind(statement: &mut rusqlite::Statement<'_>, sql: &str, params: &[Param<'_>]) -> Result<(), Failed> {
    if statement.parameter_count() != params.len() {
        let wants = statement.parameter_count();
        return Err(Failed::Statement(Error::Bug(format!("{} values given for {wants}: {sql}", params.len()))));
    }
    for (place, param) in params.iter().enumerate() {
        let value = match param {
            Param::Null => ToSqlOutput::Owned(Value::Null),
            Param::Int(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Param::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Param::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Param::Ints(list) => array(list.iter().map(|number| Value::Integer(*number)).collect()),
            Param::Texts(list) => array(list.iter().map(|text| Value::Text((*text).to_owned())).collect()),
        };
        statement.raw_bind_parameter(place + 1, value).map_err(|error| Failed::Statement(fault(&error, sql)))?;
    }
    Ok(())
}

fn array(values: Vec<Value>) -> ToSqlOutput<'static> {
    ToSqlOutput::from_rc(Rc::new(values), c"rarray")
}

/// What an error of SQLite means. `place` is the statement or the file.
fn fault(error: &rusqlite::Error, place: &str) -> Error {
    let text = format!("SQLite: {error} [{}]", shortened(place));
    let code = match error {
        rusqlite::Error::SqliteFailure(code, _) => code,
        rusqlite::Error::SqlInputError { error: code, .. } => code,
        _ => return Error::Bug(text),
    };
    match code.code {
        ErrorCode::DiskFull => Error::Full(text),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Error::ReadOnly(text),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationInterrupted => Error::Busy(text),
        // No network lies between us and the file: it is the disk, and mostly on the way to it.
        ErrorCode::SystemIoFailure => match code.extended_code {
            ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_NOMEM => {
                Error::Unavailable(format!("{text}, check the disk"))
            }
            _ => Error::ReadOnly(text),
        },
        ErrorCode::CannotOpen | ErrorCode::FileLockingProtocolFailed | ErrorCode::OutOfMemory => {
            Error::Unavailable(text)
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt(text),
        ErrorCode::ConstraintViolation => match code.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
                // "UNIQUE constraint failed: mailbox.account, mailbox.name"
                let said = error.to_string();
                Error::Conflict(said.rsplit_once("failed: ").map_or(text, |(_, columns)| columns.to_owned()))
            }
            _ => Error::Bug(text),
        },
        ErrorCode::OperationAborted => Error::Temporary(text),
        _ => Error::Bug(text),
    }
}

/// A statement for an error text: one line, not all of it.
pub(crate) fn shortened(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let mut line = words.join(" ");
    if line.len() > SQL_SHOWN_MAX {
        let end = (0..=SQL_SHOWN_MAX).rev().find(|place| line.is_char_boundary(*place)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Statements kept ready on a connection.
pub(crate) const STATEMENTS_MAX: usize = 512;
/// How long a statement waits for another process.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);
const WRITER_CACHE_KIB: u32 = 32 * 1024;
const READER_CACHE_KIB: u32 = 8 * 1024;
/// The log is taken into the database when it has this many pages, and then cut to this many bytes.
const WAL_PAGES: u32 = 4000;
const WAL_KEPT_BYTES: u32 = 64 << 20;
const SQL_SHOWN_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn statements_are_prepared_once_whatever_they_are_given() {
        let sqlite = Sqlite::open_memory().expect("memory");
        sqlite
            .batch("CREATE TABLE t (a INTEGER, b TEXT); CREATE INDEX t_a ON t (a) WHERE (a & 1) = 0")
            .expect("a table");
        let all: [(&str, usize); 4] = [
            ("SELECT a FROM t WHERE a > $1 ORDER BY a LIMIT $2", 2),
            ("SELECT a FROM t WHERE a BETWEEN $1 AND $2 AND (a & 1) = 0", 2),
            ("SELECT a FROM t WHERE a {in:$1} AND (a & $2) = $2 LIMIT $2", 2),
            ("DELETE FROM t WHERE a IN (SELECT a FROM t WHERE a < $1 ORDER BY a LIMIT $2)", 2),
        ];
        for (sql, count) in all {
            for value in 0..5 {
                let list = [value];
                let mut params = vec![Param::from(value); count];
                if sql.contains("{in:") {
                    params[0] = Param::Ints(list.as_slice().into());
                }
                sqlite.query(sql, &params, &mut |_| Ok(ControlFlow::Continue(()))).expect("it runs");
            }
            let statement = sqlite.statement(sql).expect("it is kept");
            assert_eq!(statement.get_status(StatementStatus::Run), 5, "{sql}");
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
        }
    }
}
