//! A whole server from a backup, into an empty place: also the way from one database to the other.
//!
//! The tables are made as they were when the backup was taken, filled, and then brought up to date. On PostgreSQL all
//! rows come in one transaction; SQLite takes them in many, and its caller gives the file its name at the end. So
//! what was broken off is empty or has no name, and no server starts on half of the mail.

use std::collections::HashMap;
use std::path::PathBuf;

use postroad_mail::restored::Renewal;
use postroad_store::dump::{self, BlobRow, Body, Fresh, LoadedBlob, StoredBlob, Table, Value};
use postroad_store::{Locks, Migration, Store, Timestamp, WriteTx};

use super::make::{BLOBS, blob_row, blob_table, rows_file};
use super::pack::{Key, PackReader};
use super::packs::{Packs, Wanted};
use super::rows::RowsReader;
use super::{Damaged, Error, Folder, Manifest, Progress, Result, Tell, find, hashing};

/// What the rows become on their way in.
pub type Reshape = Box<dyn FnMut(&Table, &mut Vec<Value>) -> Result<()> + Send>;

/// What is restored, and where to.
pub struct WholePlan<'a> {
    /// An open store without tables, or with empty ones.
    pub store: &'a Store,
    /// All steps that this program knows.
    pub migrations: &'a [Migration],
    /// The folder, locked.
    pub folder: &'a Folder,
    /// Which; the newest without.
    pub backup: Option<&'a str>,
    /// Everything exactly as it was, uidvalidities too: right only when nothing was written after the backup.
    pub exact: bool,
    /// What the owner of other tables wants changed; not asked when `exact`.
    pub reshape: Option<Reshape>,
    /// Now.
    pub now: Timestamp,
    /// Who is told.
    pub tell: Tell,
}

/// What a restore did.
#[derive(Debug, Clone)]
pub struct WholeRestored {
    /// From what.
    pub manifest: Manifest,
    /// Rows of all tables.
    pub rows: u64,
    /// Blobs.
    pub blobs: u64,
    /// Their plain bytes.
    pub bytes: u64,
    /// Messages whose bytes are lost; their places in mailboxes are there.
    pub lost: Vec<Damaged>,
    /// Files that are damaged, whether it mattered or not.
    pub complaints: Vec<String>,
}

/// Restores everything. Blocks.
pub fn whole(plan: WholePlan<'_>) -> Result<WholeRestored> {
    let manifest = plan.folder.manifest(plan.backup)?;
    let steps = dump::as_recorded(plan.migrations, &manifest.versions()).map_err(newer)?;
    let tables = dump::tables(&steps)?;
    let sources = sources(plan.folder, &manifest, &tables)?;
    check_empty(plan.store, &manifest, &steps, &tables)?;
    plan.store.migrate(&steps)?;

    let packs = Packs::open(plan.folder)?;
    let complaints = packs.complaints.clone();
    let renewal = if plan.exact { None } else { Some(Renewal::new(plan.now)) };
    let load = Load {
        store: plan.store.clone(),
        sources,
        table: 0,
        reader: None,
        renewal,
        reshape: if plan.exact { None } else { plan.reshape },
        tell: plan.tell,
        refs: HashMap::new(),
        list: rows_file(&plan.folder.backups().join(&manifest.id), BLOBS),
        wanted: None,
        packs: packs.readers,
        pack: 0,
        entry: 0,
        lost: Vec::new(),
        rows: 0,
        blobs: 0,
        bytes: 0,
        total: manifest.blobs.count,
    };
    let load = run(plan.store, load)?;
    plan.store.migrate(plan.migrations)?;
    let lost: Vec<_> = load.lost.iter().map(|row| row.id).collect();
    let lost = find::concerned(plan.folder, &manifest, &tables, &lost)?;
    Ok(WholeRestored { manifest, rows: load.rows, blobs: load.blobs, bytes: load.bytes, lost, complaints })
}

/// In one transaction on PostgreSQL, else in many.
fn run(store: &Store, load: Load) -> Result<Load> {
    let at_once = store.read_blocking(|tx| Ok::<_, Error>(tx.is_postgres()))?;
    let mut load = load;
    loop {
        let stored = store.write_blocking(Locks::none(), move |tx| {
            dump::unhurried(tx)?;
            let mut load = load;
            while load.step(tx)? {
                if !at_once {
                    return Ok((load, true));
                }
            }
            Ok::<_, Error>((load, false))
        })?;
        let (next, more) = stored.value;
        load = next;
        if !more {
            return Ok(load);
        }
    }
}

