//! One message's FETCH response, which may stop after any item and in any literal.

mod ascii;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use postroad_imap::command::{FetchItem, Label, Partial, Section, SectionText};
use postroad_imap::{DateTime, Writer};
use postroad_mail::{Entry, Facts};
use postroad_message::decode::Encoding;
use postroad_message::surrogate::{self, Piece, Told};
use postroad_message::{Limits, Parser, Part, SectionKind, SummaryView, header};
use postroad_store::{BlobBytes, ReadTx};

use crate::error::Error;
use crate::fetch::binary::{Decoding, Measuring, Telling};
use crate::fetch::octets::{Budget, Octets, PIECE, exhausted};
use crate::fetch::plan::Plan;
use crate::fetch::{envelope, preview, structure};
use crate::flags;
use crate::gmail;
use crate::session::Session;

/// A message and how far its response is.
#[derive(Debug)]
pub(super) struct Message {
    entry: Entry,
    sequence: u32,
    newly_seen: bool,
    /// What X-GM-LABELS says of it, when it is asked.
    labels: Vec<Label>,
    octets: Octets,
    /// The item that comes next.
    next: usize,
    /// What of the item before is still to come.
    stream: Option<Stream>,
    /// An earlier job began the response.
    begun_before: bool,
    /// The summary was damaged and made again.
    parsed_again: bool,
    pub(super) unknown_encoding: bool,
    /// What is told otherwise to a client without UTF-8, once that is known.
    told: Option<Arc<Told>>,
    /// Something was told in ASCII that is not.
    pub(super) downgraded: bool,
    /// The summary was made ASCII.
    downgraded_summary: bool,
}

/// A value that flows.
#[derive(Debug)]
enum Stream {
    /// Octets of the message, in a literal whose head is written.
    Plain(Range<u64>),
    /// The same with headers in ASCII (RFC 6858). True: in a literal8, where a NUL stays.
    Told(Arc<Told>, VecDeque<Piece>, bool),
    /// A part is measured, and told then.
    Measuring(Box<Measured>),
    /// Decoded octets, in a literal whose head is written.
    Telling(Box<Telling>),
}

/// A part that is measured.
#[derive(Debug)]
struct Measured {
    body: Range<u64>,
    encoding: Encoding,
    partial: Option<Partial>,
    purpose: Purpose,
    measuring: Measuring,
}

/// What a part is measured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Size,
    Content,
}

/// What an item's value is.
enum Value {
    /// Written already.
    Done,
    Stream(Stream),
}

impl Message {
    pub(super) fn new(entry: Entry, sequence: u32, newly_seen: bool) -> Message {
        let blob = entry.facts.as_ref().map_or(postroad_store::BlobId(0), |facts| facts.blob);
        let octets = Octets::new(blob, entry.size);
        Message {
            entry,
            sequence,
            newly_seen,
            labels: Vec::new(),
            octets,
            next: 0,
            stream: None,
            begun_before: false,
            parsed_again: false,
            unknown_encoding: false,
            told: None,
            downgraded: false,
            downgraded_summary: false,
        }
    }

    /// With its labels.
    pub(super) fn labelled(self, labels: Vec<Label>) -> Message {
        Message { labels, ..self }
    }

    /// With its octets, if they are at hand.
    pub(super) fn reading(mut self, bytes: Option<BlobBytes>) -> Message {
        self.octets.at_hand(bytes);
        self
    }

    pub(super) fn uid(&self) -> u32 {
        self.entry.uid
    }

    /// Writes the response, or goes on with it. False: the budget is used up before its end.
    pub(super) fn write(
        &mut self,
        session: &mut Session,
        tx: &ReadTx,
        plan: &Plan,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        match self.write_on(session, tx, plan, budget) {
            Ok(whole) => {
                self.begun_before = !whole;
                Ok(whole)
            }
            // What was sent of it cannot be taken back.
            Err(error) if self.begun_before => Err(error.cut()),
            Err(error) => Err(error),
        }
    }

