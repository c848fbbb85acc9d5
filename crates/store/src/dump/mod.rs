//! All rows of a database in one neutral form, out and in: what backups are made of, and the way from one database
//! to the other.
//!
//! Which tables there are, and what their columns hold, is not asked of the database but of the migrations: they are
//! applied to an empty database in memory and that one is looked at. So both databases have the same tables by
//! construction, tables of others in the same PostgreSQL are left alone, and a backup of an older version is read with
//! the tables of that version.
//!
//! Not rows like others: blobs ([`crate::dump::BlobRow`]), whose bytes are copied by hash, the list of migrations, which is a
//! list of [`Version`]s, and what belongs to one place or one moment ([`NOT_DUMPED`]).
//!
//! A column named `blob` refers to a blob, in every table: references are counted again by whoever restores.

mod blobs;
mod pin;

pub use blobs::{BlobRow, Body, LoadedBlob, Pieces, StoredBlob, StoredWriter, check_row, content_of, load_blobs};
pub(crate) use pin::PINS;
pub use pin::Pin;

use crate::{BlobId, Error, Migration, Param, ReadTx, Result, Row, Settings, Store, WriteTx, migrate, params};
use std::ops::ControlFlow;

/// A table as the migrations make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// The places of the primary key's columns in `columns`, in the key's order.
    pub key: Vec<usize>,
    /// The column that the database counts by itself, never giving a number twice.
    pub counter: Option<usize>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds, besides NULL.
    pub kind: Kind,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit integers.
    Int,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Bytes,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A step of an owner's tables that a database has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The owner.
    pub owner: String,
    /// The step.
    pub version: u32,
    /// The hash of its text.
    pub hash: String,
}

/// The steps that this database has, by owner.
pub fn versions(tx: &ReadTx) -> Result<Vec<Version>> {
    tx.rows("SELECT owner, version, hash FROM migration ORDER BY owner, version", params![], |row| {
        let version = u32::try_from(row.int(1)?).map_err(|_| Error::Corrupt("the version of a migration".into()))?;
        Ok(Version { owner: row.text(0)?, version, hash: row.text(2)? })
    })
}

/// Whether nobody has made tables of ours here yet.
pub fn is_blank(tx: &ReadTx) -> Result<bool> {
    let sql = if tx.is_postgres() {
        "SELECT count(*) FROM information_schema.tables
         WHERE table_schema = current_schema() AND table_name IN ('migration', 'blob', 'account')"
    } else {
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    };
    tx.one(sql, params![], |row| Ok(row.int(0)? == 0))
}

/// Of this program's steps those that `recorded` has, in this program's order.
///
/// Errors: `Schema` when `recorded` has a step that this program does not know, or knows with another text.
pub fn as_recorded(ours: &[Migration], recorded: &[Version]) -> Result<Vec<Migration>> {
    for step in recorded {
        let known = ours.iter().find(|one| one.owner == step.owner && one.version == step.version);
        let Some(known) = known else {
            return Err(Error::Schema(format!(
                "the tables of {} are at version {} or later, which this program does not know",
                step.owner, step.version
            )));
        };
        if migrate::text_hash(known) != step.hash {
            return Err(Error::Schema(format!(
                "version {} of the tables of {} was made by another text",
                step.version, step.owner
            )));
        }
    }
    let has = |one: &Migration| recorded.iter().any(|step| step.owner == one.owner && step.version == one.version);
    Ok(ours.iter().copied().filter(has).collect())
}

/// The tables that these steps make, by name, without [`NOT_DUMPED`].
pub fn tables(steps: &[Migration]) -> Result<Vec<Table>> {
    let store = Store::open(Settings::memory())?;
    store.migrate(steps)?;
    store.read_blocking(|tx| {
        let names = tx.rows(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
            params![],
            |row| Ok((row.text(0)?, row.text(1)?.contains("AUTOINCREMENT"))),
        )?;
        let dumped = names.into_iter().filter(|(name, _)| !NOT_DUMPED.contains(&name.as_str()));
        dumped.map(|(name, counts)| table(tx, name, counts)).collect()
    })
}

