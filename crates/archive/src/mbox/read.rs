//! Reads the messages of an mbox file, of any size, in constant memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use postroad_store::Timestamp;

use super::quote::unquoted;
use super::{from_line, head};
use crate::Result;
use crate::source::{
    Content, Folder, Found, Large, MESSAGE_MAX, Problem, Quoting, Skipped, Visit, WHOLE_MAX, check_opened, shown,
};

/// Shows the messages of an mbox file.
pub fn read(folder: &Folder, quoting: Quoting, visitor: &mut dyn Visit) -> Result<()> {
    let path = &folder.path;
    let opened = std::fs::metadata(path).and_then(|metadata| Ok((File::open(path)?, metadata)));
    let (file, before) = match opened {
        Ok((_, metadata)) if !metadata.is_file() => {
            return visitor.problem(Problem::new(path, "is no regular file"));
        }
        Ok(opened) => opened,
        Err(error) => return visitor.problem(Problem::io(path, &error)),
    };
    if let Err(problem) = check_opened(&folder.top, path, &file) {
        return visitor.problem(problem);
    }
    let mut scanner = match Scanner::new(file, before.len()) {
        Ok(scanner) => scanner,
        Err(error) => return visitor.problem(Problem::io(path, &error)),
    };
    loop {
        match scanner.next() {
            Ok(Some(Next::Message(span))) => {
                let end = span.end;
                show(path, &scanner.file, span, quoting, visitor)?;
                visitor.worked(end.saturating_sub(std::mem::replace(&mut scanner.reported, end)));
            }
            Ok(Some(Next::NoFromLine)) => {
                visitor.problem(Problem::new(path, "does not begin with a line `From someone date`: it is no mbox"))?;
                break;
            }
            Ok(None) => break,
            Err(error) => {
                visitor.problem(Problem::io(path, &error))?;
                break;
            }
        }
    }
    match std::fs::metadata(path) {
        Ok(after) if (after.len(), after.modified().ok()) == (before.len(), before.modified().ok()) => Ok(()),
        Ok(_) | Err(_) => visitor.problem(Problem::new(path, "changed while it was read: run the import again")),
    }
}

/// A message of the file, without its From_ line and the blank line behind it.
struct Span {
    date: Option<Timestamp>,
    start: u64,
    end: u64,
    /// Its `Content-Length` proved right, and it has lines that others would have quoted.
    unquoted: bool,
}

enum Next {
    Message(Span),
    NoFromLine,
}

/// A line: where it begins and ends, and its first bytes are in [`Scanner::line`].
#[derive(Clone, Copy)]
struct Line {
    start: u64,
    end: u64,
}

struct Scanner {
    file: File,
    reader: BufReader<File>,
    at: u64,
    size: u64,
    line: Vec<u8>,
    /// The From_ line of the next message was read.
    from: Option<Option<Timestamp>>,
    begun: bool,
    reported: u64,
}

impl Scanner {
    fn new(file: File, size: u64) -> io::Result<Scanner> {
        let reader = BufReader::with_capacity(BUFFER, file.try_clone()?);
        Ok(Scanner { file, reader, at: 0, size, line: Vec::new(), from: None, begun: false, reported: 0 })
    }