    fn write_on(
        &mut self,
        session: &mut Session,
        tx: &ReadTx,
        plan: &Plan,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        loop {
            if let Some(stream) = self.stream.take() {
                self.stream = self.flow(session, tx, stream, budget)?;
                if self.stream.is_some() {
                    if exhausted(session, budget) {
                        return Ok(false);
                    }
                    continue;
                }
            }
            let Some(item) = self.item(plan) else {
                session.writer().fetch_end();
                return Ok(true);
            };
            if self.next > 0 && exhausted(session, budget) {
                return Ok(false);
            }
            let start = session.staged.len();
            let value = match self.value(session, tx, item) {
                Err(Error::Summary) if !self.parsed_again => {
                    session.staged.truncate(start);
                    self.parse_again(tx)?;
                    self.value(session, tx, item)?
                }
                other => other?,
            };
            let is_plain = session.enabled.utf8() || session.staged[start..].is_ascii();
            if !is_plain && !self.downgraded_summary && is_of_summary(item) {
                // RFC 6855 §8: no UTF-8 to a client that did not ask for it.
                session.staged.truncate(start);
                self.summary_in_ascii()?;
                self.value(session, tx, item)?;
            }
            self.next += 1;
            if let Value::Stream(stream) = value {
                self.stream = Some(stream);
            }
        }
    }

