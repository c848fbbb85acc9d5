//! The stored form of a [`Summary`]: compact, versioned, total on hostile bytes.
//!
//! On-disk format, version 1. Numbers are LEB128 (7 bits per octet, low first), signed ones zigzag. Text is its length and its
//! octets. Head: version octet; size, lines, flags, date in microseconds, date offset in minutes, end of the top header; the
//! lengths of four sections. Then the sections: envelope, structure, fields, preview. Each can be read alone.

mod borrowed;
mod read;
mod write;

use crate::{Content, Envelope, Error, Facts, Fields, HeaderDate, Part, Summary};
pub use borrowed::{AddressView, EnvelopeReader, Inside, PartView, StructureReader, Texts, TextsView};
use read::Reader;
use std::ops::Range;

const VERSION: u8 = 1;
/// Nested parts; what the parser makes is within its own limit, which is smaller.
const DEPTH_MAX: usize = 130;

const EIGHT_BIT_HEADER: u64 = 1;
const EIGHT_BIT_BODY: u64 = 1 << 1;
const NUL: u64 = 1 << 2;
const BARE_LF: u64 = 1 << 3;
const LIMITED: u64 = 1 << 4;
const HEADER_CUT: u64 = 1 << 5;
const HAS_ATTACHMENT: u64 = 1 << 6;
const DATE_VALID: u64 = 1 << 7;
const DATE_INVALID: u64 = 1 << 8;
const ASCII_PARTS: u64 = 1 << 9;

impl Summary {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        write::summary(self)
    }

    /// Reads the stored form back.
    pub fn decode(bytes: &[u8]) -> Result<Summary, Error> {
        let view = SummaryView::new(bytes)?;
        let structure = view.structure()?;
        Ok(Summary {
            size: view.size,
            lines: view.lines,
            envelope: view.envelope()?,
            date: view.date,
            structure,
            fields: view.fields()?,
            preview: view.preview()?.to_owned(),
            has_attachment: view.has_attachment,
            facts: view.facts,
        })
    }
}

impl Part {
    /// The stored form, as it stands within that of a summary.
    pub fn encode(&self) -> Vec<u8> {
        write::part(self)
    }
}

impl<'a> StructureReader<'a> {
    /// Of what [`Part::encode`] made.
    pub fn of(stored: &'a [u8]) -> StructureReader<'a> {
        StructureReader::new(stored)
    }
}

/// A stored summary of which only the asked pieces are decoded: making one reads a few dozen octets.
#[derive(Debug, Clone)]
pub struct SummaryView<'a> {
    /// [`Summary::size`].
    pub size: u64,
    /// [`Summary::lines`].
    pub lines: u64,
    /// [`Summary::date`].
    pub date: HeaderDate,
    /// [`Summary::has_attachment`].
    pub has_attachment: bool,
    /// [`Summary::facts`].
    pub facts: Facts,
    /// End of the top header block: `BODY[HEADER]` is `0..body_start`, `BODY[TEXT]` is `body_start..size`.
    pub body_start: u64,
    bytes: &'a [u8],
    envelope: Range<usize>,
    structure: Range<usize>,
    fields: Range<usize>,
    preview: Range<usize>,
}

