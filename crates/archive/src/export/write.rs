//! The side of an export that has the folder.

use std::io::{BufReader, Read, Write};
use std::path::Path;

use postroad_mail::{Flags, Keyword};
use postroad_store::Timestamp;

use super::place::make_folder;
use super::{Announced, Event, Have, Meta};
use crate::marks::Marks;
use crate::newline::{self, Newlines, ToLf};
use crate::source::{Format, Problem};
use crate::wire::{self, Kind, PIECE};
use crate::{Error, Result, maildir, mbox};

/// How lines end in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Newline {
    /// As they did where the message came from: LF, but CRLF for what an import brought with CRLF.
    #[default]
    Kept,
    /// LF, unless a message has both.
    Lf,
    /// CRLF, as they are stored.
    Crlf,
}

/// What has come of an export so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Mailboxes, and the folders or files that they went to.
    pub folders: Vec<(String, String)>,
    /// Messages in all, when that is known before.
    pub coming: Option<u64>,
    /// Messages written.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that were there already.
    pub known: u64,
    /// What is damaged or could not be written as it should.
    pub problems: Vec<Problem>,
}

/// A message on its way into a file.
pub(crate) struct Outgoing {
    pub(crate) uid: u32,
    pub(crate) marks: Marks,
    pub(crate) received: Timestamp,
    /// Its lines should end with CRLF where that can be chosen for each message.
    pub(crate) was_crlf: bool,
}

/// One form of files.
pub(crate) trait Target {
    /// Begins a mailbox: what is there already, or `None` when nothing is wanted; and its place, for people.
    fn begin(
        &mut self,
        mailbox: &Announced,
        problems: &mut Vec<Problem>,
    ) -> Result<(Option<postroad_mail::UidSet>, String)>;
    /// A message begins.
    fn message(&mut self, message: &Outgoing, problems: &mut Vec<Problem>) -> Result<()>;
    /// A piece of it.
    fn piece(&mut self, bytes: &[u8]) -> Result<()>;
    /// It is whole.
    fn complete(&mut self) -> Result<()>;
    /// It is not to be kept.
    fn abandon(&mut self) -> Result<()>;
    /// Flags of a message that is there.
    fn marks(&mut self, message: &Outgoing, problems: &mut Vec<Problem>) -> Result<()>;
    /// The mailbox is whole.
    fn end(&mut self) -> Result<()>;
}

/// Writes what [`super::serve`] sends below `path`.
pub fn write(
    path: &Path,
    format: Format,
    newline: Newline,
    from: impl Read,
    to: impl Write,
    progress: &mut dyn FnMut(&Report),
) -> (Report, Result<()>) {
    let mut report = Report::default();
    let result = target(path, format, newline).and_then(|target| {
        let mut writer = Writer {
            from: BufReader::with_capacity(PIECE, from),
            to,
            target,
            newline,
            one_newline: format == Format::Mbox,
            report: &mut report,
        };
        writer.run(progress)
    });
    (report, result)
}

fn target(path: &Path, format: Format, newline: Newline) -> Result<Box<dyn Target>> {
    make_folder(path)?;
    match format {
        Format::Maildir => Ok(Box::new(maildir::Writer::new(path))),
        Format::Mbox => Ok(Box::new(mbox::Writer::new(path, newline))),
        Format::Eml => Err(Error::User("an export is a Maildir or an mbox".into())),
    }
}

struct Writer<'a, R, W> {
    from: R,
    to: W,
    target: Box<dyn Target>,
    newline: Newline,
    /// All messages of a file have the same.
    one_newline: bool,
    report: &'a mut Report,
}

