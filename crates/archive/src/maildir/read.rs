//! Reads the messages of one Maildir.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{KEYWORD_LETTERS, KEYWORDS_FILE, split_name};
use crate::Result;
use crate::marks::Marks;
use crate::source::{Folder, Found, Problem, Visit, check_inside, modified, names, read_file};

/// Shows the messages of a Maildir: those of `cur` and `new` together, in the order of their names, which is that of
/// their arrival.
pub fn read(folder: &Folder, visitor: &mut dyn Visit) -> Result<()> {
    let inside = |path: &Path| check_inside(&folder.top, path).is_ok();
    let keywords = if inside(&folder.path.join(KEYWORDS_FILE)) { keywords(&folder.path) } else { Vec::new() };
    let courier = folder.path.join(COURIER_FILE);
    let courier = if inside(&courier) { courier_keywords(&courier) } else { HashMap::new() };
    let mut files: Vec<(&str, OsString)> = Vec::new();
    for part in ["new", "cur"] {
        let path = folder.path.join(part);
        if let (true, Err(problem)) = (path.is_symlink(), check_inside(&folder.top, &path)) {
            visitor.problem(problem)?;
            continue;
        }
        match names(&folder.path.join(part)) {
            Ok(names) => files.extend(names.into_iter().filter(|name| is_message(name)).map(|name| (part, name))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => visitor.problem(Problem::io(&folder.path.join(part), &error))?,
        }
    }
    files.sort_by(|a, b| order(&a.1).cmp(&order(&b.1)));
    let mut gone = Vec::new();
    for (part, name) in files {
        let path = folder.path.join(part).join(&name);
        if path.symlink_metadata().is_err() {
            gone.push(name);
            continue;
        }
        show(&folder.top, &path, &name, &keywords, &courier, visitor)?;
        visitor.worked(1);
    }
    if gone.is_empty() { Ok(()) } else { read_moved(folder, gone, &keywords, &courier, visitor) }
}

/// Files that have another name than a moment ago: a program set flags, or moved them from `new` to `cur`.
fn read_moved(
    folder: &Folder,
    gone: Vec<OsString>,
    keywords: &[String],
    courier: &HashMap<Vec<u8>, Vec<String>>,
    visitor: &mut dyn Visit,
) -> Result<()> {
    let mut now: HashMap<Vec<u8>, PathBuf> = HashMap::new();
    for part in ["new", "cur"] {
        let part = folder.path.join(part);
        for name in names(&part).unwrap_or_default() {
            now.insert(split_name(name.as_bytes()).0.to_vec(), part.join(name));
        }
    }
    for name in gone {
        match now.get(split_name(name.as_bytes()).0) {
            Some(path) => show(&folder.top, path, path.file_name().unwrap_or(&name), keywords, courier, visitor)?,
            None => visitor.problem(Problem::new(
                &folder.path.join("cur").join(&name),
                "vanished while the folder was read: it was moved or deleted",
            ))?,
        }
        visitor.worked(1);
    }
    Ok(())
}

fn show(
    top: &Path,
    path: &Path,
    name: &OsStr,
    keywords: &[String],
    courier: &HashMap<Vec<u8>, Vec<String>>,
    visitor: &mut dyn Visit,
) -> Result<()> {
    let (base, letters) = split_name(name.as_bytes());
    match read_file(top, path) {
        Ok((content, metadata)) => {
            let mut marks = Marks::from_letters(letters, keywords);
            courier.get(base).into_iter().flatten().for_each(|keyword| marks.add(keyword));
            visitor.message(Found {
                label: crate::source::shown(path),
                marks,
                received: modified(&metadata),
                prefer_header_date: false,
                was_crlf: false,
                content,
            })
        }
        Err(problem) => visitor.problem(problem),
    }
}

/// Names that begin with a dot are no messages (Maildir's rule).
fn is_message(name: &OsStr) -> bool {
    !name.as_bytes().starts_with(b".")
}

/// By the seconds that a name begins with, then by name.
fn order(name: &OsStr) -> (u64, &[u8]) {
    let bytes = name.as_bytes();
    let digits = bytes.iter().take(18).take_while(|byte| byte.is_ascii_digit());
    (digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')), bytes)
}

/// The names of the keywords `a` to `z`; none when there is no such file.
pub(super) fn keywords(folder: &Path) -> Vec<String> {
    let text = small_text(&folder.join(KEYWORDS_FILE)).unwrap_or_default();
    let mut keywords = Vec::new();
    for line in text.lines() {
        let Some((number, name)) = line.split_once(' ') else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        if number < KEYWORD_LETTERS {
            keywords.resize(keywords.len().max(number + 1), String::new());
            keywords[number] = name.trim().to_owned();
        }
    }
    keywords
}

/// Courier keeps keywords by file: their names, an empty line, then `file:0 3`.
fn courier_keywords(path: &Path) -> HashMap<Vec<u8>, Vec<String>> {
    let text = small_text(path).unwrap_or_default();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let file = |line: &str| {
        let (file, numbers) = line.rsplit_once(':')?;
        let keywords = numbers.split(' ').filter_map(|number| names.get(number.parse::<usize>().ok()?));
        Some((split_name(file.as_bytes()).0.to_vec(), keywords.map(|name| (*name).to_owned()).collect()))
    };
    lines.filter_map(file).collect()
}

/// A file of a few lines; larger ones are not what they should be.
fn small_text(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > LIST_MAX {
        return None;
    }
    std::fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Courier's list of keywords.
const COURIER_FILE: &str = "courierimapkeywords/:list";
/// Largest list of keywords that is read.
const LIST_MAX: u64 = 64 << 20;
