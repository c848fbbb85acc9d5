//! Finds folders of mail below a path and shows their messages one by one.
//!
//! What is read is somebody's disk, not trusted: links are followed inside of the tree that is imported and not out of it
//! (who imports may read more than who put the link there), no folder is entered twice, only regular files are opened,
//! depth and number of folders are bounded, and a message that cannot be read is a [`Problem`], never an end.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use postroad_store::Timestamp;

use crate::folder::role_of;
use crate::marks::Marks;
use crate::{Error, Result, eml, maildir, mbox};

/// Most folders of one source.
pub const FOLDERS_MAX: usize = 20_000;
/// Folders are entered so deep.
pub const DEPTH_MAX: usize = 64;
/// Messages up to this size are held in memory whole; larger ones are streamed.
pub const WHOLE_MAX: u64 = 1024 * 1024;
/// Larger messages are not taken.
pub const MESSAGE_MAX: u64 = 1 << 30;

/// A form in which mail is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Maildir, Maildir++, or Maildirs in a tree of folders.
    Maildir,
    /// An mbox file or a tree of them.
    Mbox,
    /// Files with one message each: .eml, .emlx.
    Eml,
}

/// How `From ` at the beginning of a line is quoted in an mbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quoting {
    /// `>From `, `>>From ` and so on lose one `>` (mboxrd; right for nearly all others too).
    #[default]
    Rd,
    /// Only `>From ` loses its `>` (mboxo).
    O,
    /// Nothing is quoted (mboxcl2).
    None,
}

/// How to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// The form; `None` looks for itself.
    pub format: Option<Format>,
    /// Of an mbox.
    pub quoting: Quoting,
}

/// What was found below a path.
#[derive(Debug)]
pub struct Source {
    /// The form.
    pub format: Format,
    /// Folders that may have messages, in the order of their names.
    pub folders: Vec<Folder>,
    /// What was left aside while looking.
    pub problems: Vec<Problem>,
    quoting: Quoting,
}

/// A folder of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name, outermost level first; none for INBOX.
    pub levels: Vec<String>,
    /// Where it is: a folder, or an mbox file.
    pub path: PathBuf,
    /// What is imported, without links: nothing outside of it is read.
    pub top: PathBuf,
    /// How much work it is: messages of a Maildir or of .eml files, bytes of an mbox.
    pub work: u64,
}

/// A message that was read.
#[derive(Debug)]
pub struct Found {
    /// Where: a file, or a file and the byte at which it begins.
    pub label: String,
    /// Flags and keywords.
    pub marks: Marks,
    /// When it was received, as file time or From_ line say.
    pub received: Option<Timestamp>,
    /// The date in the header is more to be trusted than `received`.
    pub prefer_header_date: bool,
    /// The lines ended with CRLF where it first came from, whatever is in this file.
    pub was_crlf: bool,
    /// Its bytes.
    pub content: Content,
}

/// The bytes of a message.
#[derive(Debug)]
pub enum Content {
    /// Up to [`WHOLE_MAX`].
    Whole(Vec<u8>),
    /// More: to be read twice.
    Large(Large),
}

/// A message that is too large for memory.
#[derive(Debug)]
pub struct Large {
    /// The file.
    pub file: File,
    /// Bytes that come first, taken from the file already.
    pub head: Vec<u8>,
    /// Where the rest begins in the file.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// What to undo while reading.
    pub quoting: Quoting,
    /// Leave out the newline at the very end.
    pub drop_last_newline: bool,
}

/// Something that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A file or folder.
    pub label: String,
    /// Why, and what can be done.
    pub why: String,
}

/// Why something that was read is no message to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// A program's user deleted it; it was only not yet taken out of the file.
    Deleted,
    /// A program's own data in the form of a message.
    Internal,
}

/// Sees what a source has. An error ends the reading.
pub trait Visit {
    /// The messages that follow are in `folder`. With `keep_name` another folder of the source is for the same (for
    /// sent mail, say), so that not both can go to the account's own mailbox for that.
    fn folder(&mut self, folder: &Folder, keep_name: bool) -> Result<()>;
    /// A message.
    fn message(&mut self, found: Found) -> Result<()>;
    /// Something is left out, as it should be.
    fn skipped(&mut self, why: Skipped);
    /// Something could not be read.
    fn problem(&mut self, problem: Problem) -> Result<()>;
    /// So much of the folder's work is done.
    fn worked(&mut self, work: u64);
}

