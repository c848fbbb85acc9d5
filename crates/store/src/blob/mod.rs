//! Message bytes: small ones in their row, large ones in a folder or an object store that the row names.
//!
//! Invariants:
//! 1. A row is committed only after the bytes it names are safe: `finish` comes before `blob_put`.
//! 2. What is read was verified against its hash, or what lies packed in its row against the checksum that was packed with it
//!    (XXH64, a fifteenth of the work: this is about disks that err, and backups look at the hash); anything else is
//!    [`Error::Corrupt`] with the blob's name.
//! 3. A file or object is removed only after the commit that removed its row, or when it is a day old and
//!    no row names it. A crash leaves a file too many, never one too few.
//! 4. A row without references is first marked, and removed a grace later, so that a snapshot that still
//!    sees it can be read.
//!
//! Transitions of a row: put (`blob_put`, 1 reference), retained and released, marked (`sweep`), removed (`sweep`).

mod ahead;
mod bucket;
mod bytes;
mod chunk;
mod folder;
mod recent;
mod shared;
mod stored;
mod sweep;
mod together;
mod upload;

use crate::{BlobId, BlobPlace, Error, Param, ReadTx, Result, Row, Settings, WriteTx, params};
pub(crate) use ahead::Ahead;
use bucket::Bucket;
pub use bytes::BlobBytes;
use chunk::{Encoding, Index};
use folder::Folder;
pub(crate) use folder::fault as fault_of_file;
use std::collections::HashMap;
use std::ops::Range;
pub(crate) use stored::{Arriving, Chunks, content};
pub use sweep::Swept;
pub(crate) use sweep::{check_home, sweep};
pub use upload::{Prepared, Upload};

pub(crate) const TABLES: &str = "
CREATE TABLE blob (
    id BIGINT PRIMARY KEY,
    size BIGINT NOT NULL,
    stored_size BIGINT NOT NULL,
    encoding BIGINT NOT NULL,   -- 0 as it is, 1 zstd
    place BIGINT NOT NULL,      -- 0 in the row, 1 in a folder, 2 in an object store
    hash {bytes} NOT NULL,      -- BLAKE3 of all bytes, or of `chunks`
    head {bytes},               -- before the bytes in the file; in the row they are one
    data {bytes},               -- the bytes, when they are here
    chunks {bytes},             -- lengths and hashes, when they are elsewhere
    name {text},                -- of the file or object
    refs BIGINT NOT NULL,
    idle_since BIGINT);         -- when the sweeper first found it without references
CREATE UNIQUE INDEX blob_name ON blob (name) WHERE name IS NOT NULL;
CREATE INDEX blob_unused ON blob (id) WHERE refs <= 0;
CREATE TABLE blob_home (
    id {text} NOT NULL);        -- one row: what the folder or the object store is marked with";

/// What waits for its grace is not looked at again and again to find what is new: on SQLite a column behind `data` is
/// found only by reading all of it.
pub(crate) const IDLE: &str = "
DROP INDEX blob_unused;
CREATE INDEX blob_idle ON blob (idle_since, id) WHERE refs <= 0;";

/// On SQLite a row is found by its id without an index beside it, and what is small is read without the bytes.
pub(crate) const BY_ID: &str = "
CREATE TABLE blob_by_id (
    id {key},
    size BIGINT NOT NULL,
    stored_size BIGINT NOT NULL,
    encoding BIGINT NOT NULL,
    place BIGINT NOT NULL,
    hash {bytes} NOT NULL,
    refs BIGINT NOT NULL,
    idle_since BIGINT,
    name {text},
    head {bytes},
    chunks {bytes},
    data {bytes});
INSERT INTO blob_by_id (id, size, stored_size, encoding, place, hash, refs, idle_since, name, head, chunks, data)
    SELECT id, size, stored_size, encoding, place, hash, refs, idle_since, name, head, chunks, data
    FROM blob ORDER BY id;
DROP TABLE blob;
ALTER TABLE blob_by_id RENAME TO blob;
CREATE UNIQUE INDEX blob_name ON blob (name) WHERE name IS NOT NULL;
CREATE INDEX blob_idle ON blob (idle_since, id) WHERE refs <= 0;";

