//! A message's way in: parsed and stored as its bytes flow, the header block editable before it is sealed.
//!
//! ```text
//! let mut intake = Intake::new(store.upload(), limits);
//! if intake.feed(chunk)? == Fed::HeaderEnded { complete(intake.header_mut()) }   // submission only
//! ...
//! let arrival = intake.finish(received_and_return_path)?;      // blocking: fsync
//! ```

use postroad_message::{Limits, Summary};
use postroad_store::{Prepared, Upload};

use crate::Result;

/// Longest header block in bytes; a longer one is refused.
pub const MAX_HEADER_BYTES: usize = 1024 * 1024;

/// A message that is coming in.
pub struct Intake {
    header: Vec<u8>,
}

/// What a [`Intake::feed`] brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// Still in the header, or in the body as before.
    More,
    /// The header block has just ended: until the next `feed` or `finish` it may be edited.
    HeaderEnded,
}

/// A message that is safe on disk, ready to be delivered.
#[derive(Debug)]
pub struct Arrival {
    /// The stored bytes, prefix included.
    pub blob: Prepared,
    /// Their number.
    pub size: u64,
    /// What listing needs.
    pub summary: Summary,
    /// The same, encoded for the database.
    pub summary_bytes: Vec<u8>,
    /// What threads are found by (`Summary::thread_keys`).
    pub thread_keys: Vec<u64>,
    /// Its Message-ID without angle brackets: a key of its story.
    pub message_id: Option<String>,
}

impl Intake {
    /// Ready for bytes.
    pub fn new(upload: Upload, limits: Limits) -> Intake {
        unimplemented!()
    }

    /// Takes bytes. Errors: `Message` for a header block beyond [`MAX_HEADER_BYTES`], `Store`.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Fed> {
        unimplemented!()
    }

    /// The header block so far, with its blank line once it ended.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The header block for editing; `None` when it is sealed (body bytes were fed after `HeaderEnded`).
    /// A message that ends within its header is edited here right before `finish`.
    pub fn header_mut(&mut self) -> Option<&mut Vec<u8>> {
        unimplemented!()
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        unimplemented!()
    }

    /// Ends the message. `prefix` is whole header lines to put first (Return-Path, Received). Blocks on the
    /// disk or the object store: not on an async thread, not in a transaction.
    pub fn finish(self, prefix: Vec<u8>) -> Result<Arrival> {
        unimplemented!()
    }
}
