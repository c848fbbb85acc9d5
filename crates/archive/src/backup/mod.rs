//! Backups: a folder that holds many, each whole, made while the server runs, and the ways back.
//!
//! ```text
//! FOLDER/postroad-backups        what this folder is
//! FOLDER/packs/ID.pack           the bytes of messages, by hash: what one backup has stored no later one stores again
//! FOLDER/backups/ID/MANIFEST     what the backup consists of; made last
//! FOLDER/backups/ID/TABLE.rows   the rows of a table, and `blob.rows`, which says which bytes are needed
//! FOLDER/tmp/                    what is being written
//! ```
//!
//! Invariants:
//! 1. A backup exists when its folder has its name. It gets that name last, by one rename, when everything in it and
//!    every pack it needs is on the disk. A crash leaves the backups that were there.
//! 2. A pack is written once and never changed. It goes only when no backup needs anything in it.
//! 3. All rows of a backup are of one moment.
//! 4. Every byte of every file is covered by a checksum. What is read is not believed: no size that a file claims is
//!    more memory than the file has bytes or a limit allows, no name in it becomes a path.
//! 5. Files are for their owner alone: they hold mail and password hashes.
//!
//! Never here: SQL, a clock (`now` comes in), the command line.

mod account;
mod block;
mod error;
mod find;
mod folder;
mod hashing;
mod keep;
mod make;
mod manifest;
mod pack;
mod packs;
mod rows;
mod verify;
mod whole;

pub use account::{AccountPlan, AccountRestored, account};
pub use error::{Error, Result};
pub use find::Damaged;
pub use folder::Folder;
pub use keep::{Kept, keep};
pub use make::{Made, Plan, make};
pub use manifest::{BlobTotals, Manifest, Step, TableFile, Unreadable};
pub use pack::{Entry, Key, Object, PackReader, PackWriter};
pub use rows::{RowsReader, RowsSum, RowsWriter};
pub use verify::{Verified, verify};
pub use whole::{Reshape, WholePlan, WholeRestored, whole};

use std::sync::Arc;

/// How far a long work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: &'static str,
    /// Rows, blobs or files done.
    pub done: u64,
    /// Of so many, when that is known; else 0.
    pub total: u64,
    /// Bytes read or written so far in this stage.
    pub bytes: u64,
}

/// Who is told. Called often: it decides what it shows.
pub type Tell = Arc<dyn Fn(Progress) + Send + Sync>;

/// Tells nobody.
pub fn silent() -> Tell {
    Arc::new(|_| {})
}