/// Blobs up to this many bytes sit in the database unless the settings say otherwise.
pub const BLOB_INLINE_MAX: usize = 128 * 1024;

/// Where blobs go.
pub(crate) struct Blobs {
    place: Place,
    inline_limit: usize,
    sweeper: sweep::Progress,
    recent: recent::Recent,
}

enum Place {
    Folder(Folder),
    Bucket { bucket: Box<Bucket>, spool: Folder },
    Inline,
}

impl Blobs {
    pub(crate) fn open(settings: &Settings) -> Result<Blobs> {
        let place = match &settings.blobs {
            BlobPlace::Folder(path) => Place::Folder(Folder::open(path)?),
            BlobPlace::S3(s3) => {
                Place::Bucket { spool: Folder::open_spool(&s3.spool)?, bucket: Box::new(Bucket::open(s3)?) }
            }
            BlobPlace::Inline => Place::Inline,
        };
        Ok(Blobs {
            place,
            inline_limit: settings.inline_limit,
            sweeper: sweep::Progress::default(),
            recent: recent::Recent::default(),
        })
    }

    /// Where large blobs are, for people.
    pub(crate) fn place(&self) -> String {
        match &self.place {
            Place::Folder(folder) => folder.path().display().to_string(),
            Place::Bucket { bucket, .. } => bucket.place().to_owned(),
            Place::Inline => "in the database".to_owned(),
        }
    }

    /// The number of the place of large blobs, as rows have it.
    pub(crate) fn column(&self) -> i64 {
        match &self.place {
            Place::Inline => 0,
            Place::Folder(_) => 1,
            Place::Bucket { .. } => 2,
        }
    }

    /// The folder in which large blobs arrive, if there is one.
    fn arrivals(&self) -> Option<&Folder> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Bucket { spool, .. } => Some(spool),
            Place::Inline => None,
        }
    }

    fn read_stored(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        match &self.place {
            Place::Folder(folder) => folder.read(name, range),
            Place::Bucket { bucket, .. } => bucket.read(name, range),
            Place::Inline => Err(Error::Settings(format!("{name} is in no place that is set"))),
        }
    }

    fn remove(&self, name: &str) -> Result<()> {
        match &self.place {
            Place::Folder(folder) => folder.remove(name),
            Place::Bucket { bucket, .. } => bucket.remove(name),
            Place::Inline => Ok(()),
        }
    }
}

/// The plain bytes, at most `size` of them, by the number of the encoding in the row.
pub(crate) fn decode(stored: &[u8], encoding: i64, size: usize) -> Result<Vec<u8>> {
    chunk::decode(stored, Encoding::from_column(encoding)?, size)
}

/// A row of the table, as far as reading needs it.
enum Stored {
    /// The bytes were in it.
    Here(Result<Vec<u8>>),
    Elsewhere(Box<Elsewhere>),
}

/// A row that says where the bytes are.
struct Elsewhere {
    size: u64,
    encoding: Encoding,
    place: i64,
    hash: Vec<u8>,
    head: Option<Vec<u8>>,
    chunks: Option<Vec<u8>>,
    name: Option<String>,
}

impl ReadTx {
    /// The bytes of a blob in `range` (cut to its size), checksum verified. Of a large blob only the chunks that the
    /// range touches are read.
    pub fn blob_read(&self, blob: BlobId, range: Range<u64>) -> Result<Vec<u8>> {
        if let Some(all) = self.ahead().take(blob) {
            return Ok(cut(all, &range));
        }
        let stored = self.row(
            "SELECT size, encoding, place, hash, head, data, chunks, name FROM blob WHERE id = $1",
            params![blob],
            Stored::of,
        )?;
        let bytes = match stored.ok_or_else(|| Error::Missing(format!("blob {blob}")))? {
            Stored::Here(bytes) => bytes.map(|all| cut(all, &range)),
            Stored::Elsewhere(stored) => self.read_elsewhere(&stored, &range),
        };
        bytes.map_err(|error| error.context(format!("blob {blob}")))
    }

    fn read_elsewhere(&self, stored: &Elsewhere, range: &Range<u64>) -> Result<Vec<u8>> {
        let range = range.start.min(stored.size)..range.end.min(stored.size);
        match (&stored.name, &stored.chunks) {
            _ if range.is_empty() => Ok(Vec::new()),
            (Some(name), Some(chunks)) => self.read_chunks(stored, name, chunks, range),
            (_, _) => Err(Error::Corrupt("its row names no bytes".into())),
        }
    }

