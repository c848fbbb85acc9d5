//! What must hold of the tree itself, checked without building it.
//!
//! Each check returns the faults it found as `path: sentence`; `run` prints them all and fails if there is one.

pub(crate) mod deny;
mod documents;
mod layering;
mod sources;
pub(crate) mod standards;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// A finding: where, and what is wrong in one sentence.
pub(crate) type Fault = String;

/// All checks of the tree.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    faults.extend(layering::check(root)?);
    faults.extend(sources::check(root)?);
    faults.extend(documents::check(root)?);
    faults.extend(standards::check(root)?);
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{} faults\n{}", faults.len(), faults.join("\n"));
}

/// Every file below `folder` whose name ends in `.ending`, sorted, build output left out.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn shown<'a>(root: &Path, path: &'a Path) -> std::path::Display<'a> {
    path.strip_prefix(root).unwrap_or(path).display()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        if let Err(error) = super::run(&crate::root()) {
            panic!("{error:#}");
        }
    }
}
