//! The text of a message, piece by piece, without IO: the walk says which octets it wants and tells the texts in them.
//!
//! What is text: the header; of the body all text parts, transfer encoding and charset undone, HTML also as it is read; the
//! headers of parts (file names) and of messages within; the text of documents that [`crate::office`] knows, and of
//! attachments that are text by another name. Not the octets of pictures, archives and the like.
//!
//! Invariants:
//! 1. Between two pieces of a part so much is kept that a text across their border is in one of them.
//! 2. How octets become text does not depend on how much is kept: whoever decides and whoever indexes see the same text.

use std::ops::Range;

use postroad_message::address::Address;
use postroad_message::decode::{self, Decoder, Encoding};
use postroad_message::{Content, Part, header};

use crate::office::{self, Office};

/// Octets wanted at once of a part.
pub const PIECE: u64 = 256 * 1024;
/// Octets of a header block that are looked through.
const HEADER_MAX: u64 = 4 * PIECE;
/// HTML, and text in a charset that cannot be cut anywhere, is gathered up to so many octets and then read as one.
const TOGETHER_MAX: usize = 2 * 1024 * 1024;

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// In the header of the message, whose block this is.
    Header(&'a [u8]),
    /// In the body, or in the header of something in it.
    Body,
}

/// A message that is looked through.
#[derive(Debug)]
pub struct Walk {
    /// What is left to look through, the next one last.
    segments: Vec<Segment>,
    current: Option<Reading>,
    keep: usize,
    /// Octets that documents may still be unpacked to.
    unpack: u64,
}

/// A stretch of the message.
#[derive(Debug)]
enum Segment {
    /// The header of the message.
    Header(Range<u64>),
    /// The header of a part or of a message within.
    Inner(Range<u64>),
    /// A part of the body.
    Leaf(Box<Leaf>),
}

#[derive(Debug)]
struct Leaf {
    body: Range<u64>,
    encoding: Encoding,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Text { charset: Option<String>, html: bool },
    Office(Office),
}

/// What is read.
#[derive(Debug)]
enum Reading {
    Block { range: Range<u64>, top: bool },
    Leaf(Box<LeafReading>),
}

#[derive(Debug)]
struct LeafReading {
    body: Range<u64>,
    decoder: Decoder,
    form: Form,
    /// Decoded octets that wait for more.
    waiting: Vec<u8>,
    /// HTML so far.
    html: Vec<u8>,
    /// The end of the text before.
    tail: String,
}

impl Walk {
    /// Through the header, the body or both. `keep`: a text across the border of two pieces of a part is found when it has
    /// at most so many octets.
    pub fn new(root: &Part, header: bool, body: bool, keep: usize) -> Walk {
        let mut segments = Vec::new();
        if header {
            segments.push(Segment::Header(root.header_start..root.body_start));
        }
        if body {
            gather(root, &mut segments);
        }
        segments.reverse();
        Walk { segments, current: None, keep, unpack: office::UNPACKED_MAX }
    }

    /// Octets that documents were unpacked to so far: work that the octets which were wanted say nothing about.
    pub fn unpacked(&self) -> u64 {
        office::UNPACKED_MAX - self.unpack
    }

    /// The octets wanted next, at most four [`PIECE`]s; `None`: that was all.
    pub fn wants(&mut self) -> Option<Range<u64>> {
        loop {
            let range = match &self.current {
                Some(Reading::Block { range, .. }) => range.start..range.end.min(range.start + HEADER_MAX),
                Some(Reading::Leaf(leaf)) => leaf.body.start..leaf.body.end.min(leaf.body.start + PIECE),
                None => {
                    self.current = Some(begin(self.segments.pop()?));
                    continue;
                }
            };
            if range.is_empty() {
                self.current = None;
                continue;
            }
            return Some(range);
        }
    }

    /// The octets that were wanted, and whom to tell of the texts in them.
    pub fn take(&mut self, octets: &[u8], tell: &mut dyn FnMut(Place<'_>, &str)) {
        match self.current.take() {
            None => {}
            Some(Reading::Block { top, .. }) => {
                let place = if top { Place::Header(octets) } else { Place::Body };
                tell(place, &header_text(octets));
            }
            Some(Reading::Leaf(mut leaf)) => {
                leaf.body.start += octets.len() as u64;
                let mut fresh = Vec::new();
                leaf.decoder.feed(octets, &mut fresh);
                let last = leaf.body.is_empty() || octets.is_empty();
                if last {
                    std::mem::replace(&mut leaf.decoder, Decoder::new(&Encoding::Binary)).finish(&mut fresh);
                }
                leaf.waiting.extend_from_slice(&fresh);
                if let Form::Text { html: true, .. } = leaf.form {
                    leaf.html.extend_from_slice(&fresh);
                }
                leaf.read(last, self.keep, &mut self.unpack, &mut |text| tell(Place::Body, text));
                if !last {
                    self.current = Some(Reading::Leaf(leaf));
                }
            }
        }
    }
}

fn begin(segment: Segment) -> Reading {
    match segment {
        Segment::Header(range) => Reading::Block { range, top: true },
        Segment::Inner(range) => Reading::Block { range, top: false },
        Segment::Leaf(leaf) => Reading::Leaf(Box::new(LeafReading {
            body: leaf.body,
            decoder: Decoder::new(&leaf.encoding),
            form: leaf.form,
            waiting: Vec::new(),
            html: Vec::new(),
            tail: String::new(),
        })),
    }
}

impl LeafReading {
    fn read(&mut self, last: bool, keep: usize, unpack: &mut u64, tell: &mut dyn FnMut(&str)) {
        match &self.form {
            Form::Office(office) => {
                if last {
                    tell(&office::text(*office, &self.waiting, unpack));
                } else if self.waiting.len() > office::OCTETS_MAX {
                    // Without its end nothing can be read of it.
                    self.waiting.clear();
                    self.body.start = self.body.end.saturating_sub(1);
                }
            }
            Form::Text { charset, html } => {
                let charset = charset.clone();
                if *html && (last || self.html.len() >= TOGETHER_MAX) {
                    let octets = std::mem::take(&mut self.html);
                    let label = charset.clone().or_else(|| decode::meta_charset(&octets));
                    tell(&decode::html_to_text(&decode::charset(label.as_deref(), &octets)));
                }
                self.plain(charset.as_deref(), last, keep, tell);
            }
        }
    }

