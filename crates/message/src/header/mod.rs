//! Raw header blocks: iterate, unfold, edit, select; RFC 2047 and RFC 2231 in and out.
//!
//! A block is taken as it is, with CRLF or bare LF line ends, 8-bit octets, lines that are no fields. Nothing here changes an
//! octet that it was not asked to change, because signatures cover header fields.
//!
//! Standards: RFC 5322 §2.2, §4.5; RFC 6532; RFC 2047; RFC 2231; RFC 2045 §5.1.

mod encode;
mod params;
mod word;

pub use encode::{encode_field, encode_phrase, encode_text, fold};
pub use params::{content_disposition, content_type, param};
pub use word::decode;

pub(crate) use encode::is_atext;
pub(crate) use params::{hex_digit, hex_pair};

use std::borrow::Cow;

/// One field of a raw header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name without the colon; empty for a line that is no field (an mbox `From ` line, a line without a colon).
    pub name: &'a [u8],
    /// What follows the colon, folded, without the final line break.
    pub value: &'a [u8],
    /// The whole field with name, folds and final line break.
    pub raw: &'a [u8],
    /// Where `raw` starts in the block.
    pub start: usize,
}

impl Field<'_> {
    /// Whether the field has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        !self.name.is_empty() && names.iter().any(|n| self.is(n))
    }
}

/// The iterator of [`fields`].
#[derive(Debug, Clone)]
pub struct FieldIter<'a> {
    block: &'a [u8],
    at: usize,
}

/// The fields of a header block, in order, until its blank line or its end. Lines that are no field come with an empty name, so
/// that the `raw`s put together are the block without its blank line.
pub fn fields(block: &[u8]) -> FieldIter<'_> {
    FieldIter { block, at: 0 }
}

impl<'a> Iterator for FieldIter<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = &self.block[self.at..];
        if rest.is_empty() || is_blank_line(rest) {
            return None;
        }
        let mut end = line_length(rest);
        while matches!(rest.get(end), Some(b' ' | b'\t')) {
            end += line_length(&rest[end..]);
        }
        let start = self.at;
        self.at += end;
        Some(field(&rest[..end], start))
    }
}

/// Octets of the first line with its line feed.
fn line_length(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |i| i + 1)
}

fn is_blank_line(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n")
}

/// Splits one whole field (with folds and final line break) into name and value.
pub(crate) fn field(raw: &[u8], start: usize) -> Field<'_> {
    let text = without_line_end(raw);
    let Some(colon) = memchr::memchr(b':', text) else {
        return Field { name: &[], value: text, raw, start };
    };
    // RFC 5322 §4.5: white space before the colon is obsolete, but read.
    let name = text[..colon].trim_ascii_end();
    if name.is_empty() || name.iter().any(|&b| b <= b' ' || b == 127) {
        return Field { name: &[], value: text, raw, start };
    }
    Field { name, value: &text[colon + 1..], raw, start }
}

fn without_line_end(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    raw.strip_suffix(b"\r").unwrap_or(raw)
}

/// The first field with this name.
pub fn find<'a>(block: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(block).find(|f| f.is(name))
}

/// Whether the block has a field with this name.
pub fn has(block: &[u8], name: &str) -> bool {
    find(block, name).is_some()
}

/// The block without the fields of these names; all else byte for byte, the blank line and what follows it included.
pub fn remove(block: &[u8], names: &[&str]) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len());
    let mut end = 0;
    for field in fields(block) {
        end = field.start + field.raw.len();
        if !field.is_one_of(names) {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(&block[end..]);
    out
}

/// `BODY[HEADER.FIELDS (names)]` from a raw block: these fields in order, raw, then the blank line.
pub fn select(block: &[u8], names: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields(block).filter(|f| f.is_one_of(names)) {
        out.extend_from_slice(field.raw);
    }
    end_selection(&mut out);
    out
}

/// `BODY[HEADER.FIELDS.NOT (names)]` from a raw block: all other fields in order, raw, then the blank line.
pub fn select_not(block: &[u8], names: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields(block).filter(|f| !f.name.is_empty() && !f.is_one_of(names)) {
        out.extend_from_slice(field.raw);
    }
    end_selection(&mut out);
    out
}

/// RFC 9051 §6.4.5.1: the delimiting blank line is always included. A last field cut off by the end of the message gets the line
/// end it lacks.
pub(crate) fn end_selection(out: &mut Vec<u8>) {
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// What the current line of an [`EndFinder`] holds so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Empty,
    OnlyCr,
    Text,
}

/// Finds the end of a header block in a stream.
#[derive(Debug, Clone, Default)]
pub struct EndFinder {
    line: Line,
    found: bool,
}

impl EndFinder {
    /// At the start of a message.
    pub fn new() -> EndFinder {
        EndFinder::default()
    }

    /// Takes the next octets; `Some(n)` once: the body starts after `n` octets of this piece. Cost is linear in all pieces.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.found {
            return None;
        }
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let Some(length) = memchr::memchr(b'\n', rest) else {
                self.line = self.extended(rest);
                return None;
            };
            let line = self.extended(&rest[..length]);
            at += length + 1;
            self.line = Line::Empty;
            if line != Line::Text {
                self.found = true;
                return Some(at);
            }
        }
        None
    }

    fn extended(&self, more: &[u8]) -> Line {
        match (self.line, more) {
            (line, b"") => line,
            (Line::Empty, b"\r") => Line::OnlyCr,
            (Line::Empty | Line::OnlyCr | Line::Text, _) => Line::Text,
        }
    }
}

/// Removes folding (line breaks before white space) and surrounding white space; stray line breaks become spaces.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        out.extend_from_slice(&rest[..at]);
        let length = if rest[at..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[at + length..];
        // The white space after a fold stays: it is part of the text (RFC 5322 §2.2.3).
        if !matches!(rest.first(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            out.push(b' ');
        }
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Raw octets as text: unfolded; UTF-8 if they are, else windows-1252; NUL becomes a space, because no IMAP string may hold it.
/// Does not decode encoded words.
pub fn text(value: &[u8]) -> String {
    let text = loose_text(&unfold(value));
    if text.contains('\0') { text.replace('\0', " ") } else { text }
}

/// UTF-8 if valid, else windows-1252 (RFC 6532 allows the first in headers; the second is what senders that ignore it use).
pub(crate) fn loose_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}
