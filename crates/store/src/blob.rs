//! tmp
use crate::{BlobId, Result};

/// Blobs up to this many bytes sit in the database unless the settings say otherwise.
pub const BLOB_INLINE_MAX: usize = 64 * 1024;

/// A blob that is arriving.
pub struct Upload {}

/// A blob that is safe on disk and waits for its row.
#[derive(Debug)]
pub struct Prepared {}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Rows removed.
    pub rows: u64,
    /// Files or objects removed.
    pub objects: u64,
    /// Whether there is more to do now.
    pub more: bool,
}

impl Upload {
    /// Takes bytes. Quick: memory, then a local file.
    pub fn write(&mut self, _bytes: &[u8]) -> Result<()> {
        unimplemented!()
    }
    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        unimplemented!()
    }
    /// Makes it safe: compresses, fsyncs and renames the file, or sends it to the object store. Blocks on the
    /// disk or the network, so the shell calls it from a blocking thread. `head` goes before the bytes written.
    pub fn finish(self, _head: Vec<u8>) -> Result<Prepared> {
        unimplemented!()
    }
}

impl Prepared {
    /// The id it will have.
    pub fn id(&self) -> BlobId {
        unimplemented!()
    }
    /// Head and body.
    pub fn size(&self) -> u64 {
        unimplemented!()
    }
}
