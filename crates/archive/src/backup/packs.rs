//! All packs of a folder, whole or damaged: who wants bytes by their hashes gets them in the order in which they lie.

use postroad_store::dump::BlobRow;
use std::collections::HashMap;

use super::pack::{Key, PackReader};
use super::{Error, Folder, Result};

/// The packs, and what is wrong with some.
pub(super) struct Packs {
    pub(super) readers: Vec<PackReader>,
    pub(super) complaints: Vec<String>,
}

impl Packs {
    pub(super) fn open(folder: &Folder) -> Result<Packs> {
        let mut packs = Packs { readers: Vec::new(), complaints: Vec::new() };
        for path in folder.pack_files()? {
            match PackReader::open(&path) {
                Ok(pack) => packs.readers.push(pack),
                Err(Error::Damaged(what)) => {
                    packs.complaints.push(what);
                    packs.readers.push(PackReader::recover(&path)?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(packs)
    }
}

/// Blobs that are looked for: the rows that share the same bytes, by their key.
#[derive(Default)]
pub(super) struct Wanted(HashMap<Key, Vec<BlobRow>>);

impl Wanted {
    pub(super) fn add(&mut self, row: BlobRow) {
        self.0.entry(Key::of(&row)).or_default().push(row);
    }

    pub(super) fn take(&mut self, key: &Key) -> Option<Vec<BlobRow>> {
        self.0.remove(key)
    }

    /// When they could not be read after all: another pack may have them as well.
    pub(super) fn put_back(&mut self, key: Key, rows: Vec<BlobRow>) {
        self.0.insert(key, rows);
    }

    /// What was not found.
    pub(super) fn rest(self) -> Vec<BlobRow> {
        let mut rows: Vec<BlobRow> = self.0.into_values().flatten().collect();
        rows.sort_unstable_by_key(|row| row.id);
        rows
    }
}
