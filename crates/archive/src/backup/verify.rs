//! Reads everything in a folder of backups and compares it with its checksums.

use std::collections::HashSet;

use postroad_store::Migration;
use postroad_store::dump;

use super::make::{BLOBS, blob_row, blob_table, rows_file};
use super::pack::{Key, PackReader};
use super::rows::RowsReader;
use super::{Damaged, Error, Folder, Manifest, Progress, Result, Tell, find, hashing};

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Backups looked at.
    pub backups: u64,
    /// Packs looked at.
    pub packs: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong, file by file.
    pub complaints: Vec<String>,
    /// The messages that cannot be restored, by backup.
    pub lost: Vec<(String, Damaged)>,
}

impl Verified {
    /// Whether everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.complaints.is_empty() && self.lost.is_empty()
    }
}

/// Verifies all backups of a folder, or one of them, and all packs. Errors only when the folder cannot be read at all.
pub fn verify(folder: &Folder, only: Option<&str>, migrations: &[Migration], tell: &Tell) -> Result<Verified> {
    let mut verified = Verified::default();
    let sound = packs(folder, &mut verified, tell)?;
    let ids = match only {
        Some(id) => vec![id.to_owned()],
        None => folder.ids()?,
    };
    for id in ids {
        verified.backups += 1;
        match folder.manifest(Some(&id)) {
            Ok(manifest) => backup(folder, &manifest, &sound, migrations, &mut verified)?,
            Err(error @ Error::User(_)) => return Err(error),
            Err(error) => verified.complaints.push(error.to_string()),
        }
        (tell)(Progress { stage: "backups", done: verified.backups, total: 0, bytes: verified.bytes });
    }
    Ok(verified)
}

/// Reads all packs; the keys whose bytes are sound.
fn packs(folder: &Folder, verified: &mut Verified, tell: &Tell) -> Result<HashSet<Key>> {
    let mut sound = HashSet::new();
    let files = folder.pack_files()?;
    let total = files.len() as u64;
    for path in files {
        verified.packs += 1;
        verified.bytes += path.metadata().map_or(0, |found| found.len());
        let pack = match PackReader::open(&path) {
            Ok(pack) => pack,
            Err(Error::Damaged(what)) => {
                verified.complaints.push(what);
                PackReader::recover(&path)?
            }
            Err(error) => {
                verified.complaints.push(error.to_string());
                continue;
            }
        };
        let whole = match pack.is_sound() {
            Ok(whole) => whole,
            Err(Error::Damaged(_)) => false,
            Err(error) => return Err(error),
        };
        if whole {
            sound.extend(pack.entries().iter().map(|entry| entry.key));
        } else {
            let what = format!("{}: it does not match its checksum", path.display());
            if verified.complaints.iter().all(|known| !known.starts_with(&path.display().to_string())) {
                verified.complaints.push(what);
            }
            sound.extend(pack.entries().iter().filter(|entry| pack.check(entry).is_ok()).map(|entry| entry.key));
        }
        (tell)(Progress { stage: "packs", done: verified.packs, total, bytes: verified.bytes });
    }
    Ok(sound)
}

fn backup(
    folder: &Folder,
    manifest: &Manifest,
    sound: &HashSet<Key>,
    migrations: &[Migration],
    verified: &mut Verified,
) -> Result<()> {
    let place = folder.backups().join(&manifest.id);
    let mut whole = true;
    for listed in &manifest.tables {
        let path = rows_file(&place, &listed.table);
        let what = match hashing::sum(&path) {
            Ok(sum) => {
                verified.bytes += sum.size;
                if sum.size == listed.size && sum.hash.to_hex().as_str() == listed.hash {
                    continue;
                }
                format!("{} does not match its checksum: this backup cannot be restored as a whole", path.display())
            }
            Err(error) => error.to_string(),
        };
        whole = false;
        verified.complaints.push(what);
    }
    for (blob, why) in &manifest.damaged {
        verified.complaints.push(format!("{}: blob {blob} was damaged when the backup was made: {why}", manifest.id));
    }
    if !whole {
        return Ok(());
    }
    let was_damaged: HashSet<&str> = manifest.damaged.iter().map(|(blob, _)| blob.as_str()).collect();
    let mut lost = Vec::new();
    let list = rows_file(&place, BLOBS);
    RowsReader::open(&list, &blob_table())?.each(|values| {
        let row = blob_row(&values).ok_or_else(|| Error::damaged(&list, "a row cannot be read"))?;
        if !sound.contains(&Key::of(&row)) && !was_damaged.contains(row.id.to_string().as_str()) {
            lost.push(row.id);
        }
        Ok(true)
    })?;
    if lost.is_empty() {
        return Ok(());
    }
    verified.complaints.push(format!(
        "{}: the bytes of {} messages are missing or damaged; move damaged packs away, and the next backup stores again \
         what the server still has",
        manifest.id,
        lost.len()
    ));
    // Of a backup by a newer program the names cannot be read; what is wrong was said.
    if let Ok(tables) = dump::as_recorded(migrations, &manifest.versions()).and_then(|steps| dump::tables(&steps)) {
        let concerned = find::concerned(folder, manifest, &tables, &lost)?;
        verified.lost.extend(concerned.into_iter().map(|one| (manifest.id.clone(), one)));
    }
    Ok(())
}
