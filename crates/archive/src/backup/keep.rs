//! Lets old backups go, and the packs that only they needed.

use std::collections::HashSet;
use std::fs;

use super::make::{BLOBS, blob_row, blob_table, rows_file};
use super::pack::{Entry, Key, PackReader, PackWriter};
use super::rows::RowsReader;
use super::{Error, Folder, Result, folder};

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Backups removed.
    pub removed: Vec<String>,
    /// Packs removed.
    pub packs: u64,
    /// Bytes of packs freed.
    pub freed: u64,
}

/// Keeps the newest `count` backups, at least one. A backup goes by losing its name; then packs that nothing needs go,
/// and one of which less than half is needed is written anew with what is.
///
/// Errors: `Damaged` when what the others need cannot be read: then no pack goes.
pub fn keep(of: &Folder, count: usize) -> Result<Kept> {
    let mut kept = Kept::default();
    let mut ids = of.ids()?;
    let gone = ids.len().saturating_sub(count.max(1));
    for id in ids.drain(..gone) {
        let grave = of.temporary().join(&id);
        folder::rename(&of.backups().join(&id), &grave)?;
        fs::remove_dir_all(&grave).map_err(|error| Error::file(&grave, &error))?;
        kept.removed.push(id);
    }
    let mut needed = HashSet::new();
    for id in &ids {
        let manifest = of.manifest(Some(id))?;
        let list = rows_file(&of.backups().join(&manifest.id), BLOBS);
        RowsReader::open(&list, &blob_table())?.each(|values| {
            let row = blob_row(&values).ok_or_else(|| Error::damaged(&list, "a row cannot be read"))?;
            needed.insert(Key::of(&row));
            Ok(true)
        })?;
    }
    for path in of.pack_files()? {
        // A damaged pack is not touched: something may still be got out of it.
        let Ok(pack) = PackReader::open(&path) else { continue };
        clear(of, &pack, &mut needed, &mut kept)?;
    }
    Ok(kept)
}

/// A pack's turn. What it keeps, no other pack need keep.
fn clear(of: &Folder, pack: &PackReader, needed: &mut HashSet<Key>, kept: &mut Kept) -> Result<()> {
    let live: Vec<Entry> = pack.entries().iter().filter(|entry| needed.contains(&entry.key)).copied().collect();
    let size = pack.path().metadata().map_err(|error| Error::file(pack.path(), &error))?.len();
    let bytes: u64 = live.iter().map(PackReader::length).sum();
    if bytes > size / 2 || (bytes > 0 && !pack.is_sound()?) {
        live.iter().for_each(|entry| {
            needed.remove(&entry.key);
        });
        return Ok(());
    }
    if !live.is_empty() {
        let (temporary, name) = of.new_pack();
        let mut writer = PackWriter::create(&temporary, &name)?;
        for entry in &live {
            let object = pack.object(entry)?;
            if object.row.in_row {
                writer.add(&object.row, &pack.row_bytes(&object)?.0)?;
            } else {
                writer.begin(
                    &object.row,
                    &object.head,
                    &object.chunks,
                    object.row.stored_size - object.head.len() as u64,
                )?;
                pack.chunks(&object, |stored, _| writer.write(stored))?;
                writer.end();
            }
            needed.remove(&entry.key);
        }
        writer.finish()?;
    }
    fs::remove_file(pack.path()).map_err(|error| Error::file(pack.path(), &error))?;
    folder::sync_folder(&of.packs())?;
    kept.packs += 1;
    kept.freed += size - bytes.min(size);
    Ok(())
}