    /// All bytes of a small blob, checksum verified when it was read, which may have been lately: for what clients ask for
    /// again and again. Without a statement where they are at hand.
    pub fn blob_whole(&self, blob: BlobId) -> Result<BlobBytes> {
        if let Some(known) = self.blobs().recent.find(blob) {
            return Ok(known);
        }
        let bytes = BlobBytes::from(self.blob_read(blob, 0..u64::MAX)?);
        self.blobs().recent.keep([(blob, &bytes)]);
        Ok(bytes)
    }

    /// All bytes of a blob, head and body.
    pub fn blob_size(&self, blob: BlobId) -> Result<u64> {
        let size = self.row("SELECT size FROM blob WHERE id = $1", params![blob], |row| row.int(0))?;
        size.map(i64::cast_unsigned).ok_or_else(|| Error::Missing(format!("blob {blob}")))
    }

    fn read_chunks(&self, stored: &Elsewhere, name: &str, chunks: &[u8], range: Range<u64>) -> Result<Vec<u8>> {
        if blake3::hash(chunks).as_bytes()[..] != stored.hash[..] {
            return Err(Error::Corrupt("its list of chunks does not match its hash".into()));
        }
        let index = Index::decode(chunks)?;
        let head = stored.head.as_deref().unwrap_or_default();
        index.verify_head(head)?;
        let head_size = head.len() as u64;
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        if range.start < head_size {
            bytes.extend_from_slice(&head[range.start as usize..range.end.min(head_size) as usize]);
        }
        if range.end > head_size {
            if stored.place != self.blobs().column() {
                let place = if stored.place == 1 { "a folder" } else { "an object store" };
                return Err(Error::Settings(format!("{name} is in {place}, and the settings name another place")));
            }
            let body = range.start.saturating_sub(head_size)..range.end - head_size;
            let (span, touched) = index.span(&body, stored.size - head_size)?;
            let raw = self.blobs().read_stored(name, span)?;
            index.extract(&raw, touched, stored.encoding, &body, &mut bytes).map_err(|error| error.context(name))?;
        }
        Ok(bytes)
    }
}

impl Stored {
    /// What is in the row is unpacked from where it lies.
    fn of(row: &Row<'_>) -> Result<Stored> {
        let (size, encoding) = (row.int(0)?.cast_unsigned(), Encoding::from_column(row.int(1)?)?);
        if let Some(data) = row.raw_or_null(5)? {
            let hash = row.raw_or_null(3)?.unwrap_or_default();
            return Ok(Stored::Here(whole(data, encoding, hash, size)));
        }
        Ok(Stored::Elsewhere(Box::new(Elsewhere {
            size,
            encoding,
            place: row.int(2)?,
            hash: row.bytes(3)?,
            head: row.bytes_or_null(4)?,
            chunks: row.bytes_or_null(6)?,
            name: row.text_or_null(7)?,
        })))
    }
}

/// What of some bytes lies in a range.
fn cut(mut all: Vec<u8>, range: &Range<u64>) -> Vec<u8> {
    let place = |offset: u64, all: &[u8]| usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
    all.truncate(place(range.end, &all));
    all.drain(..place(range.start, &all));
    all
}

/// The bytes that sit in a row.
fn whole(data: &[u8], encoding: Encoding, hash: &[u8], size: u64) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    whole_behind(data, encoding, hash, size, &mut plain)?;
    Ok(plain)
}

/// The bytes that sit in a row, behind those in `out`; none where they are wrong.
fn whole_behind(data: &[u8], encoding: Encoding, hash: &[u8], size: u64, out: &mut Vec<u8>) -> Result<()> {
    let before = out.len();
    chunk::decode_behind(data, encoding, usize::try_from(size).unwrap_or(usize::MAX), out)?;
    let plain = &out[before..];
    let verified = chunk::checks_itself(data, encoding) || blake3::hash(plain).as_bytes()[..] == *hash;
    if verified && plain.len() as u64 == size {
        return Ok(());
    }
    out.truncate(before);
    Err(Error::Corrupt("its bytes do not match their hash".into()))
}