/// The files of the tables, found to be what was written.
fn sources(folder: &Folder, manifest: &Manifest, tables: &[Table]) -> Result<Vec<Source>> {
    let backup = folder.backups().join(&manifest.id);
    let mut sources = Vec::new();
    for table in tables {
        let listed = manifest.tables.iter().find(|file| file.table == table.name);
        let listed = listed.ok_or_else(|| {
            Error::Damaged(format!("the backup {} has nothing of the table {}", manifest.id, table.name))
        })?;
        sources.push(Source { table: table.clone(), path: rows_file(&backup, &table.name), counted: listed.counted });
    }
    for listed in &manifest.tables {
        let known = listed.table == BLOBS || tables.iter().any(|table| table.name == listed.table);
        if !known {
            return Err(Error::Damaged(format!("the backup {} has an unknown table {}", manifest.id, listed.table)));
        }
        let path = rows_file(&backup, &listed.table);
        let sum = hashing::sum(&path)?;
        if sum.size != listed.size || sum.hash.to_hex().as_str() != listed.hash {
            return Err(Error::Damaged(format!(
                "{} does not match its checksum, so the backup {} cannot be restored as a whole; restore an older one \
                 with --backup, or single accounts with --account",
                path.display(),
                manifest.id
            )));
        }
    }
    Ok(sources)
}

fn newer(error: postroad_store::Error) -> Error {
    match error {
        postroad_store::Error::Schema(text) => Error::Newer(text),
        other => Error::Store(other),
    }
}

/// A place that a restore was broken off in may be used again: on PostgreSQL it has tables without rows.
fn check_empty(store: &Store, manifest: &Manifest, steps: &[Migration], tables: &[Table]) -> Result<()> {
    let (recorded, fresh, tables) = (manifest.versions(), Fresh::after(steps, tables)?, tables.to_vec());
    let empty = store.read_blocking(move |tx| {
        if dump::is_blank(tx)? {
            return Ok(true);
        }
        if dump::versions(tx)? != recorded {
            return Ok(false);
        }
        dump::is_empty(tx, &tables, &fresh).map_err(Error::from)
    })?;
    if empty {
        return Ok(());
    }
    Err(Error::User(
        "the database is not empty: a whole restore needs a new one; one account comes back with --account".into(),
    ))
}

struct Source {
    table: Table,
    path: PathBuf,
    counted: i64,
}

/// How far a restore is. Everything that it needs, so that it travels to the store's thread.
struct Load {
    store: Store,
    sources: Vec<Source>,
    table: usize,
    reader: Option<RowsReader>,
    renewal: Option<Renewal>,
    reshape: Option<Reshape>,
    tell: Tell,
    /// How many rows refer to each blob.
    refs: HashMap<i64, i64>,
    list: PathBuf,
    wanted: Option<Wanted>,
    packs: Vec<PackReader>,
    pack: usize,
    entry: usize,
    lost: Vec<BlobRow>,
    rows: u64,
    blobs: u64,
    bytes: u64,
    total: u64,
}

impl Load {
    /// A bounded part of the work; whether there is more.
    fn step(&mut self, tx: &mut WriteTx) -> Result<bool> {
        if self.table < self.sources.len() {
            self.some_rows(tx)?;
            return Ok(true);
        }
        if self.wanted.is_none() {
            self.wanted = Some(self.list_of_blobs()?);
            return Ok(true);
        }
        if self.pack < self.packs.len() {
            self.some_blobs(tx)?;
            return Ok(true);
        }
        self.rest(tx)?;
        Ok(false)
    }

