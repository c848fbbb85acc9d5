//! Large blobs as files. A file gets its name only when its bytes are on the disk: written under `tmp`, fdatasynced,
//! renamed, and its folder fsynced.
//!
//! There are 256 folders, made when the place is opened. Which one it is rises with a blob's age: files that come at the
//! same time come into the same folder, so that one fsync makes the names of all of them safe. Files of the older
//! form, two levels of folders by the last digits of the name, are found and removed where they are.

use super::bucket::Listed;
use super::shared::SharedSync;
use super::sweep::MARK;
use crate::{BlobId, Error, Result, Timestamp};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::UNIX_EPOCH;

/// A folder of blobs.
pub(crate) struct Folder {
    root: PathBuf,
    /// Held for writing while the folders are made again: a file that lands in one of them waits until the folder's own
    /// name is safe.
    making: RwLock<()>,
    syncs: Vec<SharedSync>,
}

impl Folder {
    /// A folder in which files only arrive.
    pub(crate) fn open_spool(root: &Path) -> Result<Folder> {
        let folder = Folder { root: root.to_path_buf(), making: RwLock::default(), syncs: Vec::new() };
        fs::create_dir_all(folder.temporary()).map_err(|error| fault(&error, &folder.temporary()))?;
        Ok(folder)
    }

    /// A folder in which files stay.
    pub(crate) fn open(root: &Path) -> Result<Folder> {
        let syncs = (0..FOLDERS).map(|_| SharedSync::default()).collect();
        let folder = Folder { syncs, ..Folder::open_spool(root)? };
        folder.make_folders()?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    /// Where arriving files are.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join(TEMPORARY)
    }

    /// A new file that has no name yet among the blobs.
    pub(crate) fn create(&self, name: &str) -> Result<(File, PathBuf)> {
        let path = self.temporary().join(name);
        let file = File::create_new(&path).or_else(|error| match error.kind() {
            // The disk was exchanged or cleaned while the server ran.
            ErrorKind::NotFound => fs::create_dir_all(self.temporary()).and_then(|()| File::create_new(&path)),
            _ => Err(error),
        });
        let file = file.map_err(|error| fault(&error, &path))?;
        Ok((file, path))
    }

