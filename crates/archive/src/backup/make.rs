//! Making a backup: rows in one snapshot, then the bytes that no earlier backup has stored.
//!
//! The snapshot is held only while rows are read, because on SQLite the log grows as long as it is. The bytes of
//! messages are read afterwards: they never change, and a [`Pin`] that was written before the snapshot keeps every blob
//! that it refers to.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postroad_store::dump::{self, BlobRow, Column, Kind, Pieces, Pin, Table, Value, Version};
use postroad_store::{BlobId, Error as StoreError, Migration, ReadTx, Store, Timestamp};

use super::folder::{self, Folder};
use super::manifest::{FORM, NOTE, Step};
use super::pack::{self, Key, PACK_TARGET, PackWriter};
use super::rows::{RowsSum, RowsWriter};
use super::{BlobTotals, Error, Manifest, Progress, Result, TableFile, Tell};

/// What is backed up, and into which folder.
pub struct Plan<'a> {
    /// The store, open; its tables may be older than this program.
    pub store: &'a Store,
    /// All steps that this program knows.
    pub migrations: &'a [Migration],
    /// The folder, locked.
    pub folder: &'a Folder,
    /// The program's version.
    pub program: &'a str,
    /// The shell's clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Who is told.
    pub tell: Tell,
}

/// A backup that was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// It.
    pub manifest: Manifest,
    /// Bytes that it added to the folder.
    pub written: u64,
    /// How long the snapshot was held.
    pub snapshot_micros: i64,
}

/// Makes a backup. Blocks for as long as it takes; the server goes on.
///
/// Errors leave nothing but packs that the next backup makes use of.
pub fn make(plan: &Plan<'_>) -> Result<Made> {
    let taken = (plan.clock)();
    let id = folder::new_backup_id(taken);
    let draft = plan.folder.temporary().join(&id);
    folder::make_folder(&draft)?;
    let recorded = plan.store.read_blocking(dump::versions)?;
    let steps = dump::as_recorded(plan.migrations, &recorded)?;
    let tables = dump::tables(&steps)?;
    let has_pins = steps.iter().any(|step| step.owner == "store" && step.version >= PINS_SINCE);
    let mut pin = if has_pins { Some(Pin::new(plan.store, taken)?) } else { None };

    let known = pack::known(plan.folder)?;
    let snapshot =
        Snapshot { recorded: recorded.clone(), tables, draft: draft.clone(), known, tell: Arc::clone(&plan.tell) };
    let started = (plan.clock)();
    let seen = plan.store.read_blocking(move |tx| snapshot.take(tx))?;
    let snapshot_micros = (plan.clock)().0 - started.0;
    let rows_size: u64 = seen.files.iter().map(|file| file.size).sum();

    let mut copy = Copy { plan, pack: None, stored: 0, count: 0, bytes: 0, damaged: Vec::new(), pin: &mut pin };
    copy.all(&seen.new)?;
    copy.end_pack()?;
    let (damaged, new_count, new_stored) = (copy.damaged, copy.count, copy.stored);
    let manifest = Manifest {
        form: FORM,
        note: NOTE.into(),
        id: id.clone(),
        program: plan.program.into(),
        database: plan.store.health()?.database.into(),
        taken: taken.0,
        finished: (plan.clock)().0,
        schema: recorded
            .into_iter()
            .map(|step| Step { owner: step.owner, version: step.version, hash: step.hash })
            .collect(),
        tables: seen.files,
        blobs: BlobTotals { count: seen.blobs, bytes: seen.blob_bytes, new_count, new_stored },
        damaged,
    };
    manifest.write(&draft)?;
    folder::sync_folder(&draft)?;
    folder::rename(&draft, &plan.folder.backups().join(&id))?;
    Ok(Made { written: rows_size + new_stored, manifest, snapshot_micros })
}

/// What is read in one moment.
struct Snapshot {
    recorded: Vec<Version>,
    tables: Vec<Table>,
    draft: PathBuf,
    known: HashSet<Key>,
    tell: Tell,
}

struct Seen {
    files: Vec<TableFile>,
    blobs: u64,
    blob_bytes: u64,
    /// Blobs that no pack has, each key once.
    new: Vec<BlobRow>,
}