    fn some_rows(&mut self, tx: &mut WriteTx) -> Result<()> {
        let source = &self.sources[self.table];
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                dump::clear(tx, &source.table)?;
                none.insert(RowsReader::open(&source.path, &source.table)?)
            }
        };
        for _ in 0..BLOCKS_PER_STEP {
            let mut rows = reader.next_rows()?;
            if rows.is_empty() {
                dump::set_counted(tx, &source.table, source.counted)?;
                self.reader = None;
                self.table += 1;
                return Ok(());
            }
            for row in &mut rows {
                for blob in dump::references(&source.table, row) {
                    *self.refs.entry(blob.0).or_default() += 1;
                }
                if let Some(renewal) = &mut self.renewal {
                    renewal.reshape(&source.table, row)?;
                }
                if let Some(reshape) = &mut self.reshape {
                    reshape(&source.table, row)?;
                }
            }
            dump::load(tx, &source.table, &rows)?;
            self.rows += rows.len() as u64;
            (self.tell)(Progress { stage: "rows", done: self.rows, total: 0, bytes: 0 });
        }
        Ok(())
    }

    /// The blobs that something refers to.
    fn list_of_blobs(&self) -> Result<Wanted> {
        let mut wanted = Wanted::default();
        let refs = &self.refs;
        RowsReader::open(&self.list, &blob_table())?.each(|values| {
            let row = blob_row(&values).ok_or_else(|| Error::damaged(&self.list, "a row cannot be read"))?;
            if refs.contains_key(&row.id.0) {
                wanted.add(row);
            }
            Ok(true)
        })?;
        Ok(wanted)
    }

    fn some_blobs(&mut self, tx: &mut WriteTx) -> Result<()> {
        let (mut batch, mut weight) = (Vec::new(), 0);
        while let Some(entry) = self.packs[self.pack].entries().get(self.entry).copied() {
            self.entry += 1;
            let rows = self.wanted.as_mut().and_then(|wanted| wanted.take(&entry.key));
            let Some(rows) = rows else { continue };
            match self.bodies(&self.packs[self.pack], &entry, &rows) {
                Ok(bodies) => {
                    for blob in bodies {
                        self.blobs += 1;
                        self.bytes += blob.row.size;
                        weight += match &blob.body {
                            Body::Row(data) => data.len(),
                            Body::Chunks { chunks, .. } => chunks.len(),
                            Body::Lost => 0,
                        };
                        batch.push(self.loaded(blob));
                    }
                }
                // Another pack may have it as well; else it is lost, and named.
                Err(Error::Damaged(_)) => self.put_back(entry.key, rows),
                Err(error) => return Err(error),
            }
            if weight >= BYTES_PER_STEP || batch.len() >= dump::PAGE_ROWS {
                break;
            }
        }
        if self.entry >= self.packs[self.pack].entries().len() {
            (self.pack, self.entry) = (self.pack + 1, 0);
        }
        dump::load_blobs(tx, &batch)?;
        (self.tell)(Progress { stage: "blobs", done: self.blobs, total: self.total, bytes: self.bytes });
        Ok(())
    }

    fn put_back(&mut self, key: Key, rows: Vec<BlobRow>) {
        if let Some(wanted) = &mut self.wanted {
            wanted.put_back(key, rows);
        }
    }

    fn loaded(&self, blob: StoredBlob) -> LoadedBlob {
        let refs = self.refs.get(&blob.row.id.0).copied().unwrap_or(0);
        LoadedBlob { blob, refs }
    }

    fn bodies(&self, pack: &PackReader, entry: &super::pack::Entry, rows: &[BlobRow]) -> Result<Vec<StoredBlob>> {
        bodies(&self.store, pack, entry, rows)
    }

    /// What no pack has.
    fn rest(&mut self, tx: &mut WriteTx) -> Result<()> {
        self.lost = self.wanted.take().map(Wanted::rest).unwrap_or_default();
        let lost: Vec<LoadedBlob> =
            self.lost.iter().map(|row| self.loaded(StoredBlob { row: row.clone(), body: Body::Lost })).collect();
        dump::load_blobs(tx, &lost)?;
        Ok(())
    }
}

/// The blobs of `rows`, which share the bytes of an object; a large one's file or object is made for each.
pub(super) fn bodies(
    store: &Store,
    pack: &PackReader,
    entry: &super::pack::Entry,
    rows: &[BlobRow],
) -> Result<Vec<StoredBlob>> {
    let object = pack.object(entry)?;
    if object.row.in_row {
        let (data, _) = pack.row_bytes(&object)?;
        let blob = |row: &BlobRow| StoredBlob { row: as_packed(row, &object.row), body: Body::Row(data.clone()) };
        return Ok(rows.iter().map(blob).collect());
    }
    let mut bodies = Vec::new();
    for row in rows {
        let mut writer = store.receive_stored(row.name.as_deref())?;
        pack.chunks(&object, |stored, _| Ok(writer.write(stored)?))?;
        let row = BlobRow { name: Some(writer.finish()?), ..as_packed(row, &object.row) };
        let body = Body::Chunks { head: object.head.clone(), chunks: object.chunks.clone() };
        bodies.push(StoredBlob { row, body });
    }
    Ok(bodies)
}

/// The row's id and name with what the pack says of the bytes: the same bytes may have been packed differently when
/// they were stored a second time.
fn as_packed(row: &BlobRow, packed: &BlobRow) -> BlobRow {
    BlobRow { id: row.id, name: row.name.clone(), ..packed.clone() }
}

/// Blocks of rows, and stored bytes of blobs, in one step.
const BLOCKS_PER_STEP: usize = 8;
const BYTES_PER_STEP: usize = 8 << 20;