    /// Gives an arrived file its name, safely. Blocks on the disk.
    pub(crate) fn keep(&self, file: &File, temporary: &Path, name: &str) -> Result<()> {
        // The size is part of what fdatasync makes safe; the times are not, and need not be.
        file.sync_data().map_err(|error| fault(&error, temporary))?;
        let number = number(name);
        let path = self.place(number, name);
        let parent = self.numbered(number);
        let rename = || {
            let _made = self.making.read().unwrap_or_else(PoisonError::into_inner);
            fs::rename(temporary, &path)
        };
        match rename() {
            // Somebody cleaned up since this process made the folders.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_folders()?;
                rename().map_err(|error| fault(&error, &path))?;
            }
            renamed => renamed.map_err(|error| fault(&error, &path))?,
        }
        match self.syncs.get(number) {
            Some(shared) => shared.run(|| sync_folder(&parent)),
            None => Err(Error::Bug(format!("a file that stays in {}", self.root.display()))),
        }
    }

    /// The stored bytes in `range`, which must all be there.
    pub(crate) fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let path = self.place(number(name), name);
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let file = File::open(&path).or_else(|error| match error.kind() {
            ErrorKind::NotFound => File::open(self.older_place(name)),
            _ => Err(error),
        });
        let file = file.map_err(|error| missing_is_corrupt(&error, &path))?;
        file.read_exact_at(&mut bytes, range.start).map_err(|error| missing_is_corrupt(&error, &path))?;
        Ok(bytes)
    }

    /// Removes a file; one that is gone is removed.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        remove(&self.place(number(name), name))?;
        remove(&self.older_place(name))
    }

    /// Whose folder this is; ours, if nobody's.
    pub(super) fn mark(&self, ours: &str) -> Result<String> {
        let path = self.root.join(MARK);
        match File::create_new(&path) {
            Ok(mut file) => {
                file.write_all(ours.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| fault(&error, &path))?;
                Ok(ours.to_owned())
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let mark = fs::read_to_string(&path).map_err(|error| fault(&error, &path))?;
                if mark.is_empty() {
                    // A crash came between its making and its writing.
                    fs::write(&path, ours).map_err(|error| fault(&error, &path))?;
                    return Ok(ours.to_owned());
                }
                Ok(mark)
            }
            Err(error) => Err(fault(&error, &path)),
        }
    }

    /// Names of files after the folder `from` (`ab`, or `ab/cd` of the older form), folder by folder until there are
    /// `limit`, with when they were written; and the last folder seen, if there are more.
    pub(super) fn list(&self, from: Option<&str>, limit: usize) -> Result<Listed> {
        let mut found = Vec::new();
        for first in folders(&self.root)? {
            // `ab` itself was seen, what is in it perhaps not.
            if from.is_some_and(|from| first.as_str() < from.split('/').next().unwrap_or_default()) {
                continue;
            }
            let older = folders(&self.root.join(&first))?.into_iter().map(|second| format!("{first}/{second}"));
            for folder in std::iter::once(first.clone()).chain(older) {
                if from.is_some_and(|from| folder.as_str() <= from) {
                    continue;
                }
                let path = self.root.join(&folder);
                for (path, written) in files(&path).map_err(|error| fault(&error, &path))? {
                    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
                    found.extend(name.map(|name| (name, written)));
                }
                if found.len() >= limit {
                    return Ok((found, Some(folder)));
                }
            }
        }
        Ok((found, None))
    }

    /// Files that are arriving or were left there, and when they were written.
    pub(super) fn abandoned(&self, limit: usize) -> Vec<(PathBuf, Timestamp)> {
        let mut found = files(&self.temporary()).unwrap_or_default();
        found.sort_by_key(|(_, written)| *written);
        found.truncate(limit);
        found
    }

    /// Where a blob's file is.
    /// Where the file of this name is.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.place(number(name), name)
    }

    fn place(&self, number: usize, name: &str) -> PathBuf {
        self.numbered(number).join(name)
    }

    fn numbered(&self, number: usize) -> PathBuf {
        self.root.join(format!("{number:02x}"))
    }

    /// Where a blob's file was put before there was one level of folders: by the last hexadecimal digits of its name.
    fn older_place(&self, name: &str) -> PathBuf {
        let tail = name.get(name.len().saturating_sub(4)..).unwrap_or_default();
        let (first, second) = tail.split_at_checked(2).unwrap_or((tail, ""));
        self.root.join(first).join(second).join(name)
    }

    /// Makes the folders that are missing and fsyncs what is above them. That they are there is not enough: another
    /// process may have made them a moment ago and not have come to fsync.
    fn make_folders(&self) -> Result<()> {
        let _making = self.making.write().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(self.temporary()).map_err(|error| fault(&error, &self.temporary()))?;
        let there = folders(&self.root)?;
        for path in (0..self.syncs.len()).map(|number| self.numbered(number)) {
            let known = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            if known.is_some_and(|name| there.binary_search(&name).is_err()) {
                // Another process may just have made it.
                fs::create_dir_all(&path).map_err(|error| fault(&error, &path))?;
            }
        }
        sync_folder(&self.root)?;
        match self.root.parent().filter(|above| above.is_dir()) {
            Some(above) => sync_folder(above),
            None => Ok(()),
        }
    }
}

/// The number of the folder of a blob: the second in which it came, so that all folders are used alike.
fn number(name: &str) -> usize {
    let id = name.split_once('-').and_then(|(id, _)| id.parse::<BlobId>().ok()).unwrap_or_default();
    (id.0.cast_unsigned() >> SECOND_BITS) as usize % FOLDERS
}

pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(fault(&error, path)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The folders of blobs in a folder, in order: two hexadecimal digits each.
fn folders(path: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(path).map_err(|error| fault(&error, path))?;
    let name = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let ours = |name: &String| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut names: Vec<String> = entries.filter_map(name).filter(ours).collect();
    names.sort_unstable();
    Ok(names)
}

fn files(path: &Path) -> io::Result<Vec<(PathBuf, Timestamp)>> {
    let entry = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        // One that was removed meanwhile is no longer of interest.
        let modified = entry.metadata().ok().filter(fs::Metadata::is_file)?.modified().ok()?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some((entry.path(), Timestamp(0).plus(since)))
    };
    Ok(fs::read_dir(path)?.filter_map(entry).collect())
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|error| fault(&error, folder))
}

fn missing_is_corrupt(error: &io::Error, path: &Path) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::Corrupt(format!("the file {} is missing", path.display())),
        ErrorKind::UnexpectedEof => Error::Corrupt(format!("the file {} is cut short", path.display())),
        _ => fault(error, path),
    }
}

/// What a failure of the file system means.
pub(crate) fn fault(error: &io::Error, path: &Path) -> Error {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Error::Full(text),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Error::ReadOnly(text),
        _ => Error::Unavailable(text),
    }
}

const TEMPORARY: &str = "tmp";
/// Folders of files.
const FOLDERS: usize = 256;
/// Ids that differ above so many bits were made a second apart, about: ten bits tell the process, twenty the microsecond.
const SECOND_BITS: u32 = 30;
