//! Writes mbox files (mboxrd): each under a name of its own until it is whole.
//!
//! What mbox has no place for stands in a block of header fields before each message ([`super::head`]), so that an
//! import of the file gives every byte, flag and date back.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use postroad_mail::UidSet;

use super::quote::Quote;
use super::{from_line, head};
use crate::export::{Announced, Newline, Outgoing, Target, place};
use crate::folder::{is_cut, plain_level};
use crate::source::{Problem, shown};
use crate::{Error, Result};

/// Writes `Work.mbox`, `Work/2019.mbox` and so on.
pub struct Writer {
    root: PathBuf,
    newline: &'static str,
    open: Option<Open>,
}

struct Open {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    /// Bytes written.
    size: u64,
    message: Option<Pending>,
}

/// A message that is being written.
struct Pending {
    start: u64,
    /// Where the word about its last newline stands.
    word_at: u64,
    quote: Quote,
    last: Option<u8>,
}

impl Writer {
    pub(crate) fn new(root: &Path, newline: Newline) -> Writer {
        let newline = match newline {
            Newline::Kept | Newline::Lf => "\n",
            Newline::Crlf => "\r\n",
        };
        Writer { root: root.to_owned(), newline, open: None }
    }
}

impl Open {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(Error::file(&self.temporary))
    }
}

impl Target for Writer {
    fn begin(&mut self, mailbox: &Announced, problems: &mut Vec<Problem>) -> Result<(Option<UidSet>, String)> {
        let below: PathBuf = mailbox.name.split('/').map(plain_level).collect();
        let mut path = self.root.join(&below);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".mbox");
        path.set_file_name(&name);
        if path.symlink_metadata().is_ok() {
            let why = "is there already and is left as it is; remove it or export to another folder";
            problems.push(Problem::new(&path, why));
            return Ok((None, shown(&path)));
        }
        if below.iter().any(|level| is_cut(&level.to_string_lossy())) {
            problems.push(Problem::new(&path, format!("has a name that was cut, of the mailbox {}", mailbox.name)));
        }
        if let Some(above) = below.parent() {
            place::make_folders(&self.root, above)?;
        }
        name.push(".part");
        let temporary = path.with_file_name(name);
        let file = place::new_file(&temporary)?;
        let file = BufWriter::with_capacity(BUFFER, file);
        let place = shown(&path);
        self.open = Some(Open { file, temporary, path, size: 0, message: None });
        Ok((Some(UidSet::new()), place))
    }

    fn message(&mut self, message: &Outgoing, _: &mut Vec<Problem>) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let start = open.size;
        let line = format!("{}{}", from_line::line(message.received), self.newline);
        open.write(line.as_bytes())?;
        let mut words = vec![head::ENDS_WITH_NEWLINE];
        if message.was_crlf {
            words.push(head::CRLF);
        }
        let block = head::block(&message.marks, message.received, &words, self.newline);
        let word = block.find(head::ENDS_WITH_NEWLINE).unwrap_or(0) as u64;
        let word_at = open.size + word;
        open.write(block.as_bytes())?;
        open.message = Some(Pending { start, word_at, quote: Quote::default(), last: None });
        Ok(())
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some(message) = &mut open.message else { return Ok(()) };
        message.last = bytes.last().copied().or(message.last);
        let mut quoted = Vec::with_capacity(bytes.len() + 16);
        message.quote.feed(bytes, &mut quoted);
        open.write(&quoted)
    }

    fn complete(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some(mut message) = open.message.take() else { return Ok(()) };
        let mut rest = Vec::new();
        message.quote.finish(&mut rest);
        if message.last.is_some_and(|last| last != b'\n') {
            rest.push(b'\n');
            open.file.flush().map_err(Error::file(&open.temporary))?;
            let word = head::NO_NEWLINE_AT_END.as_bytes();
            open.file.get_ref().write_all_at(word, message.word_at).map_err(Error::file(&open.temporary))?;
        }
        rest.extend_from_slice(self.newline.as_bytes());
        open.write(&rest)
    }

    fn abandon(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some(message) = open.message.take() else { return Ok(()) };
        open.size = message.start;
        open.file.flush().map_err(Error::file(&open.temporary))?;
        open.file.get_ref().set_len(message.start).map_err(Error::file(&open.temporary))?;
        open.file.seek(SeekFrom::Start(message.start)).map_err(Error::file(&open.temporary)).map(|_| ())
    }

    fn marks(&mut self, _: &Outgoing, _: &mut Vec<Problem>) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let file = open.file.into_inner().map_err(|error| Error::File(open.temporary.clone(), error.into_error()))?;
        file.sync_all().map_err(Error::file(&open.temporary))?;
        std::fs::rename(&open.temporary, &open.path).map_err(Error::file(&open.path))
    }
}

const BUFFER: usize = 256 * 1024;