    fn item<'a>(&self, plan: &'a Plan) -> Option<&'a FetchItem> {
        let more = plan.items_when_seen.iter().filter(|_| self.newly_seen);
        plan.items.iter().chain(more).nth(self.next)
    }

    /// Writes an item, up to what must flow.
    fn value(&mut self, session: &mut Session, tx: &ReadTx, item: &FetchItem) -> Result<Value, Error> {
        let recent = session.view()?.is_recent(self.entry.uid) && !session.enabled.rev2;
        let size = match item {
            FetchItem::Size if !session.enabled.utf8() => self.told_size(tx)?,
            _ => self.entry.size,
        };
        let mut writer = match self.next {
            0 => session.begin_fetch(self.sequence, self.entry.uid),
            _ => session.writer(),
        };
        match item {
            FetchItem::Uid => writer.fetch_uid(self.entry.uid),
            FetchItem::Flags => {
                writer.fetch_flags(&flags::join(self.entry.flags, &self.entry.keywords), recent);
            }
            FetchItem::Size => writer.fetch_size(size),
            FetchItem::ModSeq => writer.fetch_mod_seq(self.entry.modseq.0.unsigned_abs()),
            FetchItem::EmailId => writer.fetch_email_id(&self.entry.message.to_string()),
            FetchItem::ThreadId => writer.fetch_thread_id(Some(&self.facts()?.thread.to_string())),
            FetchItem::GmailMessage => writer.fetch_gmail_message(gmail::message_number(self.entry.message)),
            FetchItem::GmailThread => writer.fetch_gmail_thread(gmail::thread_number(self.facts()?.thread)),
            FetchItem::Labels => writer.fetch_labels(&self.labels),
            FetchItem::InternalDate => {
                let seconds = self.facts()?.received.0.div_euclid(1_000_000);
                writer.fetch_internal_date(DateTime { seconds, offset: 0 });
            }
            FetchItem::SaveDate => {
                let seconds = self.entry.saved.0.div_euclid(1_000_000);
                writer.fetch_save_date(DateTime { seconds, offset: 0 });
            }
            FetchItem::Preview => {
                let text = preview::of(self.summary()?.preview().map_err(|_| Error::Summary)?);
                writer.fetch_name(item);
                writer.string(text.as_bytes());
            }
            FetchItem::Envelope => {
                writer.fetch_name(item);
                let summary = self.summary()?;
                summary.read_envelope(|read| envelope::write(&mut writer, read)).map_err(|_| Error::Summary)?;
            }
            FetchItem::Body | FetchItem::BodyStructure => {
                writer.fetch_name(item);
                let extended = *item == FetchItem::BodyStructure;
                if !writer.utf8
                    && let Some(structure) = self.structure_as_told(tx)?
                {
                    structure::write(&mut writer, &structure, extended);
                    return Ok(Value::Done);
                }
                let mut structure = self.summary()?.read_structure();
                structure::write_stored(&mut writer, &mut structure, extended).map_err(|_| Error::Summary)?;
            }
            FetchItem::Rfc822 => {
                writer.fetch_name(item);
                return self.as_told(&mut writer, tx, 0..self.entry.size, None);
            }
            FetchItem::Rfc822Header => {
                writer.fetch_name(item);
                let range = 0..self.summary()?.body_start;
                return self.as_told(&mut writer, tx, range, None);
            }
            FetchItem::Rfc822Text => {
                writer.fetch_name(item);
                let range = self.summary()?.body_start..self.entry.size;
                return self.as_told(&mut writer, tx, range, None);
            }
            FetchItem::Section { section, partial, .. } => {
                writer.fetch_name(item);
                return self.section(&mut writer, tx, section, *partial);
            }
            FetchItem::Binary { part, partial, .. } => {
                writer.fetch_name(item);
                return self.binary(&mut writer, tx, part, *partial, Purpose::Content);
            }
            FetchItem::BinarySize { part } => {
                writer.fetch_name(item);
                return self.binary(&mut writer, tx, part, None, Purpose::Size);
            }
        }
        Ok(Value::Done)
    }

    /// `BODY[section]<partial>`.
    fn section(
        &mut self,
        writer: &mut Writer<'_>,
        tx: &ReadTx,
        section: &Section,
        partial: Option<Partial>,
    ) -> Result<Value, Error> {
        let kind = match &section.text {
            None => SectionKind::Body,
            Some(SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)) => {
                SectionKind::Header
            }
            Some(SectionText::Text) => SectionKind::Text,
            Some(SectionText::Mime) => SectionKind::Mime,
        };
        if let (true, Some(SectionText::HeaderFields(names))) = (section.part.is_empty(), &section.text) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let fields = self.summary()?.fields().map_err(|_| Error::Summary)?;
            if let Some(selected) = fields.select(&names) {
                self.selected(writer, selected, partial);
                return Ok(Value::Done);
            }
        }
        let Some(range) = self.range(&section.part, kind)? else {
            writer.nstring(None);
            return Ok(Value::Done);
        };
        let select = match &section.text {
            Some(SectionText::HeaderFields(names)) => (names, header::select as fn(&[u8], &[&str]) -> Vec<u8>),
            Some(SectionText::HeaderFieldsNot(names)) => (names, header::select_not as fn(&[u8], &[&str]) -> Vec<u8>),
            // RFC 6858 §2: headers of parts, and of messages within, as well.
            Some(SectionText::Header | SectionText::Text | SectionText::Mime) | None => {
                return self.as_told(writer, tx, range, partial);
            }
        };
        let (names, select) = select;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let end = range.end.min(range.start.saturating_add(HEADER_MAX));
        let selected = select(self.octets.read(tx, range.start..end)?, &names);
        self.selected(writer, selected, partial);
        Ok(Value::Done)
    }

    /// Fields of a header; in ASCII for a client without UTF-8 (RFC 6858).
    fn selected(&mut self, writer: &mut Writer<'_>, mut selected: Vec<u8>, partial: Option<Partial>) {
        if !writer.utf8
            && let Some(made) = surrogate::header(&selected)
        {
            self.downgraded = true;
            selected = made;
        }
        literal(writer, &selected, partial);
    }

    /// Where a section is in the message; `None`: there is no such section.
    fn range(&self, part: &[u32], kind: SectionKind) -> Result<Option<Range<u64>>, Error> {
        if !part.is_empty() {
            return Ok(self.structure()?.section(part, kind));
        }
        Ok(match kind {
            SectionKind::Body => Some(0..self.entry.size),
            SectionKind::Header => Some(0..self.summary()?.body_start),
            SectionKind::Text => Some(self.summary()?.body_start..self.entry.size),
            SectionKind::Mime => None,
        })
    }

    /// `BINARY[part]<partial>` or `BINARY.SIZE[part]`.
    fn binary(
        &mut self,
        writer: &mut Writer<'_>,
        tx: &ReadTx,
        part: &[u32],
        partial: Option<Partial>,
        purpose: Purpose,
    ) -> Result<Value, Error> {
        let structure = self.structure()?;
        // RFC 3516 §4.2: the whole message is not encoded, whatever its own header says of its body.
        let (body, encoding) = match (part.is_empty(), structure.part(part)) {
            (true, _) => (0..self.entry.size, Encoding::Binary),
            (false, Some(part)) => (part.body_start..part.body_end, part.encoding.clone()),
            (false, None) => {
                writer.raw(if purpose == Purpose::Size { b"0" } else { b"NIL" });
                return Ok(Value::Done);
            }
        };
        if let Encoding::Other(_) = encoding {
            self.unknown_encoding = true;
            writer.raw(if purpose == Purpose::Size { b"0" } else { b"NIL" });
            return Ok(Value::Done);
        }
        let told = if writer.utf8 { None } else { Some(self.told(tx)?) };
        if let Some(told) = told.filter(|told| encoding.is_identity() && told.changes(&body)) {
            return self.binary_as_told(writer, told, &body, partial, purpose);
        }
        if encoding.is_identity() && purpose == Purpose::Size {
            writer.raw((body.end - body.start).to_string().as_bytes());
            return Ok(Value::Done);
        }
        if encoding.is_identity() && !self.summary()?.facts.nul {
            return Ok(plain(writer, body, partial));
        }
        let measuring = Measuring::new(Decoding::new(&encoding, body.clone()));
        Ok(Value::Stream(Stream::Measuring(Box::new(Measured { body, encoding, partial, purpose, measuring }))))
    }

    /// Goes on with a value. What is still to come of it comes back.
    fn flow(
        &mut self,
        session: &mut Session,
        tx: &ReadTx,
        stream: Stream,
        budget: &mut Budget,
    ) -> Result<Option<Stream>, Error> {
        match stream {
            Stream::Plain(mut range) => {
                while !range.is_empty() {
                    let piece = self.octets.next(tx, &range)?;
                    range.start += piece.len() as u64;
                    budget.spend(piece.len() as u64);
                    write_text(&mut session.staged, piece);
                    if exhausted(session, budget) {
                        break;
                    }
                }
                Ok((!range.is_empty()).then_some(Stream::Plain(range)))
            }
            Stream::Told(told, mut pieces, nul) => {
                let write = if nul { write_octets } else { write_text };
                while let Some(piece) = pieces.pop_front() {
                    match piece {
                        Piece::Made(index, range) => write(&mut session.staged, told.made(index, range)),
                        Piece::Stored(mut range) => {
                            let piece = self.octets.next(tx, &range)?;
                            range.start += piece.len() as u64;
                            budget.spend(piece.len() as u64);
                            write(&mut session.staged, piece);
                            if !range.is_empty() {
                                pieces.push_front(Piece::Stored(range));
                            }
                        }
                    }
                    if exhausted(session, budget) {
                        break;
                    }
                }
                Ok((!pieces.is_empty()).then_some(Stream::Told(told, pieces, nul)))
            }
            Stream::Measuring(mut measured) => {
                if !measured.measuring.go_on(session, tx, &mut self.octets, budget)? {
                    return Ok(Some(Stream::Measuring(measured)));
                }
                Ok((*measured).told(&mut session.writer()))
            }
            Stream::Telling(mut telling) => {
                let whole = telling.go_on(session, tx, &mut self.octets, budget)?;
                Ok((!whole).then_some(Stream::Telling(telling)))
            }
        }
    }

    fn facts(&self) -> Result<&Facts, Error> {
        self.entry.facts.as_ref().ok_or_else(|| Error::bug("a row was read without what it is needed for"))
    }

    fn summary(&self) -> Result<SummaryView<'_>, Error> {
        SummaryView::new(&self.facts()?.summary).map_err(|_| Error::Summary)
    }

    fn structure(&self) -> Result<Part, Error> {
        self.summary()?.structure().map_err(|_| Error::Summary)
    }

    /// A damaged summary is made again from the message, for this answer.
    fn parse_again(&mut self, tx: &ReadTx) -> Result<(), Error> {
        self.parsed_again = true;
        let mut parser = Parser::new(Limits::default());
        let mut rest = 0..self.entry.size;
        while !rest.is_empty() {
            let piece = self.octets.next(tx, &rest)?;
            rest.start += piece.len() as u64;
            parser.feed(piece);
        }
        let summary = parser.finish().summary.encode();
        if let Some(facts) = &mut self.entry.facts {
            facts.summary = summary;
        }
        self.told = None;
        Ok(())
    }
}

