//! mbox: all messages of a folder in one file, each after a line `From someone date`.
//!
//! There is no standard, only habits (RFC 4155 describes one). How lines of the message that begin with `From ` are
//! kept differs: quoted with `>` (mboxo, mboxrd), or not at all and with `Content-Length` (mboxcl2). A length is
//! believed only when a From_ line or the end of the file follows where it says.

mod from_line;
mod head;
mod quote;
mod read;
mod write;

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use quote::{Quote, Unquote};
pub use read::read;
pub use write::Writer;

use crate::Result;
use crate::folder::decode_level;
use crate::source::{Finder, Problem, names};

/// Finds mbox files: `path` itself, or those below it. `Work.mbox` and `Work` are the folder Work, and `Work.sbd`
/// (Thunderbird) and `Work` hold what lies below it.
pub(crate) fn find(path: &Path, finder: &mut Finder) -> Result<()> {
    if path.is_file() {
        let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
        finder.folder(&[level(name)], path, size(path));
        return Ok(());
    }
    walk(path, &[], finder);
    Ok(())
}

fn walk(path: &Path, levels: &[String], finder: &mut Finder) {
    if !finder.enter(path, levels) {
        return;
    }
    for name in finder.names(path) {
        let child = path.join(&name);
        if name.as_bytes().starts_with(b".") {
            continue;
        }
        let mut below = levels.to_vec();
        below.push(level(name.as_bytes()));
        if child.is_dir() {
            // Apple Mail exports a folder as `Work.mbox/mbox`.
            if name.as_bytes().ends_with(b".mbox") && looks_like(&child.join("mbox")) {
                finder.folder(&below, &child.join("mbox"), size(&child.join("mbox")));
            } else {
                walk(&child, &below, finder);
            }
        } else if child.is_file() {
            match begins_with_from(&child) {
                Ok(true) => finder.folder(&below, &child, size(&child)),
                Ok(false) => {}
                Err(error) => finder.problem(Problem::io(&child, &error)),
            }
        }
    }
}

fn level(name: &[u8]) -> String {
    let ends: [&[u8]; 3] = [b".mbox", b".sbd", b".mbx"];
    let stem = ends.iter().find_map(|end| name.strip_suffix(*end)).filter(|stem| !stem.is_empty());
    decode_level(stem.unwrap_or(name))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Whether a file begins as an mbox does.
pub(crate) fn looks_like(path: &Path) -> bool {
    path.is_file() && begins_with_from(path).unwrap_or(false)
}

fn begins_with_from(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(FROM.len() as u64).read_to_end(&mut start)?;
    Ok(start == FROM)
}

/// Whether there is an mbox at `path` or not far below.
pub(crate) fn is_below(path: &Path, depth: usize) -> bool {
    let Ok(names) = names(path) else { return false };
    names.iter().take(PROBE_MAX).any(|name| {
        let child = path.join(name);
        looks_like(&child) || (depth > 0 && child.is_dir() && !child.is_symlink() && is_below(&child, depth - 1))
    })
}

const FROM: &[u8] = b"From ";
const PROBE_MAX: usize = 200;
