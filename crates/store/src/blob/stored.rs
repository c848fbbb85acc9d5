//! The stored form of large blobs for whoever copies them whole: chunk by chunk, verified, never unpacked for long.

use super::chunk::{Encoding, Index};
use super::sweep::is_ours;
use super::{Blobs, Place, folder};
use crate::{BlobId, Error, Result, new_id};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// The list of a large blob's chunks, found to fit its head and its size.
pub(crate) struct Chunks {
    index: Index,
    encoding: Encoding,
}

impl Chunks {
    pub(crate) fn new(chunks: &[u8], head: &[u8], size: u64, encoding: i64) -> Result<Chunks> {
        let index = Index::decode(chunks)?;
        index.verify_head(head)?;
        let body = size.checked_sub(head.len() as u64);
        let body = body.ok_or_else(|| Error::Corrupt("its head is longer than all of it".into()))?;
        index.check_bounds(body)?;
        Ok(Chunks { index, encoding: Encoding::from_column(encoding)? })
    }

    /// Stored bytes of all chunks.
    pub(crate) fn stored(&self) -> u64 {
        (0..).map_while(|place| self.index.stored_length(place)).map(u64::from).sum()
    }

    /// Stored bytes of a chunk.
    pub(crate) fn length(&self, place: usize) -> Option<u32> {
        self.index.stored_length(place)
    }

    /// The plain bytes of a chunk, verified.
    pub(crate) fn check(&self, place: usize, stored: &[u8]) -> Result<Vec<u8>> {
        self.index.check_chunk(place, stored, self.encoding)
    }
}

/// A hash of what a list of chunks holds.
pub(crate) fn content(chunks: &[u8]) -> Result<[u8; 32]> {
    Ok(Index::decode(chunks)?.content())
}

/// A large blob that arrives in its stored form.
pub(crate) struct Arriving {
    blobs: Arc<Blobs>,
    file: File,
    path: PathBuf,
    name: String,
    size: u64,
    kept: bool,
}

impl Blobs {
    pub(crate) fn stored_piece(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.read_stored(name, range)
    }

    /// A name that we did not make is not used: it could lead out of the folder.
    pub(crate) fn receive(self: &Arc<Self>, name: Option<&str>) -> Result<Arriving> {
        let arrivals = self.arrivals().ok_or_else(|| {
            Error::Settings("large messages need a folder or an object store, and the settings name none".into())
        })?;
        let name = match name.filter(|name| is_ours(name)) {
            Some(name) => name.to_owned(),
            None => format!("{}-{:08x}", BlobId(new_id()), crate::id::random_u32()),
        };
        let (file, path) = arrivals.create(&name)?;
        Ok(Arriving { blobs: Arc::clone(self), file, path, name, size: 0, kept: false })
    }
}

impl Arriving {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| folder::fault(&error, &self.path))
    }

    pub(crate) fn finish(mut self) -> Result<String> {
        match &self.blobs.place {
            Place::Folder(folder) => {
                folder.keep(&self.file, &self.path, &self.name)?;
                self.kept = true;
            }
            Place::Bucket { bucket, .. } => bucket.send(&self.path, self.size, &self.name)?,
            Place::Inline => return Err(Error::Bug("a file where blobs are kept in rows".into())),
        }
        Ok(self.name.clone())
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now the sweeper removes.
            let _ = folder::remove(&self.path);
        }
    }
}