impl Source {
    /// Looks what there is below `path`; opens few files.
    pub fn find(path: &Path, reading: Reading) -> Result<Source> {
        let metadata = std::fs::metadata(path).map_err(Error::file(path))?;
        let format = match reading.format {
            Some(format) => format,
            None => detect(path, &metadata)?,
        };
        let mut finder = Finder::new(std::fs::canonicalize(path).map_err(Error::file(path))?);
        match format {
            Format::Maildir => maildir::find(path, &mut finder)?,
            Format::Mbox => mbox::find(path, &mut finder)?,
            Format::Eml => eml::find(path, &mut finder)?,
        }
        let Finder { mut folders, problems, .. } = finder;
        folders.sort_by(|a, b| a.levels.cmp(&b.levels));
        if folders.is_empty() {
            return Err(Error::User(format!("{}: {}", path.display(), nothing(format))));
        }
        Ok(Source { format, folders, problems, quoting: reading.quoting })
    }

    /// Work of all folders.
    pub fn work(&self) -> u64 {
        self.folders.iter().map(|folder| folder.work).sum()
    }

    /// Whether a folder at the top with another name is for the same.
    fn shares_its_role(&self, folder: &Folder) -> bool {
        let Some(own) = folder.levels.first() else { return false };
        let Some(role) = role_of(own) else { return false };
        let mut tops = self.folders.iter().filter_map(|other| other.levels.first());
        tops.any(|other| other != own && role_of(other) == Some(role))
    }

    /// Shows everything.
    pub fn visit(&self, visitor: &mut dyn Visit) -> Result<()> {
        for problem in &self.problems {
            visitor.problem(problem.clone())?;
        }
        for folder in &self.folders {
            visitor.folder(folder, self.shares_its_role(folder))?;
            match self.format {
                Format::Maildir => maildir::read(folder, visitor)?,
                Format::Mbox => mbox::read(folder, self.quoting, visitor)?,
                Format::Eml => eml::read(folder, visitor)?,
            }
        }
        Ok(())
    }
}

impl Format {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Maildir => "maildir",
            Format::Mbox => "mbox",
            Format::Eml => "eml",
        }
    }
}

impl Problem {
    pub(crate) fn new(path: &Path, why: impl Into<String>) -> Problem {
        Problem { label: shown(path), why: why.into() }
    }

    /// A failure of the file system, with what can be done.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Problem {
        let next = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "; run the import as a user who may read it",
            std::io::ErrorKind::NotFound => "; it vanished meanwhile: run the import again",
            _ => "",
        };
        Problem::new(path, format!("cannot be read: {error}{next}"))
    }
}

/// A path for people: controls and undecodable bytes are shown, not sent to the terminal.
pub fn shown(path: &Path) -> String {
    path.to_string_lossy()
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// Collects folders while a tree is walked.
pub(crate) struct Finder {
    top: PathBuf,
    folders: Vec<Folder>,
    problems: Vec<Problem>,
    entered: HashSet<(u64, u64)>,
}

impl Finder {
    fn new(top: PathBuf) -> Finder {
        Finder { top, folders: Vec::new(), problems: Vec::new(), entered: HashSet::new() }
    }

    /// Whether to go into a folder: not twice, not too deep.
    pub(crate) fn enter(&mut self, path: &Path, levels: &[String]) -> bool {
        if levels.len() > DEPTH_MAX {
            self.problems.push(Problem::new(path, format!("lies deeper than {DEPTH_MAX} levels: import it by itself")));
            return false;
        }
        if let Err(problem) = check_inside(&self.top, path) {
            self.problems.push(problem);
            return false;
        }
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let new = self.entered.insert((metadata.dev(), metadata.ino()));
                if !new {
                    self.problems.push(Problem::new(path, "leads to a folder that was read already (a link)"));
                }
                new
            }
            Ok(_) => false,
            Err(error) => {
                self.problems.push(Problem::io(path, &error));
                false
            }
        }
    }

    pub(crate) fn folder(&mut self, levels: &[String], path: &Path, work: u64) {
        if let Err(problem) = check_inside(&self.top, path) {
            self.problems.push(problem);
        } else if self.folders.len() < FOLDERS_MAX {
            let (levels, path, top) = (levels.to_vec(), path.to_owned(), self.top.clone());
            self.folders.push(Folder { levels, path, top, work });
        } else if self.folders.len() == FOLDERS_MAX {
            self.problems.push(Problem::new(path, format!("and what follows: more than {FOLDERS_MAX} folders")));
        }
    }

    pub(crate) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Names in a folder, in order; a folder that cannot be read is a problem and empty.
    pub(crate) fn names(&mut self, path: &Path) -> Vec<std::ffi::OsString> {
        match names(path) {
            Ok(names) => names,
            Err(error) => {
                self.problems.push(Problem::io(path, &error));
                Vec::new()
            }
        }
    }
}