fn table(tx: &ReadTx, name: String, counts: bool) -> Result<Table> {
    let columns = tx.rows("SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid", params![&name], |row| {
        Ok((row.text(0)?, row.text(1)?, row.int(2)?))
    })?;
    let mut key: Vec<(i64, usize)> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.2 > 0)
        .map(|(place, column)| (column.2, place))
        .collect();
    key.sort_unstable();
    let key: Vec<usize> = key.into_iter().map(|(_, place)| place).collect();
    if key.is_empty() {
        return Err(Error::Bug(format!("the table {name} has no primary key and cannot be dumped in order")));
    }
    let counter = if counts { key.first().copied() } else { None };
    let columns: Result<Vec<Column>> = columns
        .into_iter()
        .map(|(column, kind, _)| {
            let kind = match kind.as_str() {
                "INTEGER" | "BIGINT" => Kind::Int,
                "TEXT" => Kind::Text,
                "BLOB" => Kind::Bytes,
                other => return Err(Error::Bug(format!("the column {name}.{column} has the type {other}"))),
            };
            Ok(Column { name: column, kind })
        })
        .collect();
    Ok(Table { columns: columns?, name, key, counter })
}

impl Table {
    /// The place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Whether a row can be one of this table's.
    pub fn fits(&self, row: &[Value]) -> bool {
        let fits = |(value, column): (&Value, &Column)| match value {
            Value::Null => true,
            Value::Int(_) => column.kind == Kind::Int,
            Value::Text(_) => column.kind == Kind::Text,
            Value::Bytes(_) => column.kind == Kind::Bytes,
        };
        row.len() == self.columns.len() && row.iter().zip(&self.columns).all(fits)
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        names.join(", ")
    }

    fn key_names(&self) -> String {
        let names: Vec<&str> = self.key.iter().map(|place| self.columns[*place].name.as_str()).collect();
        names.join(", ")
    }

    fn key_of(&self, row: &[Value]) -> Vec<Value> {
        self.key.iter().filter_map(|place| row.get(*place).cloned()).collect()
    }
}

impl Value {
    /// The number, if it is one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Null | Value::Text(_) | Value::Bytes(_) => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Null | Value::Int(_) | Value::Bytes(_) => None,
        }
    }

    /// Bytes of memory, roughly.
    pub fn weight(&self) -> usize {
        match self {
            Value::Null | Value::Int(_) => 8,
            Value::Text(text) => text.len() + 8,
            Value::Bytes(bytes) => bytes.len() + 8,
        }
    }

    fn param(&self) -> Param<'_> {
        match self {
            Value::Null => Param::Null,
            Value::Int(number) => Param::Int(*number),
            Value::Text(text) => Param::Text(text),
            Value::Bytes(bytes) => Param::Bytes(bytes),
        }
    }
}

/// No statement of this transaction is broken off for the time it takes: PostgreSQL's limits are meant for requests.
pub fn unhurried(tx: &ReadTx) -> Result<()> {
    if tx.is_postgres() {
        tx.command("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")?;
    }
    Ok(())
}

