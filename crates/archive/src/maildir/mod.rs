//! Maildir: one file for each message, folders as Maildir++ (`.Work.2019`) or as a tree of folders (Dovecot's
//! `LAYOUT=fs`, mbsync, mutt).

mod read;
mod write;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use read::read;
pub use write::Writer;

use crate::Result;
use crate::folder::decode_level;
use crate::source::{Finder, names};

/// Finds the Maildirs at and below `path`.
pub(crate) fn find(path: &Path, finder: &mut Finder) -> Result<()> {
    walk(path, &[], finder);
    Ok(())
}

fn walk(path: &Path, levels: &[String], finder: &mut Finder) {
    if !finder.enter(path, levels) {
        return;
    }
    let names = finder.names(path);
    if names.iter().any(|name| *name == "cur" || *name == "new") {
        let work = ["new", "cur"].iter().map(|part| count(&path.join(part))).sum();
        finder.folder(levels, path, work);
    }
    for name in names {
        let bytes = name.as_bytes();
        if matches!(bytes, b"cur" | b"new" | b"tmp" | b"." | b"..") {
            continue;
        }
        let child = path.join(&name);
        if !child.is_dir() {
            continue;
        }
        let mut below = levels.to_vec();
        match bytes.strip_prefix(b".") {
            // Maildir++: the whole path in one name. Servers whose folders all lie below INBOX write `.INBOX.Work`.
            Some(name) if child.join("cur").is_dir() || child.join("new").is_dir() => {
                let name = if levels.is_empty() { name.strip_prefix(b"INBOX.").unwrap_or(name) } else { name };
                below.extend(name.split(|byte| *byte == b'.').map(decode_level));
            }
            // Folders of other programs (`.nnmaildir`, `.imap`).
            Some(_) => continue,
            None => below.push(decode_level(bytes)),
        }
        walk(&child, &below, finder);
    }
}

fn count(path: &Path) -> u64 {
    std::fs::read_dir(path).map_or(0, |entries| entries.count() as u64)
}

/// Whether there is a Maildir at `path` or not far below.
pub(crate) fn is_below(path: &Path, depth: usize) -> bool {
    if path.join("cur").is_dir() || path.join("new").is_dir() {
        return true;
    }
    if depth == 0 {
        return false;
    }
    let Ok(names) = names(path) else { return false };
    names.iter().take(PROBE_MAX).any(|name| {
        let child = path.join(name);
        child.is_dir() && !child.is_symlink() && is_below(&child, depth - 1)
    })
}

/// The part of a file name that stays when flags change, and the letters of its flags.
pub(crate) fn split_name(name: &[u8]) -> (&[u8], &[u8]) {
    // The standard separator is `:`; where file systems forbid it programs write `;`, `!` or `-`.
    let letters = name.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let rest = &name[..name.len() - letters];
    match rest.strip_suffix(b"2,") {
        Some([base @ .., b':' | b';' | b'!' | b'-']) => (base, &name[name.len() - letters..]),
        // Experimental flags (`:1,`) and none at all.
        Some(_) | None => (name.split(|byte| *byte == b':').next().unwrap_or(name), &[]),
    }
}

/// The file with a folder's keywords, as Dovecot has it: a line `0 name` for the letter `a`.
pub(crate) const KEYWORDS_FILE: &str = "dovecot-keywords";
/// Letters `a` to `z`.
pub(crate) const KEYWORD_LETTERS: usize = 26;
const PROBE_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::split_name;

    #[test]
    fn names_are_split() {
        for (name, base, letters) in [
            ("1.a.host", "1.a.host", ""),
            ("1.a.host:2,", "1.a.host", ""),
            ("1.a.host:2,FS", "1.a.host", "FS"),
            ("1.a.host,S=12:2,Sab", "1.a.host,S=12", "Sab"),
            ("1.a.host;2,S", "1.a.host", "S"),
            ("1.a.host!2,S", "1.a.host", "S"),
            ("1.a.host-2,S", "1.a.host", "S"),
            ("1.a.host:1,x", "1.a.host", ""),
            ("12,S", "12,S", ""),
            ("", "", ""),
        ] {
            assert_eq!(split_name(name.as_bytes()), (base.as_bytes(), letters.as_bytes()), "{name}");
        }
    }
}