/// Names in a folder, in order.
pub(crate) fn names(path: &Path) -> std::io::Result<Vec<std::ffi::OsString>> {
    let mut names: Vec<_> =
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<std::io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Whether a path ends in `top`, with all links followed. `top` has none itself.
pub(crate) fn check_inside(top: &Path, path: &Path) -> std::result::Result<(), Problem> {
    let real = std::fs::canonicalize(path).map_err(|error| Problem::io(path, &error))?;
    match real.starts_with(top) {
        true => Ok(()),
        false => Err(Problem::new(path, LEADS_OUT)),
    }
}

/// The same of what was opened: a link may have been put there meanwhile. Where the system does not say what a file is
/// called, what was found before counts.
pub(crate) fn check_opened(top: &Path, path: &Path, file: &File) -> std::result::Result<(), Problem> {
    match std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        Ok(real) if real.is_absolute() && !real.starts_with(top) => Err(Problem::new(path, LEADS_OUT)),
        Ok(_) | Err(_) => Ok(()),
    }
}

const LEADS_OUT: &str = "is a link that leads out of what is imported: import what it leads to by itself";

/// Reads a file that holds one message, of what is imported. `Err` is a problem of it alone.
pub(crate) fn read_file(top: &Path, path: &Path) -> std::result::Result<(Content, std::fs::Metadata), Problem> {
    check_inside(top, path)?;
    // Looked at before it is opened: opening a pipe would wait for ever.
    let metadata = std::fs::metadata(path).map_err(|error| Problem::io(path, &error))?;
    if !metadata.is_file() {
        return Err(Problem::new(path, "is no regular file"));
    }
    let mut file = File::open(path).map_err(|error| Problem::io(path, &error))?;
    check_opened(top, path, &file)?;
    let metadata = file.metadata().map_err(|error| Problem::io(path, &error))?;
    let size = metadata.len();
    if size > MESSAGE_MAX {
        return Err(Problem::new(path, format!("is larger than {} MiB", MESSAGE_MAX >> 20)));
    }
    if size > WHOLE_MAX {
        let large =
            Large { file, head: Vec::new(), start: 0, end: size, quoting: Quoting::None, drop_last_newline: false };
        return Ok((Content::Large(large), metadata));
    }
    let mut bytes = Vec::with_capacity(size as usize + 1);
    let mut limited = std::io::Read::take(&mut file, WHOLE_MAX + 1);
    std::io::Read::read_to_end(&mut limited, &mut bytes).map_err(|error| Problem::io(path, &error))?;
    if bytes.len() as u64 != size {
        return Err(Problem::new(path, "changed while it was read: run the import again"));
    }
    Ok((Content::Whole(bytes), metadata))
}

/// When a file was last written.
pub(crate) fn modified(metadata: &std::fs::Metadata) -> Option<Timestamp> {
    metadata.mtime().checked_mul(1_000_000)?.checked_add(metadata.mtime_nsec() / 1_000).map(Timestamp)
}

fn detect(path: &Path, metadata: &std::fs::Metadata) -> Result<Format> {
    if metadata.is_file() {
        if mbox::looks_like(path) {
            return Ok(Format::Mbox);
        }
        if eml::is_message(path) {
            return Ok(Format::Eml);
        }
        return Err(Error::User(format!(
            "{} begins with no `From ` line and is no .eml file; say what it is with --format",
            path.display()
        )));
    }
    let mut probes: [fn(&Path, usize) -> bool; 3] = [maildir::is_below, mbox::is_below, eml::is_below];
    for (probe, format) in probes.iter_mut().zip([Format::Maildir, Format::Mbox, Format::Eml]) {
        if probe(path, PROBE_DEPTH) {
            return Ok(format);
        }
    }
    Err(Error::User(format!(
        "{} has no Maildir, mbox or .eml file in it that is recognised; say what it is with --format",
        path.display()
    )))
}

fn nothing(format: Format) -> &'static str {
    match format {
        Format::Maildir => "there is no Maildir here: a folder with `cur` and `new` in it",
        Format::Mbox => "there is no mbox file here: a file that begins with a line `From someone date`",
        Format::Eml => "there are no .eml or .emlx files here",
    }
}

const PROBE_DEPTH: usize = 6;
