//! The two transaction types. `&ReadTx` looks, `&mut WriteTx` changes, and nothing else reaches the database.
//!
//! Invariants:
//! 1. A transaction in which a statement failed does not commit, unless the failure lay inside
//!    [`WriteTx::attempt`]. That is PostgreSQL's rule; it is kept on SQLite too, so that a test on one finds
//!    what would fail on the other.
//! 2. While rows are being shown no other statement runs: a query inside a loop over rows is an error.
//! 3. News and receipts leave only through COMMIT.

use crate::blob::{Ahead, Blobs};
use crate::dialect::{Dialect, rewrite};
use crate::pg::Pg;
use crate::sqlite::{Failed, Sqlite};
use crate::{AccountId, Error, ModSeq, Param, Result, Row};
use std::cell::{Cell, RefCell};
use std::ops::{ControlFlow, Deref};
use std::sync::Arc;

/// A consistent look at the database.
pub struct ReadTx {
    connection: Connection,
    spoiled: RefCell<Option<Error>>,
    showing: Cell<bool>,
    statements: Cell<u64>,
    blobs: Arc<Blobs>,
    ahead: Ahead,
}

pub(crate) enum Connection {
    Sqlite(Sqlite),
    Postgres(Box<Pg>),
}

/// A transaction that changes. What it published is heard once COMMIT succeeded.
///
/// A statement that failed has spoiled the transaction: it cannot commit any more (PostgreSQL's rule, kept on
/// both). What may fail and be survived goes into [`WriteTx::attempt`], or says `ON CONFLICT`.
pub struct WriteTx {
    read: ReadTx,
    news: Vec<(AccountId, ModSeq)>,
    depth: u32,
}

impl Deref for WriteTx {
    type Target = ReadTx;

    fn deref(&self) -> &ReadTx {
        &self.read
    }
}

impl ReadTx {
    pub(crate) fn new(connection: Connection, blobs: Arc<Blobs>) -> ReadTx {
        ReadTx {
            connection,
            spoiled: RefCell::new(None),
            showing: Cell::new(false),
            statements: Cell::new(0),
            blobs,
            ahead: Ahead::default(),
        }
    }

