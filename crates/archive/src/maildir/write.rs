//! Writes Maildirs: a message is written in `tmp` and renamed to where it belongs when it is whole.
//!
//! A file's name has the mailbox's uidvalidity and the message's uid, by which a later export finds it, and its size,
//! by which one that a crash left incomplete is noticed and written again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use postroad_mail::{Keyword, UidSet};
use postroad_store::Timestamp;

use super::read::keywords;
use super::{KEYWORD_LETTERS, KEYWORDS_FILE, split_name};
use crate::export::{Announced, Outgoing, Target, place};
use crate::folder::{is_cut, maildir_name};
use crate::source::{Problem, names, shown};
use crate::{Error, Result};

/// Writes a Maildir++ tree.
pub struct Writer {
    root: PathBuf,
    folder: PathBuf,
    uidvalidity: u32,
    /// Letters of keywords in this folder.
    keywords: Vec<String>,
    /// Names of the messages that are there, by uid.
    there: HashMap<u32, PathBuf>,
    open: Option<Open>,
}

/// A message that is being written.
struct Open {
    file: BufWriter<File>,
    path: PathBuf,
    stem: String,
    letters: String,
    received: Timestamp,
    size: u64,
}

impl Writer {
    pub(crate) fn new(root: &Path) -> Writer {
        Writer {
            root: root.to_owned(),
            folder: root.to_owned(),
            uidvalidity: 0,
            keywords: Vec::new(),
            there: HashMap::new(),
            open: None,
        }
    }

    /// What is there of this mailbox; files of others are left alone.
    fn look(&mut self) -> Result<UidSet> {
        let cur = self.folder.join("cur");
        self.there.clear();
        for name in names(&cur).map_err(Error::file(&cur))? {
            let path = cur.join(&name);
            let Some((uid, size)) = parse(split_name(name.as_bytes()).0, self.uidvalidity) else { continue };
            if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size) {
                self.there.insert(uid, path);
            } else {
                std::fs::remove_file(&path).map_err(Error::file(&path))?;
            }
        }
        Ok(self.there.keys().copied().collect())
    }

    /// The letters of a message; a new keyword gets a letter while there are any.
    fn letters(&mut self, message: &Outgoing, problems: &mut Vec<Problem>) -> Result<String> {
        let before = self.keywords.len();
        let mut left = Vec::new();
        let known = &mut self.keywords;
        let letters = message.marks.letters(|keyword: &Keyword| {
            let name = keyword.as_str();
            let at = known.iter().position(|own| own.eq_ignore_ascii_case(name)).or_else(|| {
                let free = known.len() < KEYWORD_LETTERS;
                free.then(|| {
                    known.push(name.to_owned());
                    known.len() - 1
                })
            });
            if at.is_none() {
                left.push(name.to_owned());
            }
            at.and_then(|at| u8::try_from(at).ok()).map(|at| b'a' + at)
        });
        if self.keywords.len() > before {
            self.write_keywords()?;
        }
        if !left.is_empty() {
            let label = format!("{} uid {}", shown(&self.folder), message.uid);
            let why = format!("written without {}: a Maildir has {KEYWORD_LETTERS} keywords at most", left.join(" "));
            problems.push(Problem { label, why });
        }
        Ok(letters)
    }

    fn write_keywords(&self) -> Result<()> {
        let lines: String =
            self.keywords.iter().enumerate().map(|(number, name)| format!("{number} {name}\n")).collect();
        let (path, temporary) = (self.folder.join(KEYWORDS_FILE), self.folder.join("tmp").join(KEYWORDS_FILE));
        place::new_file(&temporary)?.write_all(lines.as_bytes()).map_err(Error::file(&temporary))?;
        std::fs::rename(&temporary, &path).map_err(Error::file(&path))
    }
}

impl Target for Writer {
    fn begin(&mut self, mailbox: &Announced, problems: &mut Vec<Problem>) -> Result<(Option<UidSet>, String)> {
        self.uidvalidity = mailbox.uidvalidity;
        let levels: Vec<&str> = mailbox.name.split('/').collect();
        let below = if levels == ["INBOX"] { PathBuf::new() } else { PathBuf::from(maildir_name(&levels)) };
        self.folder = self.root.join(&below);
        if is_cut(&below.to_string_lossy()) {
            problems
                .push(Problem::new(&self.folder, format!("has a name that was cut, of the mailbox {}", mailbox.name)));
        }
        for part in ["tmp", "new", "cur"] {
            place::make_folders(&self.root, &below.join(part))?;
        }
        if self.folder != self.root {
            // By this file Maildir++ programs know a folder from a mailbox of its own.
            let marker = self.folder.join("maildirfolder");
            if marker.symlink_metadata().is_err() {
                place::new_file(&marker)?;
            }
        }
        self.keywords = keywords(&self.folder);
        let have = self.look()?;
        Ok((Some(have), shown(&self.folder)))
    }

    fn message(&mut self, message: &Outgoing, problems: &mut Vec<Problem>) -> Result<()> {
        let letters = self.letters(message, problems)?;
        let seconds = message.received.0.div_euclid(1_000_000).max(0);
        let stem = format!("{seconds}.V{}U{}.postroad", self.uidvalidity, message.uid);
        let path = self.folder.join("tmp").join(&stem);
        let file = place::new_file(&path)?;
        let file = BufWriter::with_capacity(BUFFER, file);
        self.open = Some(Open { file, path, stem, letters, received: message.received, size: 0 });
        Ok(())
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.size += bytes.len() as u64;
        open.file.write_all(bytes).map_err(Error::file(&open.path))
    }

    fn complete(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let file = open.file.into_inner().map_err(|error| Error::File(open.path.clone(), error.into_error()))?;
        // The date of a message is that of its file.
        let micros = u64::try_from(open.received.0).unwrap_or(0);
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_micros(micros)).map_err(Error::file(&open.path))?;
        let name = format!("{},S={}:2,{}", open.stem, open.size, open.letters);
        let path = self.folder.join("cur").join(name);
        std::fs::rename(&open.path, &path).map_err(Error::file(&path))
    }

    fn abandon(&mut self) -> Result<()> {
        match self.open.take() {
            Some(open) => std::fs::remove_file(&open.path).map_err(Error::file(&open.path)),
            None => Ok(()),
        }
    }

    fn marks(&mut self, message: &Outgoing, problems: &mut Vec<Problem>) -> Result<()> {
        let letters = self.letters(message, problems)?;
        let Some(path) = self.there.get(&message.uid) else { return Ok(()) };
        let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
        let (base, now) = split_name(name);
        if now == letters.as_bytes() {
            return Ok(());
        }
        let base = String::from_utf8_lossy(base).into_owned();
        let renamed = path.with_file_name(format!("{base}:2,{letters}"));
        std::fs::rename(path, &renamed).map_err(Error::file(&renamed))
    }

    fn end(&mut self) -> Result<()> {
        let cur = self.folder.join("cur");
        File::open(&cur).and_then(|folder| folder.sync_all()).map_err(Error::file(&cur))
    }
}

/// Uid and size of a file of ours: `1732266907.V5U7.postroad,S=12`.
fn parse(base: &[u8], uidvalidity: u32) -> Option<(u32, u64)> {
    let base = std::str::from_utf8(base).ok()?;
    let (_, rest) = base.split_once(&format!(".V{uidvalidity}U"))?;
    let (uid, size) = rest.split_once(".postroad,S=")?;
    Some((uid.parse().ok()?, size.parse().ok()?))
}

const BUFFER: usize = 64 * 1024;
