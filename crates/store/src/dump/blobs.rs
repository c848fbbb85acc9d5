//! Blobs as they are stored, out and in: their bytes are copied without being unpacked and packed again, and verified
//! on the way.

use crate::blob::{Arriving, Chunks};
use crate::{BlobId, Error, Param, ReadTx, Result, Store, WriteTx, params};
use std::ops::Range;

/// What a row says of a blob, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// Its id.
    pub id: BlobId,
    /// Its plain bytes.
    pub size: u64,
    /// Its stored bytes.
    pub stored_size: u64,
    /// 0 as it is, 1 zstd.
    pub encoding: i64,
    /// Whether its bytes are in the row. If not, they are in chunks elsewhere.
    pub in_row: bool,
    /// BLAKE3 of the plain bytes, or of the list of chunks, which has the hashes of all plain bytes: who has the same
    /// hash and the same `in_row` has the same bytes.
    pub hash: [u8; 32],
    /// The file's or object's name.
    pub name: Option<String>,
}

/// A blob's stored bytes, or where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its row.
    pub row: BlobRow,
    /// Its bytes.
    pub body: Body,
}

/// A blob's stored bytes, or where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// All of them.
    Row(Vec<u8>),
    /// What is before the body, and the body's list of chunks; the body itself is read with [`Store::stored_piece`].
    Chunks {
        /// Plain bytes before the body.
        head: Vec<u8>,
        /// The encoded list of chunks.
        chunks: Vec<u8>,
    },
    /// None: they were lost.
    Lost,
}

impl ReadTx {
    /// Blobs that something refers to, by id, after `after`. Does not touch their bytes.
    pub fn blob_rows(&self, after: BlobId, limit: u32) -> Result<Vec<BlobRow>> {
        let sql = "SELECT id, size, stored_size, encoding, place, hash, name FROM blob
                   WHERE id > $1 AND refs > 0 ORDER BY id LIMIT $2";
        self.rows(sql, params![after, limit], |row| {
            let hash = <[u8; 32]>::try_from(row.bytes(5)?);
            Ok(BlobRow {
                id: row.id(0)?,
                size: row.int(1)?.cast_unsigned(),
                stored_size: row.int(2)?.cast_unsigned(),
                encoding: row.int(3)?,
                in_row: row.int(4)? == 0,
                hash: hash.map_err(|_| Error::Corrupt("the hash of a blob has not 32 bytes".into()))?,
                name: row.text_or_null(6)?,
            })
        })
    }

    /// The stored bytes of blobs that are in their rows; one that is gone, or has no bytes, is left out.
    pub fn blob_data(&self, ids: &[BlobId]) -> Result<Vec<(BlobId, Vec<u8>)>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let sql = "SELECT id, data FROM blob WHERE id {in:$1} AND data IS NOT NULL";
        self.rows(sql, params![&ids], |row| Ok((row.id(0)?, row.bytes(1)?)))
    }

    /// Head and list of chunks of a blob that is not in its row.
    pub fn blob_chunks(&self, id: BlobId) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let sql = "SELECT head, chunks FROM blob WHERE id = $1 AND chunks IS NOT NULL";
        self.row(sql, params![id], |row| Ok((row.bytes_or_null(0)?.unwrap_or_default(), row.bytes(1)?)))
    }

    /// The hashes of blobs, and whether their bytes are in the row.
    pub fn blob_hashes(&self, ids: &[BlobId]) -> Result<Vec<(BlobId, bool, Vec<u8>)>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let sql = "SELECT id, place, hash FROM blob WHERE id {in:$1}";
        self.rows(sql, params![&ids], |row| Ok((row.id(0)?, row.int(1)? == 0, row.bytes(2)?)))
    }
}

/// The plain bytes of a blob in a row, from its stored ones. Errors: `Corrupt` when they are not what its hash says.
pub fn check_row(row: &BlobRow, data: &[u8]) -> Result<Vec<u8>> {
    let size = usize::try_from(row.size).ok().filter(|size| *size <= ROW_PLAIN_MAX);
    let size = size.ok_or_else(|| Error::Corrupt("a blob in a row is impossibly large".into()))?;
    let plain = crate::blob::decode(data, row.encoding, size)?;
    if blake3::hash(&plain).as_bytes() == &row.hash && plain.len() == size {
        return Ok(plain);
    }
    Err(Error::Corrupt("its bytes do not match their hash".into()))
}