impl<'a> SummaryView<'a> {
    /// Reads the fixed part of a stored summary.
    pub fn new(bytes: &'a [u8]) -> Result<SummaryView<'a>, Error> {
        let mut reader = Reader::new(bytes, "head");
        match reader.octet()? {
            VERSION => {}
            version => return Err(Error::SummaryVersion(version)),
        }
        let size = reader.number()?;
        let lines = reader.number()?;
        let flags = reader.number()?;
        let time = crate::date::DateTime {
            micros: reader.signed()?,
            offset_minutes: i16::try_from(reader.signed()?).map_err(|_| Error::SummaryDamaged("date"))?,
        };
        let body_start = reader.number()?;
        let lengths = [reader.length()?, reader.length()?, reader.length()?, reader.length()?];
        let mut at = bytes.len() - reader.rest().len();
        let ranges = lengths.map(|length| {
            let range = at..at.saturating_add(length);
            at = range.end;
            range
        });
        if at != bytes.len() {
            return Err(Error::SummaryDamaged("section lengths"));
        }
        let [envelope, structure, fields, preview] = ranges;
        let date = match flags & (DATE_VALID | DATE_INVALID) {
            0 => HeaderDate::Missing,
            DATE_VALID => HeaderDate::Valid(time),
            _ => HeaderDate::Invalid,
        };
        let has_attachment = flags & HAS_ATTACHMENT != 0;
        let facts = facts(flags);
        Ok(SummaryView {
            size,
            lines,
            date,
            has_attachment,
            facts,
            body_start,
            bytes,
            envelope,
            structure,
            fields,
            preview,
        })
    }

    /// Decodes the envelope alone.
    pub fn envelope(&self) -> Result<Envelope, Error> {
        let mut reader = Reader::new(&self.bytes[self.envelope.clone()], "envelope");
        let envelope = reader.envelope()?;
        reader.end()?;
        Ok(envelope)
    }

    /// Decodes the structure alone.
    pub fn structure(&self) -> Result<Part, Error> {
        let mut reader = Reader::new(&self.bytes[self.structure.clone()], "structure");
        let part = reader.part(0)?;
        reader.end()?;
        Ok(part)
    }

    /// Shows the envelope piece by piece: `read` takes all of them.
    pub fn read_envelope<T>(
        &self,
        read: impl FnOnce(&mut EnvelopeReader<'_, 'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = Reader::new(&self.bytes[self.envelope.clone()], "envelope");
        let done = read(&mut EnvelopeReader::new(&mut reader))?;
        reader.end()?;
        Ok(done)
    }

    /// The structure, to be read part by part.
    pub fn read_structure(&self) -> StructureReader<'a> {
        StructureReader::new(&self.bytes[self.structure.clone()])
    }

    /// Decodes the kept header fields alone.
    pub fn fields(&self) -> Result<Fields, Error> {
        let mut reader = Reader::new(&self.bytes[self.fields.clone()], "fields");
        let fields = reader.fields()?;
        reader.end()?;
        Ok(fields)
    }

    /// The preview alone.
    pub fn preview(&self) -> Result<&'a str, Error> {
        std::str::from_utf8(&self.bytes[self.preview.clone()]).map_err(|_| Error::SummaryDamaged("preview"))
    }
}

fn facts(flags: u64) -> Facts {
    let has = |flag| flags & flag != 0;
    Facts {
        eight_bit_header: has(EIGHT_BIT_HEADER),
        eight_bit_body: has(EIGHT_BIT_BODY),
        ascii_parts: has(ASCII_PARTS),
        nul: has(NUL),
        bare_lf: has(BARE_LF),
        limited: has(LIMITED),
        header_cut: has(HEADER_CUT),
    }
}

fn flags(summary: &Summary) -> u64 {
    let facts = summary.facts;
    let date = match summary.date {
        HeaderDate::Missing => 0,
        HeaderDate::Valid(_) => DATE_VALID,
        HeaderDate::Invalid => DATE_INVALID,
    };
    [
        (facts.eight_bit_header, EIGHT_BIT_HEADER),
        (facts.eight_bit_body, EIGHT_BIT_BODY),
        (facts.ascii_parts, ASCII_PARTS),
        (facts.nul, NUL),
        (facts.bare_lf, BARE_LF),
        (facts.limited, LIMITED),
        (facts.header_cut, HEADER_CUT),
        (summary.has_attachment, HAS_ATTACHMENT),
    ]
    .iter()
    .fold(date, |flags, (set, flag)| if *set { flags | flag } else { flags })
}

/// Whether type and content agree (the invariants of [`Part`]).
fn agrees(part: &Part) -> bool {
    let message = part.content_type == "message" && matches!(part.subtype.as_str(), "rfc822" | "global");
    let multipart = part.content_type == "multipart";
    match &part.content {
        Content::Leaf => !message && !multipart,
        Content::Multipart(parts) => multipart && !parts.is_empty(),
        Content::Message(_) => message,
    }
}
