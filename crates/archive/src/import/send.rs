//! The side of an import that has the files.

use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Announced, Event, Meta};
use crate::mbox::Unquote;
use crate::newline::{Newlines, Scan};
use crate::source::{Content, Folder, Found, Large, Problem, Skipped, Source, Visit};
use crate::wire::{self, Kind, PIECE};
use crate::{Error, Result};

/// What has come of an import so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Folders with the mailboxes that they go to, and whether these were made.
    pub folders: Vec<(String, String, bool)>,
    /// Messages that are on disk now.
    pub taken: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that an earlier import had brought.
    pub known: u64,
    /// Messages that were sent.
    pub there: u64,
    /// Of a comparison: messages that are stored as the source has them.
    pub equal: u64,
    /// Of a comparison: messages that their owner has removed since.
    pub removed: u64,
    /// Messages left out because they are marked as deleted and were only not yet removed from their file.
    pub deleted: u64,
    /// What has the form of a message and is a program's own data.
    pub internal: u64,
    /// What was not taken, the first [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// All of it.
    pub problem_count: u64,
    /// Work that was read, in the unit of [`Folder::work`].
    pub worked: u64,
}

/// Problems that are named.
pub const PROBLEMS_MAX: usize = 10_000;

impl Report {
    /// Of a comparison that ended without an error: every message of the source is stored as it is there, or was removed by
    /// its owner.
    pub fn is_proved(&self) -> bool {
        self.problem_count == 0 && self.equal + self.removed == self.there
    }

    fn problem(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// Sends what a source has and waits until it is filed. `shutdown` breaks the connection off when it failed on this
/// side; `progress` is called often and decides itself when to show something.
///
/// The report is complete when there is no error, and says what had happened when there is one.
pub fn send(
    source: &Source,
    to: impl Write,
    from: impl Read + Send,
    shutdown: impl Fn(),
    progress: &mut dyn FnMut(&Report),
) -> (Report, Result<()>) {
    let report = Mutex::new(Report::default());
    let result = std::thread::scope(|scope| {
        let events = scope.spawn(|| listen(from, &report));
        let mut sender = Sender { to: BufWriter::with_capacity(PIECE, to), report: &report, progress };
        let sent = source.visit(&mut sender).and_then(|()| {
            wire::write(&mut sender.to, Kind::End, &[])?;
            sender.to.flush().map_err(|error| Error::Peer(error.to_string()))
        });
        // Without this the listener would wait for the other side, and that for us.
        if !matches!(sent, Ok(()) | Err(Error::Peer(_))) {
            shutdown();
        }
        drop(sender);
        let heard = events.join().unwrap_or_else(|_| Err(Error::Peer("a thread of the import panicked".into())));
        match (sent, heard) {
            // The other side's own words say more than that it is gone.
            (Err(Error::Peer(_)), Err(told)) => Err(told),
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(())) => Ok(()),
        }
    });
    let report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    progress(&report);
    (report, result)
}

/// Hears what has happened until all is done.
fn listen(from: impl Read, report: &Mutex<Report>) -> Result<()> {
    let mut from = std::io::BufReader::new(from);
    loop {
        let (kind, frame) = wire::read(&mut from)?;
        if kind != Kind::Event {
            return Err(Error::Peer("a frame came where it cannot be".into()));
        }
        let mut report = lock(report);
        match wire::parse(&frame)? {
            Event::Folder { folder, mailbox, new } => report.folders.push((folder, mailbox, new)),
            Event::Taken { messages, known, bytes } => {
                report.taken += messages;
                report.known += known;
                report.bytes += bytes;
            }
            Event::Proved { equal, removed } => {
                report.equal += equal;
                report.removed += removed;
            }
            Event::Refused { label, why } => report.problem(Problem { label, why }),
            Event::Failed { why } => return Err(Error::Told(why)),
            Event::Done => return Ok(()),
        }
    }
}

fn lock(report: &Mutex<Report>) -> MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Sender<'a, W: Write> {
    to: BufWriter<W>,
    report: &'a Mutex<Report>,
    progress: &'a mut dyn FnMut(&Report),
}

impl<W: Write> Visit for Sender<'_, W> {
    fn folder(&mut self, folder: &Folder, keep_name: bool) -> Result<()> {
        wire::write_json(&mut self.to, Kind::Folder, &Announced { levels: folder.levels.clone(), keep_name })
    }

    fn message(&mut self, found: Found) -> Result<()> {
        lock(self.report).there += 1;
        let meta = Meta {
            label: found.label,
            flags: found.marks.flags.bits(),
            keywords: found.marks.keywords.iter().map(|keyword| keyword.as_str().to_owned()).collect(),
            received: found.received.map(|time| time.0),
            prefer_header_date: found.prefer_header_date,
            was_crlf: found.was_crlf,
            ..Meta::default()
        };
        match found.content {
            Content::Whole(bytes) => wire::write_message(&mut self.to, &meta, &bytes),
            Content::Large(large) => self.large(meta, &large),
        }
    }

    fn skipped(&mut self, why: Skipped) {
        let mut report = lock(self.report);
        match why {
            Skipped::Deleted => report.deleted += 1,
            Skipped::Internal => report.internal += 1,
        }
    }

    fn problem(&mut self, problem: Problem) -> Result<()> {
        lock(self.report).problem(problem);
        Ok(())
    }

    fn worked(&mut self, work: u64) {
        let mut report = lock(self.report);
        report.worked += work;
        (self.progress)(&report);
    }
}

impl<W: Write> Sender<'_, W> {
    /// Read twice: how its lines end must be known before the first of them is stored.
    fn large(&mut self, mut meta: Meta, large: &Large) -> Result<()> {
        let (mut scan, mut first) = (Scan::default(), blake3::Hasher::new());
        let looked = pieces(large, &mut |piece| {
            scan.feed(piece);
            first.update(piece);
            Ok(())
        })?;
        if let Err(error) = looked {
            return self.problem(Problem { label: meta.label, why: format!("cannot be read: {error}") });
        }
        meta.lf = scan.newlines() == Newlines::Lf;
        meta.crlf = scan.newlines() == Newlines::Crlf;
        wire::write_json(&mut self.to, Kind::Begin, &meta)?;
        let mut second = blake3::Hasher::new();
        let sent = pieces(large, &mut |piece| {
            second.update(piece);
            piece.chunks(PIECE).try_for_each(|piece| wire::write(&mut self.to, Kind::Piece, &[piece]))
        })?;
        let why = match sent {
            Ok(()) if first.finalize() == second.finalize() => {
                return wire::write(&mut self.to, Kind::Complete, &[]);
            }
            Ok(()) => "changed while it was read: run the import again".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        wire::write(&mut self.to, Kind::Abandon, &[])?;
        self.problem(Problem { label: meta.label, why })
    }
}

/// The bytes of a large message in pieces. The inner result is the file's, the outer one that of `each`.
fn pieces(large: &Large, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<std::io::Result<()>> {
    let mut unquote = Unquote::new(large.quoting);
    let mut plain = Vec::with_capacity(2 * PIECE);
    unquote.feed(&large.head, &mut plain);
    let end = large.end - u64::from(large.drop_last_newline);
    let mut at = large.start;
    let mut buffer = vec![0; PIECE];
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        match large.file.read_at(&mut buffer[..wanted], at) {
            Ok(0) => return Ok(Err(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => {
                unquote.feed(&buffer[..read], &mut plain);
                at += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
        each(&plain)?;
        plain.clear();
    }
    unquote.finish(&mut plain);
    each(&plain)?;
    Ok(Ok(()))
}