impl<R: Read, W: Write> Writer<'_, R, W> {
    fn run(&mut self, progress: &mut dyn FnMut(&Report)) -> Result<()> {
        let mut open = false;
        loop {
            let (kind, frame) = wire::read(&mut self.from)?;
            match kind {
                Kind::Folder | Kind::End => {
                    if std::mem::take(&mut open) {
                        self.target.end()?;
                    }
                    if kind == Kind::End {
                        return Ok(());
                    }
                    open = self.folder(&wire::parse(&frame)?)?;
                }
                Kind::Message => {
                    let (meta, bytes) = wire::split_message::<Meta>(&frame)?;
                    self.whole(&meta, bytes)?;
                }
                Kind::Begin => self.large(&wire::parse(&frame)?)?,
                Kind::Event => match wire::parse(&frame)? {
                    Event::Marks(meta) => {
                        self.report.known += 1;
                        self.target.marks(&outgoing(&meta), &mut self.report.problems)?;
                    }
                    Event::Coming { messages } => self.report.coming = Some(messages),
                    Event::Damaged { label, why } => self.report.problems.push(Problem { label, why }),
                    Event::Failed { why } => return Err(Error::Told(why)),
                },
                Kind::Piece | Kind::Complete | Kind::Abandon => {
                    return Err(Error::Peer("a frame came where it cannot be".into()));
                }
            }
            progress(self.report);
        }
    }

    fn folder(&mut self, mailbox: &Announced) -> Result<bool> {
        let (have, place) = self.target.begin(mailbox, &mut self.report.problems)?;
        let open = have.is_some();
        if open {
            self.report.folders.push((mailbox.name.clone(), place));
        }
        let have = Have { uids: have.map(|have| have.to_string()).unwrap_or_default(), skip: !open };
        wire::write_json(&mut self.to, Kind::Folder, &have)?;
        self.to.flush().map_err(|error| Error::Peer(error.to_string()))?;
        Ok(open)
    }

    fn whole(&mut self, meta: &Meta, bytes: &[u8]) -> Result<()> {
        let bare_lf = matches!(newline::of(bytes), Newlines::Lf | Newlines::Mixed);
        self.target.message(&outgoing(meta), &mut self.report.problems)?;
        match newline::to_lf(bytes).filter(|_| self.to_lf(meta, bare_lf)) {
            Some(bytes) => self.target.piece(&bytes)?,
            None => self.target.piece(bytes)?,
        }
        self.complete(bytes.len() as u64)
    }

    fn large(&mut self, meta: &Meta) -> Result<()> {
        self.target.message(&outgoing(meta), &mut self.report.problems)?;
        let mut convert = self.to_lf(meta, meta.bare_lf).then(ToLf::default);
        loop {
            let (kind, piece) = wire::read(&mut self.from)?;
            match (kind, &mut convert) {
                (Kind::Piece, None) => self.target.piece(&piece)?,
                (Kind::Piece, Some(convert)) => {
                    let mut out = Vec::with_capacity(piece.len());
                    convert.feed(&piece, &mut out);
                    self.target.piece(&out)?;
                }
                (Kind::Complete, _) => break,
                (Kind::Abandon, _) => return self.target.abandon(),
                _ => return Err(Error::Peer("a frame came where it cannot be".into())),
            }
        }
        if let Some(convert) = convert {
            let mut out = Vec::new();
            convert.finish(&mut out);
            self.target.piece(&out)?;
        }
        self.complete(meta.size)
    }

    /// Whether CRLF becomes LF: only where that can be undone. An mbox says in each message's block what it had.
    fn to_lf(&self, meta: &Meta, bare_lf: bool) -> bool {
        let wanted = match self.newline {
            Newline::Kept => !meta.was_crlf || self.one_newline,
            Newline::Lf => true,
            Newline::Crlf => false,
        };
        wanted && !bare_lf
    }

    fn complete(&mut self, size: u64) -> Result<()> {
        self.target.complete()?;
        self.report.written += 1;
        self.report.bytes += size;
        Ok(())
    }
}

fn outgoing(meta: &Meta) -> Outgoing {
    let keywords = meta.keywords.iter().filter_map(|text| Keyword::parse(text)).collect();
    Outgoing {
        uid: meta.uid,
        marks: Marks { flags: Flags::from_bits(meta.flags), keywords },
        received: Timestamp(meta.received),
        was_crlf: meta.was_crlf,
    }
}