    /// The next line, its first [`LINE_KEPT`] bytes in `self.line`.
    fn line(&mut self) -> io::Result<Option<Line>> {
        self.line.clear();
        let start = self.at;
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok((self.at > start).then_some(Line { start, end: self.at }));
            }
            let found = memchr::memchr(b'\n', buffer);
            let taken = found.map_or(buffer.len(), |at| at + 1);
            let room = LINE_KEPT.saturating_sub(self.line.len()).min(taken);
            self.line.extend_from_slice(&buffer[..room]);
            self.reader.consume(taken);
            self.at += taken as u64;
            if found.is_some() {
                return Ok(Some(Line { start, end: self.at }));
            }
        }
    }

    fn is_blank(&self) -> bool {
        matches!(self.line.as_slice(), b"\n" | b"\r\n")
    }

    fn next(&mut self) -> io::Result<Option<Next>> {
        while self.from.is_none() {
            let Some(_) = self.line()? else { return Ok(None) };
            if self.is_blank() {
                continue;
            }
            // The first is believed without a date; after a proven length there was a look already.
            if !self.line.starts_with(b"From ") {
                return Ok((!std::mem::replace(&mut self.begun, true)).then_some(Next::NoFromLine));
            }
            self.from = Some(from_line::date(&self.line));
        }
        self.begun = true;
        let date = self.from.take().flatten();
        let start = self.at;
        let mut header = Some(Vec::new());
        let mut unquoted = false;
        let mut blank: Option<Line> = None;
        loop {
            let Some(line) = self.line()? else {
                let end = blank.filter(|blank| blank.start > start).map_or(self.at, |blank| blank.start);
                return Ok(Some(Next::Message(Span { date, start, end, unquoted: false })));
            };
            if let Some(before) = blank
                && self.line.starts_with(b"From ")
                && let Some(next) = from_line::date(&self.line)
            {
                self.from = Some(Some(next));
                return Ok(Some(Next::Message(Span { date, start, end: before.start, unquoted: false })));
            }
            blank = self.is_blank().then_some(line);
            if let Some(lines) = &mut header {
                if lines.len() < HEADER_MAX {
                    lines.extend_from_slice(&self.line);
                }
                if blank.is_some() {
                    let length = head::content_length(lines).filter(|_| !head::is_ours(lines));
                    header = None;
                    if let Some(end) = length.and_then(|length| line.end.checked_add(length))
                        && self.proves(end)?
                    {
                        // What others quote is there as it is: so nothing is quoted.
                        while self.at < end {
                            let Some(_) = self.line()? else { break };
                            unquoted |= self.line.starts_with(b"From ");
                        }
                        self.at = self.reader.seek(SeekFrom::Start(end))?;
                        return Ok(Some(Next::Message(Span { date, start, end, unquoted })));
                    }
                }
            }
        }
    }

    /// Whether a message can end at `end`: the file does, or after blank lines a From_ line begins.
    fn proves(&self, end: u64) -> io::Result<bool> {
        if end >= self.size {
            return Ok(end == self.size);
        }
        let mut bytes = vec![0; usize::try_from((self.size - end).min(LINE_KEPT as u64)).unwrap_or(LINE_KEPT)];
        self.file.read_exact_at(&mut bytes, end)?;
        // One blank line stands between two messages, where there is one.
        let text = bytes.strip_prefix(b"\r\n").or_else(|| bytes.strip_prefix(b"\n")).unwrap_or(&bytes);
        if text.is_empty() {
            return Ok(true);
        }
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let blank_before = end == 0 || {
            let mut last = [0];
            self.file.read_exact_at(&mut last, end - 1)?;
            last == *b"\n" || bytes.first() == Some(&b'\n')
        };
        Ok(blank_before && from_line::date(line).is_some())
    }
}

fn show(path: &Path, file: &File, span: Span, quoting: Quoting, visitor: &mut dyn Visit) -> Result<()> {
    let label = format!("{} at byte {}", shown(path), span.start);
    let quoting = if span.unquoted { Quoting::None } else { quoting };
    match load(file, &span, quoting) {
        Ok(_) if span.end - span.start > MESSAGE_MAX => {
            visitor.problem(Problem { label, why: format!("is larger than {} MiB", MESSAGE_MAX >> 20) })
        }
        Ok((head, _)) if head.pseudo || head.expunged => {
            visitor.skipped(if head.pseudo { Skipped::Internal } else { Skipped::Deleted });
            Ok(())
        }
        Ok((head, content)) => visitor.message(Found {
            label,
            marks: head.marks,
            received: head.received.or(span.date),
            prefer_header_date: false,
            was_crlf: head.was_crlf,
            content,
        }),
        Err(error) => visitor.problem(Problem { label, why: format!("cannot be read: {error}") }),
    }
}

/// The header and the rest of a message.
fn load(file: &File, span: &Span, quoting: Quoting) -> io::Result<(head::Head, Content)> {
    let size = span.end - span.start;
    let mut bytes = vec![0; usize::try_from(size.min(WHOLE_MAX)).unwrap_or(0)];
    file.read_exact_at(&mut bytes, span.start)?;
    let header_end = header_end(&bytes);
    let mut head = match header_end {
        None if size > WHOLE_MAX => head::Head { rest: bytes.clone(), ..head::Head::default() },
        Some(_) | None => head::read(&bytes[..header_end.unwrap_or(bytes.len())]),
    };
    let rest = std::mem::take(&mut head.rest);
    let body = header_end.unwrap_or(bytes.len());
    if size > WHOLE_MAX {
        let large = Large {
            file: file.try_clone()?,
            head: rest,
            start: span.start + body as u64,
            end: span.end,
            quoting,
            drop_last_newline: head.no_newline_at_end,
        };
        return Ok((head, Content::Large(large)));
    }
    let mut whole = unquoted(&[&rest, &bytes[body..]].concat(), quoting);
    if head.no_newline_at_end && whole.last() == Some(&b'\n') {
        whole.pop();
    }
    Ok((head, Content::Whole(whole)))
}

/// Behind the blank line that ends the header.
fn header_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(length) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        let line = &bytes[at..=at + length];
        at += length + 1;
        if matches!(line, b"\n" | b"\r\n") {
            return Some(at);
        }
    }
    None
}

/// So much of a line is looked at.
const LINE_KEPT: usize = 1024;
/// So much of a header is searched for a length.
const HEADER_MAX: usize = 256 * 1024;
const BUFFER: usize = 256 * 1024;
