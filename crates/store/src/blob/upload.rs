//! A blob that arrives: in memory up to the inline limit, then chunk by chunk into a temporary file.

use super::chunk::{self, CHUNK, Encoding, Index};
use super::{Blobs, Place, folder};
use crate::{BlobId, Error, Result, new_id};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A blob that is arriving.
///
/// Memory: up to the inline limit, then one chunk of 256 KiB. Dropped before [`Upload::finish`] it leaves nothing.
pub struct Upload {
    blobs: Arc<Blobs>,
    id: BlobId,
    memory: Vec<u8>,
    spill: Option<Spill>,
    size: u64,
    failed: Option<Error>,
    /// Up to so many bytes it lies in its row.
    inline: usize,
}

/// A blob that is safe on disk and waits for its row: give it to [`crate::WriteTx::blob_put`].
///
/// Dropped without that, its file goes too; an object stays until the sweeper finds it.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) id: BlobId,
    pub(super) size: u64,
    pub(super) stored_size: u64,
    pub(super) encoding: Encoding,
    pub(super) hash: [u8; 32],
    pub(super) head: Option<Vec<u8>>,
    pub(super) data: Option<Vec<u8>>,
    pub(super) chunks: Option<Vec<u8>>,
    pub(super) name: Option<String>,
    /// Its file, until a row names it.
    pub(super) file: Option<Arc<Unclaimed>>,
}

/// A file in the folder that no row names yet: removed with the last copy of its [`Prepared`], unless
/// [`crate::WriteTx::blob_put`] took it.
#[derive(Debug)]
pub(super) struct Unclaimed {
    path: PathBuf,
    claimed: AtomicBool,
}

impl Unclaimed {
    /// A row is about to name it. When the row is undone the sweeper finds the file.
    pub(super) fn claim(&self) {
        self.claimed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if !self.claimed.load(Ordering::Relaxed) {
            // What cannot be removed now the sweeper removes.
            let _ = folder::remove(&self.path);
        }
    }
}

/// The file of a large blob, while it is written.
struct Spill {
    file: File,
    path: PathBuf,
    name: String,
    /// Set by the first chunk.
    encoding: Option<Encoding>,
    index: Index,
    stored: u64,
    kept: bool,
}

impl Upload {
    pub(crate) fn new(blobs: Arc<Blobs>) -> Upload {
        let inline = blobs.inline_limit;
        Upload { blobs, id: BlobId(new_id()), memory: Vec::new(), spill: None, size: 0, failed: None, inline }
    }

    /// It goes to a file however small it is, where there are files: for who has many at once. Before the first byte.
    pub fn outside(&mut self) {
        self.inline = 0;
    }

    /// Takes bytes. Quick: memory, then a local file. After an error every further call fails with the same.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.take(bytes).inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that it keeps in memory until [`Upload::finish`]; with more it goes to a file.
    pub fn room(&self) -> usize {
        self.inline
    }

    /// Whether [`Upload::finish`] is quick, with no disk and no network in it: what came is small and lies in memory.
    pub fn is_small(&self) -> bool {
        self.spill.is_none() && self.memory.len() <= SMALL
    }

    /// Makes it safe: compresses, fsyncs and renames the file, or sends it to the object store. Blocks on the disk or
    /// the network, so the shell calls it from a blocking thread. `head` goes before the bytes written.
    pub fn finish(mut self, head: Vec<u8>) -> Result<Prepared> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match self.spill.take() {
            None => self.finish_in_row(head),
            Some(spill) => self.finish_in_file(head, spill),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.spill.is_none() {
            let fits = self.memory.len() + bytes.len() <= self.inline;
            match self.blobs.arrivals() {
                Some(arrivals) if !fits => {
                    let name = format!("{}-{:08x}", self.id, crate::id::random_u32());
                    let (file, path) = arrivals.create(&name)?;
                    let index = Index::new();
                    self.spill = Some(Spill { file, path, name, encoding: None, index, stored: 0, kept: false });
                }
                Some(_) | None => {
                    self.memory.extend_from_slice(bytes);
                    return Ok(());
                }
            }
        }
        let Some(spill) = &mut self.spill else { return Ok(()) };
        let mut rest = bytes;
        while !rest.is_empty() || self.memory.len() >= CHUNK {
            let room = CHUNK.saturating_sub(self.memory.len());
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.memory.extend_from_slice(now);
            rest = later;
            if self.memory.len() >= CHUNK {
                // The inline limit may be larger than a chunk: what is over stays for the next.
                let over = self.memory.split_off(CHUNK);
                spill.write_chunk(&self.memory)?;
                self.memory = over;
            }
        }
        Ok(())
    }

    fn finish_in_row(self, head: Vec<u8>) -> Result<Prepared> {
        let mut all = head;
        all.extend_from_slice(&self.memory);
        let hash = *blake3::hash(&all).as_bytes();
        let size = all.len() as u64;
        let (data, encoding) = match chunk::compress_if_worth(&all)? {
            Some(packed) => (packed, Encoding::Zstd),
            None => (all, Encoding::Raw),
        };
        Ok(Prepared {
            id: self.id,
            size,
            stored_size: data.len() as u64,
            encoding,
            hash,
            head: None,
            data: Some(data),
            chunks: None,
            name: None,
            file: None,
        })
    }

    fn finish_in_file(self, head: Vec<u8>, mut spill: Spill) -> Result<Prepared> {
        if !self.memory.is_empty() {
            spill.write_chunk(&self.memory)?;
        }
        spill.index.set_head(&head);
        let chunks = spill.index.encode();
        let mut file = None;
        match &self.blobs.place {
            Place::Folder(folder) => {
                folder.keep(&spill.file, &spill.path, &spill.name)?;
                spill.kept = true;
                let path = folder.file(&spill.name);
                file = Some(Arc::new(Unclaimed { path, claimed: AtomicBool::new(false) }));
            }
            Place::Bucket { bucket, .. } => bucket.send(&spill.path, spill.stored, &spill.name)?,
            Place::Inline => return Err(Error::Bug("a file where blobs are kept in rows".into())),
        }
        Ok(Prepared {
            id: self.id,
            size: self.size + head.len() as u64,
            stored_size: spill.stored + head.len() as u64,
            encoding: spill.encoding.unwrap_or(Encoding::Raw),
            hash: *blake3::hash(&chunks).as_bytes(),
            head: Some(head),
            data: None,
            chunks: Some(chunks),
            name: Some(spill.name.clone()),
            file,
        })
    }
}

/// So many bytes are hashed and compressed in a few hundred microseconds: less than a way to another thread is worth.
const SMALL: usize = 32 * 1024;

impl Prepared {
    /// The id it will have.
    pub fn id(&self) -> BlobId {
        self.id
    }

    /// Head and body.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Spill {
    fn write_chunk(&mut self, plain: &[u8]) -> Result<()> {
        let packed = match self.encoding {
            None => {
                let packed = chunk::compress_if_worth(plain)?;
                self.encoding = Some(if packed.is_some() { Encoding::Zstd } else { Encoding::Raw });
                packed
            }
            Some(Encoding::Zstd) => Some(chunk::compress(plain)?),
            Some(Encoding::Raw) => None,
        };
        let stored = packed.as_deref().unwrap_or(plain);
        self.file.write_all(stored).map_err(|error| folder::fault(&error, &self.path))?;
        self.index.push(plain, stored.len());
        self.stored += stored.len() as u64;
        Ok(())
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // An upload that was broken off, or that went on to the object store. What cannot be removed now the sweeper
        // removes.
        if !self.kept {
            let _ = folder::remove(&self.path);
        }
    }
}
