//! The bytes of a small blob, shared by all who read them.
//!
//! Blobs that are read together lie behind each other in one buffer: a tenth of the work of a buffer for each, where
//! an allocator asks the system for its pages one by one.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// All bytes of a blob, verified. A clone is the same bytes.
#[derive(Clone)]
pub struct BlobBytes {
    buffer: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl BlobBytes {
    /// What lies in `range` of a buffer that others share.
    pub(super) fn within(buffer: &Arc<Vec<u8>>, range: Range<usize>) -> BlobBytes {
        BlobBytes { buffer: Arc::clone(buffer), range }
    }

    /// In a buffer of its own: whoever keeps these for long keeps no others with them.
    pub(super) fn alone(&self) -> BlobBytes {
        match self.range.len() == self.buffer.len() {
            true => self.clone(),
            false => BlobBytes::from(self.to_vec()),
        }
    }
}

impl Deref for BlobBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

impl From<Vec<u8>> for BlobBytes {
    fn from(bytes: Vec<u8>) -> BlobBytes {
        let range = 0..bytes.len();
        BlobBytes { buffer: Arc::new(bytes), range }
    }
}

impl PartialEq for BlobBytes {
    fn eq(&self, other: &BlobBytes) -> bool {
        **self == **other
    }
}

impl Eq for BlobBytes {}

impl fmt::Debug for BlobBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