impl WriteTx {
    /// Makes a prepared blob part of this transaction, with one reference.
    pub fn blob_put(&mut self, prepared: &Prepared) -> Result<BlobId> {
        self.blob_put_all(&[prepared])?;
        Ok(prepared.id)
    }

    /// Rows for many blobs, each with one reference. Few statements, whatever their number.
    pub fn blob_put_all(&mut self, prepared: &[&Prepared]) -> Result<()> {
        let outside = self.blobs().column();
        prepared.iter().filter_map(|one| one.file.as_ref()).for_each(|file| file.claim());
        let rows: Vec<[Param<'_>; 11]> = prepared
            .iter()
            .map(|one| {
                [
                    Param::from(one.id),
                    Param::from(one.size.cast_signed()),
                    Param::from(one.stored_size.cast_signed()),
                    Param::from(one.encoding.column()),
                    Param::from(&one.hash),
                    Param::from(one.head.as_deref()),
                    Param::from(one.data.as_deref()),
                    Param::from(one.chunks.as_deref()),
                    Param::from(one.name.as_deref()),
                    Param::from(if one.name.is_some() { outside } else { 0 }),
                    Param::from(1i64),
                ]
            })
            .collect();
        self.insert_rows(
            "INSERT INTO blob (id, size, stored_size, encoding, hash, head, data, chunks, name, place, refs)",
            &rows,
            "",
        )?;
        Ok(())
    }

    /// `n` more references.
    pub fn blob_retain(&mut self, blob: BlobId, n: i64) -> Result<()> {
        self.add_references(n, &[blob.0])
    }

    /// `n` fewer references. At 0 the sweeper removes it after its grace.
    pub fn blob_release(&mut self, blob: BlobId, n: i64) -> Result<()> {
        self.add_references(-n, &[blob.0])
    }

    /// One more reference to each; one that is named twice gets two.
    pub fn blob_retain_all(&mut self, blobs: &[BlobId]) -> Result<()> {
        self.hold(blobs)?;
        by_count(blobs).into_iter().try_for_each(|(count, ids)| self.add_references(count, &ids))
    }

    /// One reference fewer to each; one that is named twice loses two.
    pub fn blob_release_all(&mut self, blobs: &[BlobId]) -> Result<()> {
        self.hold(blobs)?;
        by_count(blobs).into_iter().try_for_each(|(count, ids)| self.add_references(-count, &ids))
    }

    /// Accounts share blobs, and writes with no lock in common count them: each takes their rows in one order, whatever order
    /// the database would change them in, so that none waits for one that waits for it. Only where writes run beside each
    /// other.
    fn hold(&self, blobs: &[BlobId]) -> Result<()> {
        if self.is_postgres() && blobs.len() > 1 {
            let ids: Vec<i64> = blobs.iter().map(|blob| blob.0).collect();
            self.rows("SELECT id FROM blob WHERE id {in:$1} ORDER BY id {held}", params![&ids], |row| row.int(0))?;
        }
        Ok(())
    }

    fn add_references(&mut self, n: i64, ids: &[i64]) -> Result<()> {
        // A row that is wanted again is no longer idle.
        let touched = self.execute(
            "UPDATE blob SET refs = refs + $1, idle_since = CASE WHEN $1 > 0 THEN NULL ELSE idle_since END
             WHERE id {in:$2}",
            params![n, ids],
        )?;
        if touched == ids.len() as u64 {
            return Ok(());
        }
        Err(Error::Missing(format!("{} of {} blobs to refer to", ids.len() as u64 - touched, ids.len())))
    }
}

/// The blobs that are named once, those named twice, and so on, each list rising.
fn by_count(blobs: &[BlobId]) -> Vec<(i64, Vec<i64>)> {
    let mut counts: HashMap<i64, i64> = HashMap::new();
    for blob in blobs {
        *counts.entry(blob.0).or_default() += 1;
    }
    let mut groups: HashMap<i64, Vec<i64>> = HashMap::new();
    for (id, count) in counts {
        groups.entry(count).or_default().push(id);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.iter_mut().for_each(|(_, ids)| ids.sort_unstable());
    groups.sort_unstable();
    groups
}