    fn plain(&mut self, charset: Option<&str>, last: bool, keep: usize, tell: &mut dyn FnMut(&str)) {
        if last {
            let octets = std::mem::take(&mut self.waiting);
            self.told(decode::charset(charset, &octets), keep, tell);
        } else if is_cut_anywhere(charset) || self.waiting.len() >= TOGETHER_MAX {
            self.flush(charset, keep, tell);
        }
    }

    /// Tells what waits, up to the last whole character.
    fn flush(&mut self, charset: Option<&str>, keep: usize, tell: &mut dyn FnMut(&str)) {
        let rest = self.waiting.split_off(whole(&self.waiting));
        let text = decode::charset(charset, &self.waiting);
        self.waiting = rest;
        self.told(text, keep, tell);
    }

    fn told(&mut self, text: String, keep: usize, tell: &mut dyn FnMut(&str)) {
        let text = if self.tail.is_empty() { text } else { std::mem::take(&mut self.tail) + &text };
        tell(&text);
        let mut from = text.len().saturating_sub(keep);
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        self.tail = text[from..].to_owned();
    }
}

/// Whether a cut between any two octets (of UTF-8: characters) does not change how the rest is read.
fn is_cut_anywhere(charset: Option<&str>) -> bool {
    let Some(label) = charset else { return true };
    let label = label.trim().to_ascii_lowercase();
    label.starts_with("utf-8")
        || label == "utf8"
        || label.contains("ascii")
        || label.starts_with("iso-8859-")
        || label.starts_with("windows-125")
        || label.starts_with("koi8")
}

/// Octets up to a character of UTF-8 that is not whole yet.
fn whole(octets: &[u8]) -> usize {
    let tail = octets.iter().rev().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
    let head = octets.len() - tail;
    let length = match head.checked_sub(1).map(|at| octets[at]) {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xff) => 4,
        Some(0..=0xbf) | None => 0,
    };
    if tail + 1 < length { head - 1 } else { octets.len() }
}

/// What there is to look through in the body, in order.
fn gather(part: &Part, segments: &mut Vec<Segment>) {
    match &part.content {
        Content::Multipart(parts) => {
            for part in parts {
                segments.push(Segment::Inner(part.header_start..part.body_start));
                gather(part, segments);
            }
        }
        Content::Message(nested) => {
            segments.push(Segment::Inner(nested.child.header_start..nested.child.body_start));
            gather(&nested.child, segments);
        }
        Content::Leaf => segments.extend(form(part).map(|form| {
            let body = part.body_start..part.body_end;
            Segment::Leaf(Box::new(Leaf { body, encoding: part.encoding.clone(), form }))
        })),
    }
}

/// What the octets of a part are read as.
fn form(part: &Part) -> Option<Form> {
    let text = |html| Some(Form::Text { charset: part.charset(), html });
    match (part.content_type.as_str(), part.subtype.as_str()) {
        ("text", subtype) => text(subtype == "html"),
        // Delivery status, disposition notifications, feedback reports.
        ("message", _) => text(false),
        ("application", "xhtml+xml") => text(true),
        ("application", "json" | "xml" | "javascript" | "x-sh" | "yaml" | "sql") => text(false),
        ("application", subtype) if subtype.ends_with("+xml") || subtype.ends_with("+json") => text(false),
        ("application", subtype) => {
            let by_name = || part.file_name().and_then(|name| Office::of_name(&name));
            Office::of_subtype(subtype).or_else(by_name).map(Form::Office)
        }
        (_, _) => None,
    }
}

/// A header block as text: a line for each field, decoded.
pub fn header_text(block: &[u8]) -> String {
    let mut text = String::with_capacity(block.len() + block.len() / 8);
    for field in header::fields(block) {
        text.push_str(&String::from_utf8_lossy(field.name));
        text.push_str(": ");
        text.push_str(&decode::header(field.value));
        text.push('\n');
    }
    text
}

/// An address as it is looked through: `Name <local@host>`, the name decoded.
pub fn address_text(address: &Address) -> String {
    match address {
        Address::Mailbox(mailbox) => match mailbox.display_name() {
            Some(name) => format!("{name} <{}>", mailbox.addr_spec()),
            None => mailbox.addr_spec(),
        },
        Address::GroupStart(name) => decode::header(name.as_bytes()),
        Address::GroupEnd => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_cut_no_character() {
        let text = "aäb€c😀d".as_bytes();
        for cut in 0..=text.len() {
            let left = &text[..whole(&text[..cut])];
            assert!(std::str::from_utf8(left).is_ok(), "before {cut}");
            assert!(cut - left.len() < 4);
        }
        assert_eq!(whole(b"\xbf\xbf\xbf\xbf"), 4, "no character at all");
    }
}