    /// All rows.
    pub fn rows<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(sql, params, |row| {
            all.push(map(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// The first row, if there is one. The statement says `LIMIT 1` where there may be many: PostgreSQL sends them all.
    pub fn row<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut first = None;
        self.each(sql, params, |row| {
            first = Some(map(row)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(first)
    }

    /// The first row; [`Error::Missing`] when there is none.
    pub fn one<T>(&self, sql: &str, params: &[Param<'_>], map: impl FnMut(&Row<'_>) -> Result<T>) -> Result<T> {
        let missing = || Error::Missing(format!("no row for {}", crate::sqlite::shortened(sql)));
        self.row(sql, params, map)?.ok_or_else(missing)
    }

    /// Row by row without holding them all, until the end or `Break`. Inside, no other statement can run.
    pub fn each(
        &self,
        sql: &str,
        params: &[Param<'_>],
        mut row: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.run(sql, params, |connection| match connection {
            Connection::Sqlite(sqlite) => sqlite.query(sql, params, &mut row),
            Connection::Postgres(pg) => pg.query(sql, params, &mut row),
        })
    }

    /// Whether this is PostgreSQL, for the search that has two texts.
    pub fn is_postgres(&self) -> bool {
        matches!(self.connection, Connection::Postgres(_))
    }

    /// How many statements this connection has run, a set of rows inserted counted once for each round trip:
    /// the difference before and after an operation is its cost. For tests of cost.
    pub fn statements(&self) -> u64 {
        self.statements.get()
    }

    /// How often this connection has waited for PostgreSQL; 0 on SQLite. For tests of cost.
    pub fn journeys(&self) -> u64 {
        match &self.connection {
            Connection::Sqlite(_) => 0,
            Connection::Postgres(pg) => pg.journeys(),
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    pub(crate) fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// Forgets what the transaction before left behind.
    pub(crate) fn reset(&mut self) {
        *self.spoiled.get_mut() = None;
        self.showing.set(false);
        self.ahead.forget();
    }

    pub(crate) fn spoiled(&self) -> Option<Error> {
        self.spoiled.borrow().clone()
    }

    fn run<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        statement: impl FnOnce(&Connection) -> Result<T, Failed>,
    ) -> Result<T> {
        if let Some(error) = self.spoiled() {
            return Err(error);
        }
        if self.showing.replace(true) {
            return Err(Error::Bug(format!("a statement inside a loop over rows: {sql}")));
        }
        self.statements.set(self.statements.get() + 1);
        let _shown = Shown(&self.showing);
        let result = check(sql, params).map_err(Failed::Statement).and_then(|()| statement(&self.connection));
        result.map_err(|failed| match failed {
            Failed::Closure(error) => error,
            Failed::Statement(error) => {
                *self.spoiled.borrow_mut() = Some(error.clone());
                error
            }
        })
    }
}

/// Also when a closure panics.
struct Shown<'a>(&'a Cell<bool>);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// PostgreSQL has no NUL in text; so neither has SQLite, or a test would not notice.
fn check(sql: &str, params: &[Param<'_>]) -> Result<()> {
    let nul = params.iter().any(|param| match param {
        Param::Text(text) => text.as_bytes().contains(&0),
        Param::Texts(list) => list.iter().any(|text| text.as_bytes().contains(&0)),
        Param::Null | Param::Int(_) | Param::Bytes(_) | Param::Ints(_) => false,
    });
    if nul { Err(Error::Bug(format!("a text with a NUL cannot be stored: {sql}"))) } else { Ok(()) }
}

impl WriteTx {
    pub(crate) fn new(connection: Connection, blobs: Arc<Blobs>) -> WriteTx {
        WriteTx { read: ReadTx::new(connection, blobs), news: Vec::new(), depth: 0 }
    }

    /// Runs a statement and says how many rows it touched.
    pub fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        self.read.run(sql, params, |connection| match connection {
            Connection::Sqlite(sqlite) => sqlite.execute(sql, &mut std::iter::once(params)),
            Connection::Postgres(pg) => pg.execute(sql, params),
        })
    }

    /// Runs a statement with RETURNING.
    pub fn returning<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.read.rows(sql, params, map)
    }

    /// `head` is `INSERT INTO t (a, b)`, `tail` what follows the values (`ON CONFLICT DO NOTHING`, or nothing).
    /// Each row has as many values as the head has columns. Says how many rows were touched.
    pub fn insert_rows<'p, R: AsRef<[Param<'p>]>>(&mut self, head: &str, rows: &[R], tail: &str) -> Result<u64> {
        let Some(first) = rows.first() else { return Ok(0) };
        let columns = first.as_ref().len();
        if columns == 0 || rows.iter().any(|row| row.as_ref().len() != columns) {
            return Err(Error::Bug(format!("rows of unequal length for {head}")));
        }
        match &self.read.connection {
            Connection::Sqlite(_) => {
                let sql = format!("{head} VALUES {} {tail}", values(1, columns));
                for row in rows {
                    check(&sql, row.as_ref())?;
                }
                self.read.run(&sql, &[], |connection| match connection {
                    Connection::Sqlite(sqlite) => sqlite.execute(&sql, &mut rows.iter().map(AsRef::as_ref)),
                    Connection::Postgres(_) => Ok(0),
                })
            }
            Connection::Postgres(_) => self.insert_sets(head, rows, tail, columns),
        }
    }

    /// In sets whose sizes are powers of two, so that few statements need preparing.
    fn insert_sets<'p, R: AsRef<[Param<'p>]>>(
        &mut self,
        head: &str,
        rows: &[R],
        tail: &str,
        columns: usize,
    ) -> Result<u64> {
        let mut touched = 0;
        let mut rest = rows;
        while !rest.is_empty() {
            let fits = rest.len().min(POSTGRES_PARAMS_MAX / columns).clamp(1, ROWS_PER_INSERT_MAX);
            let (set, later) = rest.split_at(1 << fits.ilog2());
            let params: Vec<Param<'_>> = set.iter().flat_map(|row| row.as_ref().iter().cloned()).collect();
            touched += self.execute(&format!("{head} VALUES {} {tail}", values(set.len(), columns)), &params)?;
            rest = later;
        }
        Ok(touched)
    }

    /// Undoes what `f` did, and only that, when it fails; the transaction goes on.
    pub fn attempt<R, E: From<Error>>(&mut self, f: impl FnOnce(&mut WriteTx) -> Result<R, E>) -> Result<R, E> {
        if let Some(error) = self.spoiled() {
            return Err(E::from(error));
        }
        self.depth += 1;
        let name = format!("attempt{}", self.depth);
        let news = self.news.len();
        let result = self.control(&format!("SAVEPOINT {name}")).map_err(E::from).and_then(|()| f(self));
        self.depth -= 1;
        let result = match (result, self.spoiled()) {
            (Ok(_), Some(error)) => Err(E::from(error)),
            (result, _) => result,
        };
        if result.is_ok() {
            self.control(&format!("RELEASE SAVEPOINT {name}"))?;
            return result;
        }
        self.news.truncate(news);
        let undone = self.command(&format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}"));
        // Without the savepoint there is no transaction to go on with: the first error stays.
        if undone.is_ok() {
            self.read.reset();
        }
        result
    }

    /// Says at COMMIT that the account is at this modseq.
    pub fn publish(&mut self, account: AccountId, modseq: ModSeq) {
        match self.news.iter_mut().find(|(known, _)| *known == account) {
            // Inside an attempt the older hint must survive: it is another entry then.
            Some((_, newest)) if self.depth == 0 => *newest = (*newest).max(modseq),
            Some(_) | None => self.news.push((account, modseq)),
        }
    }

    /// Begins a job on this connection.
    pub(crate) fn reset(&mut self) {
        self.read.reset();
        self.news.clear();
        self.depth = 0;
    }

    pub(crate) fn take_news(&mut self) -> Vec<(AccountId, ModSeq)> {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn read_mut(&mut self) -> &mut ReadTx {
        &mut self.read
    }

    /// A statement of transaction control; its failure spoils.
    fn control(&mut self, sql: &str) -> Result<()> {
        self.command(sql).inspect_err(|error| *self.read.spoiled.borrow_mut() = Some(error.clone()))
    }

    /// A statement of transaction control, also in a spoiled transaction.
    pub(crate) fn command(&self, sql: &str) -> Result<()> {
        self.read.command(sql)
    }
}

impl WriteTx {
    /// Statements separated by `;`, with holes and without parameters: for migrations.
    pub(crate) fn script(&mut self, sql: &str) -> Result<()> {
        let dialect = if self.is_postgres() { Dialect::Postgres } else { Dialect::Sqlite };
        rewrite(sql, dialect).and_then(|sql| self.control(&sql))
    }
}

impl ReadTx {
    pub(crate) fn command(&self, sql: &str) -> Result<()> {
        match &self.connection {
            Connection::Sqlite(sqlite) => sqlite.control(sql),
            Connection::Postgres(pg) => pg.batch(sql),
        }
    }

    /// Opens a look on a connection whose last transaction has ended.
    pub(crate) fn begin_read(&self) -> Result<()> {
        match &self.connection {
            Connection::Sqlite(sqlite) => sqlite.control("BEGIN"),
            Connection::Postgres(pg) => pg.begin_read(),
        }
    }

    /// Ends a look. On PostgreSQL what went wrong is seen when the next one begins.
    pub(crate) fn end_read(&self) -> Result<()> {
        match &self.connection {
            Connection::Sqlite(sqlite) => sqlite.control("ROLLBACK"),
            Connection::Postgres(pg) => {
                pg.end_read();
                Ok(())
            }
        }
    }
}

/// `($1, $2), ($3, $4)` for two rows of two columns.
fn values(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let places: Vec<String> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The wire format counts parameters in 16 bits.
const POSTGRES_PARAMS_MAX: usize = 65_535;
/// Rows in one INSERT; more are several.
const ROWS_PER_INSERT_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::values;

    #[test]
    fn values_are_numbered_through() {
        assert_eq!(values(2, 3), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!(values(1, 1), "($1)");
    }
}
