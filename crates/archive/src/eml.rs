//! Folders of files with one message each: .eml as many programs save them, and Apple Mail's .emlx.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use postroad_store::Timestamp;

use crate::Result;
use crate::folder::decode_level;
use crate::marks::Marks;
use crate::source::{Content, Finder, Folder, Found, Problem, Visit, modified, names, read_file};

/// Finds the folders with messages at and below `path`; a single file is a folder by itself.
pub(crate) fn find(path: &Path, finder: &mut Finder) -> Result<()> {
    if path.is_file() {
        finder.folder(&[], path, 1);
    } else {
        walk(path, &[], finder);
    }
    Ok(())
}

fn walk(path: &Path, levels: &[String], finder: &mut Finder) {
    if !finder.enter(path, levels) {
        return;
    }
    let mut messages = 0;
    for name in finder.names(path) {
        let child = path.join(&name);
        if child.is_dir() {
            let mut below = levels.to_vec();
            below.extend(level(name.as_bytes()));
            walk(&child, &below, finder);
        } else if is_message(&child) {
            messages += 1;
        }
    }
    if messages > 0 {
        finder.folder(levels, path, messages);
    }
}

/// Apple Mail's own folders (`Data`, `Messages`, digits, an id) are no levels.
fn level(name: &[u8]) -> Option<String> {
    let uuid = name.len() == 36 && name.iter().filter(|byte| **byte == b'-').count() == 4;
    let digit = matches!(name, [digit] if digit.is_ascii_digit());
    if uuid || digit || matches!(name, b"Data" | b"Messages") {
        return None;
    }
    Some(decode_level(name.strip_suffix(b".mbox").filter(|stem| !stem.is_empty()).unwrap_or(name)))
}

/// Shows the messages of one folder, in the order of their names.
pub fn read(folder: &Folder, visitor: &mut dyn Visit) -> Result<()> {
    let files = if folder.path.is_file() {
        vec![folder.path.clone()]
    } else {
        match names(&folder.path) {
            Ok(names) => names.iter().map(|name| folder.path.join(name)).filter(|path| is_message(path)).collect(),
            Err(error) => return visitor.problem(Problem::io(&folder.path, &error)),
        }
    };
    for path in files {
        match show(&folder.top, &path) {
            Ok(found) => visitor.message(found)?,
            Err(problem) => visitor.problem(problem)?,
        }
        visitor.worked(1);
    }
    Ok(())
}

fn show(top: &Path, path: &Path) -> std::result::Result<Found, Problem> {
    let (content, metadata) = read_file(top, path)?;
    let mut found = Found {
        label: crate::source::shown(path),
        marks: Marks::default(),
        received: modified(&metadata),
        prefer_header_date: true,
        was_crlf: false,
        content,
    };
    // What was saved to a file was read.
    found.marks.flags = postroad_mail::Flags::SEEN;
    if has_ending(path, b".emlx") {
        found.marks = Marks::default();
        unwrap_emlx(&mut found).ok_or_else(|| Problem::new(path, "is no .emlx file: its first line is no length"))?;
    }
    Ok(found)
}

/// An .emlx is a line with the message's length, the message, and a property list with flags and date.
fn unwrap_emlx(found: &mut Found) -> Option<()> {
    let list = match &mut found.content {
        Content::Whole(bytes) => {
            let line = bytes.iter().take(LENGTH_MAX).position(|byte| *byte == b'\n')?;
            let length: usize = std::str::from_utf8(&bytes[..line]).ok()?.trim().parse().ok()?;
            let end = (line + 1).checked_add(length).filter(|end| *end <= bytes.len())?;
            let list = bytes[end..].to_vec();
            *bytes = bytes[line + 1..end].to_vec();
            list
        }
        Content::Large(large) => {
            let mut start = vec![0; LENGTH_MAX];
            large.file.read_exact_at(&mut start, 0).ok()?;
            let line = start.iter().position(|byte| *byte == b'\n')?;
            let length: u64 = std::str::from_utf8(&start[..line]).ok()?.trim().parse().ok()?;
            large.start = line as u64 + 1;
            let end = large.start.checked_add(length).filter(|end| *end <= large.end)?;
            let mut list = vec![0; usize::try_from(large.end - end).ok().filter(|length| *length <= LIST_MAX)?];
            large.file.read_exact_at(&mut list, end).ok()?;
            large.end = end;
            list
        }
    };
    let list = String::from_utf8_lossy(&list);
    if let Some(flags) = number(&list, "flags") {
        found.marks.add_apple(flags);
    }
    let date = number(&list, "date-received").and_then(|seconds| i64::try_from(seconds).ok());
    if let Some(date) = date.and_then(|seconds| seconds.checked_mul(1_000_000)) {
        (found.received, found.prefer_header_date) = (Some(Timestamp(date)), false);
    }
    Some(())
}

/// `<key>flags</key><integer>17</integer>` of a property list.
fn number(list: &str, key: &str) -> Option<u64> {
    let behind = list.split_once(&format!("<key>{key}</key>"))?.1.trim_start();
    let value = behind.strip_prefix("<integer>").or_else(|| behind.strip_prefix("<real>"))?;
    value.split(['<', '.']).next()?.trim().parse().ok()
}

fn has_ending(path: &Path, ending: &[u8]) -> bool {
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let tail = name.len().checked_sub(ending.len()).map(|at| &name[at..]);
    !name.starts_with(b".") && tail.is_some_and(|tail| tail.eq_ignore_ascii_case(ending))
}

/// Whether a file's name says that it is one message.
pub(crate) fn is_message(path: &Path) -> bool {
    has_ending(path, b".eml") || has_ending(path, b".emlx")
}

/// Whether there is such a file at `path` or not far below.
pub(crate) fn is_below(path: &Path, depth: usize) -> bool {
    let Ok(names) = names(path) else { return false };
    names.iter().take(PROBE_MAX).any(|name| {
        let child = path.join(name);
        is_message(&child) || (depth > 0 && child.is_dir() && !child.is_symlink() && is_below(&child, depth - 1))
    })
}

/// The first line of an .emlx.
const LENGTH_MAX: usize = 32;
/// The property list of a large .emlx; a longer one is none.
const LIST_MAX: usize = 1024 * 1024;
const PROBE_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::WHOLE_MAX;
    use postroad_mail::Flags;

    #[test]
    fn an_emlx_is_unwrapped_whether_it_is_small_or_large() {
        let list = "<plist><dict><key>date-received</key><real>1551780610</real><key>flags</key><integer>17</integer>";
        for size in [10, WHOLE_MAX as usize + 10] {
            let message = format!("Subject: a\n\n{}\n", "x".repeat(size));
            let folder = tempfile::tempdir().expect("a folder can be made");
            let path = folder.path().join("1.emlx");
            std::fs::write(&path, format!("{}\n{message}{list}", message.len())).expect("it can be written");
            let top = std::fs::canonicalize(folder.path()).expect("it is there");
            let found = show(&top, &path).expect("it can be read");
            assert_eq!(found.marks.flags, Flags::SEEN | Flags::FLAGGED);
            assert_eq!(found.received, Some(Timestamp(1_551_780_610_000_000)));
            let length = match found.content {
                Content::Whole(bytes) => bytes.len() as u64,
                Content::Large(large) => large.end - large.start,
            };
            assert_eq!(length, message.len() as u64);
        }
    }
}
