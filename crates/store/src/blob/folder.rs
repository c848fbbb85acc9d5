//! Large blobs as files. A file gets its name only when its bytes are on the disk: written under `tmp`, fsynced,
//! renamed, and the folder fsynced.

use super::bucket::Listed;
use super::sweep::MARK;
use crate::{Error, Result, Timestamp};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

/// A folder of blobs.
pub(crate) struct Folder {
    root: PathBuf,
    /// Folders of files (`ab/cd`) whose own entries this process knows to be on the disk; at most 65,536.
    safe: Mutex<HashSet<PathBuf>>,
}

impl Folder {
    pub(crate) fn open(root: &Path) -> Result<Folder> {
        let folder = Folder { root: root.to_path_buf(), safe: Mutex::default() };
        fs::create_dir_all(folder.temporary()).map_err(|error| fault(&error, &folder.temporary()))?;
        if let Some(above) = root.parent().filter(|above| above.is_dir()) {
            sync_folder(above)?;
        }
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
        file.sync_all().map_err(|error| fault(&error, temporary))?;
        let path = self.place(name);
        let parent = path.parent().unwrap_or(&self.root);
        self.make_folder(parent)?;
        let renamed = fs::rename(temporary, &path).or_else(|error| match error.kind() {
            // Somebody cleaned up since this process made the folder.
            ErrorKind::NotFound => {
                self.safe.lock().unwrap_or_else(PoisonError::into_inner).clear();
                fs::create_dir_all(parent).and_then(|()| fs::rename(temporary, &path))
            }
            _ => Err(error),
        });
        renamed.map_err(|error| fault(&error, &path))?;
        self.make_folder(parent)?;
        sync_folder(parent)
    }

    /// The stored bytes in `range`, which must all be there.
    pub(crate) fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let path = self.place(name);
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let file = File::open(&path).map_err(|error| missing_is_corrupt(&error, &path))?;
        file.read_exact_at(&mut bytes, range.start).map_err(|error| missing_is_corrupt(&error, &path))?;
        Ok(bytes)
    }

    /// Removes a file; one that is gone is removed.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        remove(&self.place(name))
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

    /// Names of files after the folder `from` (`ab/cd`), folder by folder until there are `limit`, with when they were
    /// written; and the last folder seen, if there are more.
    pub(super) fn list(&self, from: Option<&str>, limit: usize) -> Result<Listed> {
        let mut found = Vec::new();
        for first in folders(&self.root)? {
            if from.is_some_and(|from| first.as_str() < from.split('/').next().unwrap_or_default()) {
                continue;
            }
            for second in folders(&self.root.join(&first))? {
                let folder = format!("{first}/{second}");
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

    /// Where a blob's file is: two levels by the last hexadecimal digits of its name, which are random.
    fn place(&self, name: &str) -> PathBuf {
        let tail = &name[name.len().saturating_sub(4)..];
        let (first, second) = tail.split_at_checked(2).unwrap_or((tail, ""));
        self.root.join(first).join(second).join(name)
    }

    /// Makes a folder two levels below the root, and fsyncs each level above it. That it is there is not enough:
    /// another thread may have made it a moment ago and not have come to fsync it.
    fn make_folder(&self, folder: &Path) -> Result<()> {
        if self.safe.lock().unwrap_or_else(PoisonError::into_inner).contains(folder) {
            return Ok(());
        }
        fs::create_dir_all(folder).map_err(|error| fault(&error, folder))?;
        let mut above = folder.parent();
        while let Some(level) = above.filter(|level| level.starts_with(&self.root)) {
            sync_folder(level)?;
            above = level.parent();
        }
        self.safe.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_path_buf());
        Ok(())
    }
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
