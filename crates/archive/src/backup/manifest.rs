//! What a backup consists of: JSON for people and programs, and a last line with its checksum.

use std::path::Path;

use postroad_store::Timestamp;
use postroad_store::dump::Version;
use serde::{Deserialize, Serialize};

use super::folder::{read_small, write_small};
use super::{Error, Result};

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Manifest {
    /// 1.
    pub form: u32,
    /// Whose hands it must not fall into.
    pub note: String,
    /// Its name.
    pub id: String,
    /// The version of the program that made it.
    pub program: String,
    /// `SQLite` or `PostgreSQL`.
    pub database: String,
    /// The moment that it shows, in microseconds since 1970.
    pub taken: i64,
    /// When it was complete.
    pub finished: i64,
    /// The steps that the tables had.
    pub schema: Vec<Step>,
    /// The tables, by name; `blob` is the last.
    pub tables: Vec<TableFile>,
    /// Bytes of messages.
    pub blobs: BlobTotals,
    /// Blobs that could not be read when the backup was made: their ids and why.
    pub damaged: Vec<(String, String)>,
}

/// A step of an owner's tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// The owner.
    pub owner: String,
    /// The step.
    pub version: u32,
    /// The hash of its text.
    pub hash: String,
}

/// The file of a table: `NAME.rows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TableFile {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// The highest number that its counter has given.
    pub counted: i64,
    /// Bytes of the file.
    pub size: u64,
    /// Its BLAKE3.
    pub hash: String,
    /// BLAKE3 of the rows, whatever database they were in.
    pub content: String,
}

/// What the blobs of a backup come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BlobTotals {
    /// Blobs.
    pub count: u64,
    /// Their plain bytes.
    pub bytes: u64,
    /// Of them stored by this backup.
    pub new_count: u64,
    /// Their stored bytes.
    pub new_stored: u64,
}

impl Manifest {
    /// Reads the manifest of the backup in `folder`. Errors: `Damaged`, `Newer`.
    pub(super) fn read(folder: &Path, id: &str) -> Result<Manifest> {
        let path = folder.join(NAME);
        let bytes = read_small(&path, MAX_BYTES)?;
        let manifest = Manifest::parse(&bytes).map_err(|what| match what {
            Unreadable::Damaged(what) => Error::damaged(&path, what),
            Unreadable::Newer(form) => Error::Newer(format!("{} has the form {form}", path.display())),
        })?;
        if manifest.id == id {
            return Ok(manifest);
        }
        Err(Error::damaged(&path, format!("it is of the backup {}", manifest.id)))
    }

    /// Reads a manifest's text.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Manifest, Unreadable> {
        let damaged = |what: &str| Unreadable::Damaged(what.to_owned());
        let end = bytes.len().checked_sub(TAIL).ok_or_else(|| damaged("it is cut short"))?;
        let (json, tail) = bytes.split_at(end);
        if tail != tail_of(json).as_bytes() {
            return Err(damaged("it does not match its checksum"));
        }
        #[derive(Deserialize)]
        struct Form {
            form: u32,
        }
        let Form { form } = serde_json::from_slice(json).map_err(|error| Unreadable::Damaged(error.to_string()))?;
        if form != FORM {
            return Err(Unreadable::Newer(form));
        }
        serde_json::from_slice(json).map_err(|error| Unreadable::Damaged(error.to_string()))
    }

    /// Its text.
    pub fn text(&self) -> String {
        // A struct of numbers and texts always has a JSON form.
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        let tail = tail_of(json.as_bytes());
        json + &tail
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write_small(&folder.join(NAME), self.text().as_bytes())
    }

    /// The moment that it shows.
    pub fn taken(&self) -> Timestamp {
        Timestamp(self.taken)
    }

    /// Rows of a table.
    pub fn rows(&self, table: &str) -> u64 {
        self.tables.iter().find(|file| file.table == table).map_or(0, |file| file.rows)
    }

    /// The steps, as the store has them.
    pub(super) fn versions(&self) -> Vec<Version> {
        let version =
            |step: &Step| Version { owner: step.owner.clone(), version: step.version, hash: step.hash.clone() };
        self.schema.iter().map(version).collect()
    }
}

/// Why a manifest's text is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not what was written.
    Damaged(String),
    /// It has this later form.
    Newer(u32),
}

fn tail_of(json: &[u8]) -> String {
    format!("\nBLAKE3 {}\n", blake3::hash(json).to_hex())
}

/// The form of backups that this program makes and reads.
pub(super) const FORM: u32 = 1;
/// Written into each manifest.
pub(super) const NOTE: &str = "This backup holds mail, password hashes, and in clear the passwords of routes. Whoever can read it can read all mail and \
     try passwords.";
/// The file's name.
pub(super) const NAME: &str = "MANIFEST";
const TAIL: usize = "\nBLAKE3 \n".len() + 64;
const MAX_BYTES: u64 = 64 << 20;