impl Snapshot {
    fn take(mut self, tx: &ReadTx) -> Result<Seen> {
        dump::unhurried(tx)?;
        if dump::versions(tx)? != self.recorded {
            return Err(Error::User("the tables were being brought up to date: run the same again".into()));
        }
        let mut seen = Seen { files: Vec::new(), blobs: 0, blob_bytes: 0, new: Vec::new() };
        let mut done = 0;
        for table in &self.tables {
            let mut file = RowsWriter::create(&rows_file(&self.draft, &table.name), table)?;
            let mut last: Option<Vec<Value>> = None;
            loop {
                let rows = dump::page(tx, table, last.as_deref())?;
                for row in &rows {
                    file.push(row)?;
                }
                done += rows.len() as u64;
                (self.tell)(Progress { stage: "rows", done, total: 0, bytes: 0 });
                match rows.into_iter().next_back() {
                    Some(row) => last = Some(row),
                    None => break,
                }
            }
            seen.files.push(table_file(&table.name, dump::counted(tx, table)?, file.finish()?));
        }
        self.blobs(tx, &mut seen)?;
        Ok(seen)
    }

    fn blobs(&mut self, tx: &ReadTx, seen: &mut Seen) -> Result<()> {
        let mut file = RowsWriter::create(&rows_file(&self.draft, BLOBS), &blob_table())?;
        let mut last = BlobId(i64::MIN);
        loop {
            let rows = tx.blob_rows(last, dump::PAGE_ROWS as u32)?;
            let Some(row) = rows.last() else { break };
            last = row.id;
            for row in rows {
                file.push(&blob_values(&row))?;
                seen.blobs += 1;
                seen.blob_bytes += row.size;
                if self.known.insert(Key::of(&row)) {
                    seen.new.push(row);
                }
            }
            (self.tell)(Progress { stage: "list of blobs", done: seen.blobs, total: 0, bytes: 0 });
        }
        seen.files.push(table_file(BLOBS, 0, file.finish()?));
        Ok(())
    }
}

/// Bytes on their way into packs.
struct Copy<'a> {
    plan: &'a Plan<'a>,
    pin: &'a mut Option<Pin>,
    pack: Option<PackWriter>,
    stored: u64,
    count: u64,
    bytes: u64,
    damaged: Vec<(String, String)>,
}

