//! A file that is hashed as it is written.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::folder::open_file;
use super::{Error, Result};

/// A new file, for its owner alone.
pub(super) struct HashingFile {
    file: BufWriter<File>,
    path: PathBuf,
    hasher: blake3::Hasher,
    size: u64,
}

/// A file that is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) size: u64,
    pub(super) hash: blake3::Hash,
}

impl HashingFile {
    pub(super) fn create(path: &Path) -> Result<HashingFile> {
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
        let file = file.map_err(|error| Error::file(path, &error))?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(HashingFile { file, path: path.to_owned(), hasher: blake3::Hasher::new(), size: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| Error::file(&self.path, &error))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The hash of what was written so far.
    pub(super) fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    /// On the disk.
    pub(super) fn finish(mut self) -> Result<Sum> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.map_err(|error| Error::file(&self.path, &error))?;
        Ok(Sum { size: self.size, hash: self.hasher.finalize() })
    }
}

/// Size and hash of a file as it is.
pub(super) fn sum(path: &Path) -> Result<Sum> {
    let failed = |error: std::io::Error| Error::file(path, &error);
    let file = open_file(path)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(failed)?;
    Ok(Sum { size, hash: hasher.finalize() })
}

const MODE: u32 = 0o600;
const BUFFER: usize = 256 * 1024;
