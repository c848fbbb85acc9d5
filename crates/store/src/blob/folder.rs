//! Large blobs as files. A file gets its name only when its bytes are on the disk: written under `tmp`, fsynced,
//! renamed, and the folder fsynced.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A folder of blobs.
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn open(root: &Path) -> Result<Folder> {
        let folder = Folder { root: root.to_path_buf() };
        fs::create_dir_all(folder.temporary()).map_err(|error| fault(&error, &folder.temporary()))?;
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
        fs::rename(temporary, &path).map_err(|error| fault(&error, &path))?;
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

    /// Where a blob's file is: two levels by the last hexadecimal digits of its name, which are random.
    fn place(&self, name: &str) -> PathBuf {
        let tail = &name[name.len().saturating_sub(4)..];
        let (first, second) = tail.split_at_checked(2).unwrap_or((tail, ""));
        self.root.join(first).join(second).join(name)
    }

    /// Makes a folder two levels below the root; each level that is new is fsynced into the one above.
    fn make_folder(&self, folder: &Path) -> Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(folder).map_err(|error| fault(&error, folder))?;
        let mut above = folder.parent();
        while let Some(level) = above.filter(|level| level.starts_with(&self.root)) {
            sync_folder(level)?;
            above = level.parent();
        }
        Ok(())
    }
}

pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(fault(&error, path)),
        Ok(()) | Err(_) => Ok(()),
    }
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