/// Goes through the chunks of a large blob, in order, and verifies each.
pub struct Pieces {
    chunks: Chunks,
    next: usize,
    start: u64,
}

impl Pieces {
    /// Errors: `Corrupt` when head or list are not what the row's hash says, or do not fit its sizes.
    pub fn new(row: &BlobRow, head: &[u8], chunks: &[u8]) -> Result<Pieces> {
        if blake3::hash(chunks).as_bytes() != &row.hash {
            return Err(Error::Corrupt("its list of chunks does not match its hash".into()));
        }
        let chunks = Chunks::new(chunks, head, row.size, row.encoding)?;
        if chunks.stored().checked_add(head.len() as u64) != Some(row.stored_size) {
            return Err(Error::Corrupt("its list of chunks does not fit its size".into()));
        }
        Ok(Pieces { chunks, next: 0, start: 0 })
    }

    /// Where the next chunk's stored bytes lie in the body; `None` at the end.
    pub fn next_range(&self) -> Option<Range<u64>> {
        let length = self.chunks.length(self.next)?;
        Some(self.start..self.start + u64::from(length))
    }

    /// Verifies the next chunk's stored bytes, answers with its plain ones, and goes on to the one after it.
    pub fn check(&mut self, stored: &[u8]) -> Result<Vec<u8>> {
        let plain = self.chunks.check(self.next, stored)?;
        self.start += stored.len() as u64;
        self.next += 1;
        Ok(plain)
    }
}

/// What the plain bytes of a large blob are recognised by, from its list of chunks: the same however they were packed.
pub fn content_of(chunks: &[u8]) -> Result<[u8; 32]> {
    crate::blob::content(chunks)
}

impl Store {
    /// Stored bytes of a large blob by its name.
    pub fn stored_piece(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.blobs().stored_piece(name, range)
    }

    /// Takes the stored bytes of a large blob in, under `name` when it can be one of ours, else under a new one.
    pub fn receive_stored(&self, name: Option<&str>) -> Result<StoredWriter> {
        Ok(StoredWriter { arriving: self.blobs().receive(name)? })
    }
}

/// A large blob whose stored bytes come in. Dropped before [`StoredWriter::finish`] it leaves nothing that counts.
pub struct StoredWriter {
    arriving: Arriving,
}

impl StoredWriter {
    /// Takes bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.arriving.write(bytes)
    }

    /// Makes it safe; the name that its row must have. Blocks.
    pub fn finish(self) -> Result<String> {
        self.arriving.finish()
    }
}

/// A blob to be added: its row, its bytes, and how many refer to it.
#[derive(Debug, Clone)]
pub struct LoadedBlob {
    /// As it was, the name as [`StoredWriter::finish`] gave it.
    pub blob: StoredBlob,
    /// References.
    pub refs: i64,
}

/// Adds blobs as they are. One without bytes is added as well: what refers to it is told that they are damaged.
pub fn load_blobs(tx: &mut WriteTx, blobs: &[LoadedBlob]) -> Result<()> {
    let outside = tx.blobs().column();
    let rows: Vec<[Param<'_>; 11]> = blobs
        .iter()
        .map(|LoadedBlob { blob, refs }| {
            let (data, head, chunks) = match &blob.body {
                Body::Row(data) => (Some(data), None, None),
                Body::Chunks { head, chunks } => (None, Some(head), Some(chunks)),
                Body::Lost => (None, None, None),
            };
            [
                blob.row.id.into(),
                blob.row.size.cast_signed().into(),
                blob.row.stored_size.cast_signed().into(),
                blob.row.encoding.into(),
                Param::from(if chunks.is_some() { outside } else { 0 }),
                Param::from(&blob.row.hash),
                head.map(Vec::as_slice).into(),
                data.map(Vec::as_slice).into(),
                chunks.map(Vec::as_slice).into(),
                if chunks.is_some() { blob.row.name.as_deref().into() } else { Param::Null },
                (*refs).into(),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO blob (id, size, stored_size, encoding, place, hash, head, data, chunks, name, refs)",
        &rows,
        "",
    )
    .map(|_| ())
}

/// Plain bytes of a blob in a row, at most: nobody sets the inline limit so high, and whoever made up a backup gets no
/// more memory than this.
const ROW_PLAIN_MAX: usize = 256 << 20;