/// The next rows in the order of the primary key, after the row `after`: at most [`PAGE_ROWS`], fewer when they are
/// large. None are left when the answer is empty.
pub fn page(tx: &ReadTx, table: &Table, after: Option<&[Value]>) -> Result<Vec<Vec<Value>>> {
    let (names, key) = (table.names(), table.key_names());
    let (condition, params) = match after {
        None => (String::new(), Vec::new()),
        Some(row) => {
            let places: Vec<String> = (1..=table.key.len()).map(|place| format!("${place}")).collect();
            (format!("WHERE ({key}) > ({})", places.join(", ")), table.key_of(row))
        }
    };
    let params: Vec<Param<'_>> = params.iter().map(Value::param).collect();
    let sql = format!("SELECT {names} FROM {} {condition} ORDER BY {key} LIMIT {PAGE_ROWS}", table.name);
    let (mut rows, mut weight) = (Vec::new(), 0);
    tx.each(&sql, &params, |row| {
        let values = values(row, &table.columns)?;
        weight += values.iter().map(Value::weight).sum::<usize>();
        rows.push(values);
        Ok(if weight < PAGE_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(rows)
}

fn values(row: &Row<'_>, columns: &[Column]) -> Result<Vec<Value>> {
    let value = |(place, column): (usize, &Column)| {
        Ok(match column.kind {
            Kind::Int => row.int_or_null(place)?.map_or(Value::Null, Value::Int),
            Kind::Text => row.text_or_null(place)?.map_or(Value::Null, Value::Text),
            Kind::Bytes => row.bytes_or_null(place)?.map_or(Value::Null, Value::Bytes),
        })
    };
    columns.iter().enumerate().map(value).collect()
}

/// Adds rows as they are. Errors: `Bug` for a row that is not one of this table's, `Conflict` for one that is there.
pub fn load(tx: &mut WriteTx, table: &Table, rows: &[Vec<Value>]) -> Result<()> {
    if rows.iter().any(|row| !table.fits(row)) {
        return Err(Error::Bug(format!("a row that is none of the table {}", table.name)));
    }
    let head = format!("INSERT INTO {} ({})", table.name, table.names());
    let params: Vec<Vec<Param<'_>>> = rows.iter().map(|row| row.iter().map(Value::param).collect()).collect();
    tx.insert_rows(&head, &params, "").map(|_| ())
}

/// Takes all rows out of a table: what its steps put there is in the backup as well.
pub fn clear(tx: &mut WriteTx, table: &Table) -> Result<()> {
    tx.execute(&format!("DELETE FROM {}", table.name), params![]).map(|_| ())
}

/// Whether the tables hold nothing but what the steps that made them put there.
pub fn is_empty(tx: &ReadTx, tables: &[Table], fresh: &Fresh) -> Result<bool> {
    for table in tables {
        let made = fresh.0.iter().find(|(name, _)| *name == table.name).map_or(&[][..], |(_, rows)| rows);
        if page(tx, table, None)? != made {
            return Ok(false);
        }
    }
    Ok(tx.blob_rows(BlobId(i64::MIN), 1)?.is_empty())
}

/// What the tables hold when they are new.
pub struct Fresh(Vec<(String, Vec<Vec<Value>>)>);

impl Fresh {
    /// After these steps.
    pub fn after(steps: &[Migration], tables: &[Table]) -> Result<Fresh> {
        let store = Store::open(Settings::memory())?;
        store.migrate(steps)?;
        let tables = tables.to_vec();
        let rows = store.read_blocking(move |tx| {
            tables.iter().map(|table| Ok::<_, Error>((table.name.clone(), page(tx, table, None)?))).collect()
        })?;
        Ok(Fresh(rows))
    }
}

/// The highest number that a table's counter has given, also to rows that are gone; 0 for a table without.
pub fn counted(tx: &ReadTx, table: &Table) -> Result<i64> {
    let Some(counter) = table.counter else { return Ok(0) };
    let (name, column) = (&table.name, &table.columns[counter].name);
    if tx.is_postgres() {
        let sequence =
            tx.one("SELECT CAST(pg_get_serial_sequence($1, $2) AS TEXT)", params![name, column], |row| row.text(0))?;
        let sql = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}");
        return tx.one(&sql, params![], |row| row.int(0));
    }
    let seen = tx.row("SELECT seq FROM sqlite_sequence WHERE name = $1", params![name], |row| row.int(0))?;
    Ok(seen.unwrap_or(0))
}

/// Lets a table's counter go on after `last`.
pub fn set_counted(tx: &mut WriteTx, table: &Table, last: i64) -> Result<()> {
    let Some(counter) = table.counter else { return Ok(()) };
    if last <= 0 {
        return Ok(());
    }
    let (name, column) = (&table.name, &table.columns[counter].name);
    if tx.is_postgres() {
        let sql = "SELECT setval(pg_get_serial_sequence($1, $2), $3)";
        return tx.one(sql, params![name, column, last], |_| Ok(()));
    }
    let touched = tx.execute("UPDATE sqlite_sequence SET seq = $2 WHERE name = $1", params![name, last])?;
    if touched == 0 {
        tx.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)", params![name, last])?;
    }
    Ok(())
}

/// The blobs that a row refers to.
pub fn references<'a>(table: &'a Table, row: &'a [Value]) -> impl Iterator<Item = BlobId> + 'a {
    let named = table.columns.iter().zip(row).filter(|(column, _)| column.name == "blob");
    named.filter_map(|(_, value)| value.int().map(BlobId))
}

/// Tables that have a way of their own, or that say what is true of one place at one moment: the list of steps, blobs,
/// whose folder it is, who is copying blobs; and what is made of other tables, and made again: the full-text index.
pub const NOT_DUMPED: &[&str] =
    &["migration", "blob", "blob_home", "blob_pin", "search_state", "search_recent", "search_segment", "search_page"];
/// Rows in a page.
pub const PAGE_ROWS: usize = 2000;
/// A page ends with the row that makes it larger than this.
pub const PAGE_BYTES: usize = 4 << 20;