impl Copy<'_> {
    fn all(&mut self, new: &[BlobRow]) -> Result<()> {
        let mut rest = new;
        let (total, mut done) = (new.len() as u64, 0);
        while let Some(first) = rest.first() {
            if let Some(pin) = self.pin.as_mut() {
                pin.renew((self.plan.clock)())?;
            }
            let taken = if first.in_row { self.small(rest)? } else { self.large(first).map(|()| 1)? };
            rest = &rest[taken..];
            done += taken as u64;
            (self.plan.tell)(Progress { stage: "blobs", done, total, bytes: self.bytes });
        }
        Ok(())
    }

    /// As many blobs that are in their rows as make a batch; says how many.
    fn small(&mut self, rest: &[BlobRow]) -> Result<usize> {
        let (mut taken, mut weight) = (0, 0);
        while taken < BATCH_BLOBS && weight < BATCH_BYTES && rest.get(taken).is_some_and(|row| row.in_row) {
            weight += rest[taken].stored_size;
            taken += 1;
        }
        let batch = &rest[..taken];
        let ids: Vec<BlobId> = batch.iter().map(|row| row.id).collect();
        let found = self.plan.store.read_blocking(move |tx| {
            let mut found = tx.blob_data(&ids)?;
            found.sort_unstable_by_key(|(id, _)| *id);
            Ok::<_, StoreError>(found)
        })?;
        for row in batch {
            match found.binary_search_by_key(&row.id, |(id, _)| *id) {
                Ok(place) => match dump::check_row(row, &found[place].1) {
                    Ok(_) => {
                        self.pack()?.add(row, &found[place].1)?;
                        self.packed(row)?;
                    }
                    Err(error) => self.lost(row, &error),
                },
                Err(_) => self.lost(row, &StoreError::Missing("its bytes are gone".into())),
            }
        }
        Ok(taken)
    }

    fn large(&mut self, row: &BlobRow) -> Result<()> {
        match self.stream(row) {
            Ok(()) => self.packed(row),
            // The message is damaged, not the database: the backup goes on and names it.
            Err(Error::Store(error @ (StoreError::Corrupt(_) | StoreError::Missing(_)))) => {
                self.lost(row, &error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn stream(&mut self, row: &BlobRow) -> Result<()> {
        let (store, id) = (self.plan.store, row.id);
        let found = store.read_blocking(move |tx| tx.blob_chunks(id))?;
        let (head, chunks) = found.ok_or_else(|| StoreError::Missing("its row is gone".into()))?;
        let name = row.name.as_deref().ok_or_else(|| StoreError::Corrupt("its row names no bytes".into()))?;
        let mut pieces = Pieces::new(row, &head, &chunks)?;
        self.pack()?.begin(row, &head, &chunks, row.stored_size - head.len() as u64)?;
        while let Some(range) = pieces.next_range() {
            let stored = store.stored_piece(name, range)?;
            pieces.check(&stored)?;
            self.pack()?.write(&stored)?;
            if let Some(pin) = self.pin.as_mut() {
                pin.renew((self.plan.clock)())?;
            }
        }
        self.pack()?.end();
        Ok(())
    }

    fn packed(&mut self, row: &BlobRow) -> Result<()> {
        self.count += 1;
        self.stored += row.stored_size;
        self.bytes += row.size;
        match self.pack.as_ref().is_some_and(|pack| pack.size() >= PACK_TARGET) {
            true => self.end_pack(),
            false => Ok(()),
        }
    }

    fn lost(&mut self, row: &BlobRow, error: &StoreError) {
        if self.damaged.len() < DAMAGED_MAX {
            self.damaged.push((row.id.to_string(), error.to_string()));
        }
    }

    fn pack(&mut self) -> Result<&mut PackWriter> {
        match &mut self.pack {
            Some(pack) => Ok(pack),
            none => {
                let (temporary, name) = self.plan.folder.new_pack();
                Ok(none.insert(PackWriter::create(&temporary, &name)?))
            }
        }
    }

    fn end_pack(&mut self) -> Result<()> {
        self.pack.take().map_or(Ok(()), PackWriter::finish)
    }
}

/// Where the rows of a table are.
pub(super) fn rows_file(backup: &Path, table: &str) -> PathBuf {
    backup.join(format!("{table}.rows"))
}

/// The list of blobs as a table.
pub(super) fn blob_table() -> Table {
    let column = |(name, kind): (&str, Kind)| Column { name: name.into(), kind };
    let columns = [
        ("id", Kind::Int),
        ("size", Kind::Int),
        ("stored_size", Kind::Int),
        ("encoding", Kind::Int),
        ("in_row", Kind::Int),
        ("hash", Kind::Bytes),
        ("name", Kind::Text),
    ];
    Table { name: BLOBS.into(), columns: columns.map(column).into(), key: vec![0], counter: None }
}

fn blob_values(row: &BlobRow) -> Vec<Value> {
    vec![
        Value::Int(row.id.0),
        Value::Int(row.size.cast_signed()),
        Value::Int(row.stored_size.cast_signed()),
        Value::Int(row.encoding),
        Value::Int(row.in_row.into()),
        Value::Bytes(row.hash.to_vec()),
        row.name.clone().map_or(Value::Null, Value::Text),
    ]
}

/// A row of the list of blobs; `None` when it cannot be one.
pub(super) fn blob_row(values: &[Value]) -> Option<BlobRow> {
    let [id, size, stored_size, encoding, in_row, Value::Bytes(hash), name] = values else { return None };
    Some(BlobRow {
        id: BlobId(id.int()?),
        size: u64::try_from(size.int()?).ok()?,
        stored_size: u64::try_from(stored_size.int()?).ok()?,
        encoding: encoding.int()?,
        in_row: in_row.int()? != 0,
        hash: <[u8; 32]>::try_from(hash.as_slice()).ok()?,
        name: name.text().map(str::to_owned),
    })
}

fn table_file(table: &str, counted: i64, sum: RowsSum) -> TableFile {
    TableFile { table: table.into(), rows: sum.rows, counted, size: sum.size, hash: sum.hash, content: sum.content }
}

/// A draft that failed is removed now or by the next backup.
impl Drop for Plan<'_> {
    fn drop(&mut self) {
        if let Ok(drafts) = fs::read_dir(self.folder.temporary()) {
            for draft in drafts.flatten() {
                let path = draft.path();
                let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            }
        }
    }
}

/// The list of blobs' name among the tables.
pub(super) const BLOBS: &str = "blob";
/// The step of the store's tables that brought pins.
const PINS_SINCE: u32 = 4;
/// Blobs and stored bytes that are read at once.
const BATCH_BLOBS: usize = 500;
const BATCH_BYTES: u64 = 4 << 20;
/// Damaged blobs that a manifest names.
const DAMAGED_MAX: usize = 10_000;
