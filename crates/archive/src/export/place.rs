//! Where an export writes: files and folders for their owner alone, and never through a link. Others may be able to write
//! into the folder that is exported to; what they put there must not make us write elsewhere.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::{Error, Result};

/// Makes the folders of `below` in `root`, which is there and may be a link itself. Errors: `User` at a link.
pub(crate) fn make_folders(root: &Path, below: &Path) -> Result<()> {
    let mut path = root.to_owned();
    for level in below {
        path.push(level);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                let path = path.display();
                return Err(Error::User(format!("{path} is a link or a file; export to a new folder, or remove it")));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => make_folder(&path)?,
            Err(error) => return Err(Error::File(path, error)),
        }
    }
    Ok(())
}

/// Makes a folder and what is missing above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file(path))
}

/// A new file; what an export before left under this name is removed, a link itself and not what it leads to.
pub(crate) fn new_file(path: &Path) -> Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::File(path.to_owned(), error)),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(Error::file(path))
}
