//! The folder of backups: who may work in it, what is in it, and how things get their names.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use postroad_message::date::Date;
use postroad_store::{BlobId, Timestamp, new_id};

use super::{Error, Manifest, Result};

/// A folder of backups, locked: by one who writes, or by any number who read.
pub struct Folder {
    root: PathBuf,
    _lock: Option<File>,
}

impl Folder {
    /// For a backup: makes the folder when it is not there, and clears away what a crash left.
    ///
    /// Errors: `User` for a folder with other things in it, `Busy` when somebody else works in it.
    pub fn to_write(root: &Path) -> Result<Folder> {
        make_folder(root)?;
        let mark = root.join(MARK);
        if !mark.is_file() {
            let mut inside = fs::read_dir(root).map_err(|error| Error::file(root, &error))?;
            if inside.any(|entry| entry.map_or(true, |entry| entry.file_name() != LOCK)) {
                return Err(Error::User(format!(
                    "{} holds other files and is no folder of backups; name an empty or a new one",
                    root.display()
                )));
            }
            write_small(&mark, MARK_TEXT.as_bytes())?;
        }
        check_mark(&mark)?;
        let path = root.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(FILE_MODE).open(&path);
        let lock = file.map_err(|error| Error::file(&path, &error))?;
        if lock.try_lock().is_err() {
            return Err(busy(root));
        }
        let folder = Folder { root: root.to_owned(), _lock: Some(lock) };
        for part in [folder.packs(), folder.backups(), folder.temporary()] {
            // What is in them is removed when it is old: in another place that would be somebody else's.
            if part.is_symlink() {
                return Err(Error::User(format!(
                    "{} is a link; name a folder of backups without links",
                    part.display()
                )));
            }
            make_folder(&part)?;
        }
        folder.clear_temporary()?;
        sync_folder(root)?;
        Ok(folder)
    }

    /// For a look or a restore; also from a place that cannot be written.
    pub fn to_read(root: &Path) -> Result<Folder> {
        let mark = root.join(MARK);
        if !mark.is_file() {
            return Err(Error::User(format!("{} is no folder of backups", root.display())));
        }
        check_mark(&mark)?;
        let lock = open_file(&root.join(LOCK)).ok();
        if lock.as_ref().is_some_and(|lock| lock.try_lock_shared().is_err()) {
            return Err(busy(root));
        }
        Ok(Folder { root: root.to_owned(), _lock: lock })
    }

    /// Its place.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn packs(&self) -> PathBuf {
        self.root.join("packs")
    }

    pub(super) fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The ids of all backups, the oldest first.
    pub fn ids(&self) -> Result<Vec<String>> {
        let mut ids = names(&self.backups())?;
        ids.retain(|id| is_id(id));
        ids.sort_unstable();
        Ok(ids)
    }

    /// The backup of an id, or the newest.
    pub fn manifest(&self, id: Option<&str>) -> Result<Manifest> {
        let id = match id {
            Some(id) if is_id(id) && self.backups().join(id).is_dir() => id.to_owned(),
            Some(id) => {
                return Err(Error::User(format!(
                    "there is no backup {id}; `postroad backup list {}` shows all",
                    self.root.display()
                )));
            }
            None => self.ids()?.pop().ok_or_else(|| Error::User(format!("{} has no backup", self.root.display())))?,
        };
        Manifest::read(&self.backups().join(&id), &id)
    }

    /// All packs, by name.
    pub(super) fn pack_files(&self) -> Result<Vec<PathBuf>> {
        let mut found = names(&self.packs())?;
        found.retain(|name| name.strip_suffix(".pack").is_some_and(|id| id.parse::<BlobId>().is_ok()));
        found.sort_unstable();
        Ok(found.into_iter().map(|name| self.packs().join(name)).collect())
    }

    /// Where a new pack is written, and its name when it is done.
    pub(super) fn new_pack(&self) -> (PathBuf, PathBuf) {
        let name = format!("{}.pack", BlobId(new_id()));
        (self.temporary().join(&name), self.packs().join(&name))
    }

    fn clear_temporary(&self) -> Result<()> {
        let folder = self.temporary();
        for name in names(&folder)? {
            let path = folder.join(name);
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| Error::file(&path, &error))?;
        }
        Ok(())
    }
}

/// `20261122T063105Z-3d0a7`: sorts by time, to the microsecond, so that the newest is the last.
pub(super) fn new_backup_id(now: Timestamp) -> String {
    let days = now.0.div_euclid(MICROS_PER_DAY);
    let Date { year, month, day } = Date::from_days(days);
    let micros = now.0.rem_euclid(MICROS_PER_DAY);
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hours:02}{minutes:02}{seconds:02}Z-{micros:05x}")
}

/// A name that stays in its folder.
fn is_id(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Opens a file to be read. What is no file is not opened: a pipe would be waited for, a device has no end.
pub(super) fn open_file(path: &Path) -> Result<File> {
    let failed = |error: std::io::Error| Error::file(path, &error);
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::damaged(path, "it is no file"));
    }
    File::open(path).map_err(failed)
}

/// A file of a few lines; of a larger one no more than says that it is.
pub(super) fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open_file(path)?.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::file(path, &error))?;
    match bytes.len() as u64 > limit {
        true => Err(Error::damaged(path, "it is larger than it can be")),
        false => Ok(bytes),
    }
}

fn check_mark(mark: &Path) -> Result<()> {
    let text = read_small(mark, MARK_MAX)?;
    if text == MARK_TEXT.as_bytes() {
        return Ok(());
    }
    match text.strip_prefix(MARK_START.as_bytes()) {
        Some(_) => Err(Error::Newer(format!("{} says another form of backups", mark.display()))),
        None => Err(Error::damaged(mark, "this is not what marks a folder of backups")),
    }
}

fn busy(root: &Path) -> Error {
    Error::Busy(format!("somebody else works in {}; wait until that is done", root.display()))
}

/// The UTF-8 names in a folder; none when it is not there.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| Error::file(folder, &error))?,
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// A folder for its owner alone.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| Error::file(path, &error))
}

pub(super) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| Error::file(path, &error))
}

/// A new small file, on the disk.
pub(super) fn write_small(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| Error::file(path, &error))
}

/// Gives a finished file or folder its name.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| Error::file(to, &error))?;
    to.parent().map_or(Ok(()), sync_folder)
}

const MARK: &str = "postroad-backups";
const MARK_START: &str = "Backups of Postroad, form ";
const MARK_TEXT: &str =
    "Backups of Postroad, form 1. They hold mail and password hashes: keep them as you keep those.\n";
const MARK_MAX: u64 = 4096;
const LOCK: &str = "lock";
const FILE_MODE: u32 = 0o600;
const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_backups_are_in_the_order_of_their_making() {
        let start = 1_795_338_907_999_990;
        let ids: Vec<String> = (0..20).map(|micros| new_backup_id(Timestamp(start + micros))).collect();
        assert_eq!(ids[0], "20261122T091507Z-f4236");
        assert!(ids.is_sorted() && ids.iter().all(|id| is_id(id)), "{ids:?}");
    }
}