impl Measured {
    /// Tells the size, or the head of the literal whose octets then flow.
    fn told(self, writer: &mut Writer<'_>) -> Option<Stream> {
        if self.purpose == Purpose::Size {
            writer.raw(self.measuring.size.to_string().as_bytes());
            return None;
        }
        let range = part_of(0..self.measuring.size, self.partial);
        match self.measuring.nul {
            // RFC 3516 §4.2: only a literal8 can have NULs.
            true => writer.literal8_head(range.end - range.start),
            false => writer.literal_head(range.end - range.start),
        }
        Some(Stream::Telling(Box::new(Telling::new(Decoding::new(&self.encoding, self.body), range))))
    }
}

/// Whether an item is told from the summary.
fn is_of_summary(item: &FetchItem) -> bool {
    matches!(item, FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure)
}

/// The head of a literal with octets of the message, which then flow.
fn plain(writer: &mut Writer<'_>, range: Range<u64>, partial: Option<Partial>) -> Value {
    let range = part_of(range, partial);
    if range.is_empty() {
        writer.raw(b"\"\"");
        return Value::Done;
    }
    writer.literal_head(range.end - range.start);
    Value::Stream(Stream::Plain(range))
}

/// A literal with octets that are there.
fn literal(writer: &mut Writer<'_>, octets: &[u8], partial: Option<Partial>) {
    let range = part_of(0..octets.len() as u64, partial);
    let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(octets.len());
    let octets = &octets[index(range.start)..index(range.end)];
    if octets.is_empty() {
        return writer.raw(b"\"\"");
    }
    writer.literal_head(octets.len() as u64);
    write_text(writer.out, octets);
}

/// RFC 9051 §6.4.5: a range beyond the end is cut; one that begins there is empty.
fn part_of(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(partial) = partial else { return range };
    let start = range.start.saturating_add(partial.offset).min(range.end);
    start..start.saturating_add(partial.length).min(range.end)
}

/// RFC 9051 §4.3: a literal has no NUL. As other servers do, 0x80 stands for it: the length stays.
fn write_text(out: &mut Vec<u8>, octets: &[u8]) {
    let mut from = out.len();
    out.extend_from_slice(octets);
    while let Some(nul) = memchr::memchr(0, &out[from..]) {
        out[from + nul] = 0x80;
        from += nul + 1;
    }
}

fn write_octets(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(octets);
}

/// Octets of a header block that HEADER.FIELDS looks at. The parser interprets no more of it either.
const HEADER_MAX: u64 = 4 * PIECE;
