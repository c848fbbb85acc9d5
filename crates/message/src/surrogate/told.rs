//! A whole message as a client is told it that knows ASCII only: its octets with some of its headers in another form.
//!
//! What it is: the header blocks of the message, of its parts and of the messages within it that are in UTF-8, each with what
//! stands for it ([`super::header`]), and the arithmetic between places in the message as it is stored and as it is told: all
//! sizes and ranges that a client hears of come from here, so that they fit together.
//!
//! Invariants: blocks rise and do not overlap; a section of the message begins and ends outside of them or at their ends.
//!
//! What it never does: read the message; look at more than `LOOKED_MAX` octets of headers, or keep more than `MADE_MAX`.
//!
//! Standards: RFC 6858 §2, §3 (sizes).

use std::borrow::Cow;
use std::ops::Range;

use crate::summary::{Content, Facts, Part};
use crate::{Parser, surrogate};

/// What of a message is told otherwise than it is stored; nothing, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    edits: Vec<Edit>,
}

/// A header block and what stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    block: Range<u64>,
    made: Vec<u8>,
    /// Line feeds that it has more than the block.
    lines: i64,
    /// Where it begins as it is told.
    at: u64,
}

/// Some octets of a message as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As they are stored.
    Stored(Range<u64>),
    /// Of what stands for a header: [`Told::made`].
    Made(usize, Range<usize>),
}

/// The header blocks of a message that may be told otherwise, as far as they are looked at.
pub fn blocks(facts: Facts, structure: &Part) -> Vec<Range<u64>> {
    let mut blocks = Vec::new();
    if facts.eight_bit_header {
        blocks.push(structure.header_start..structure.body_start);
    }
    if facts.has_eight_bit_parts() {
        collect(structure, &mut blocks);
    }
    let (mut end, mut room) = (0, LOOKED_MAX);
    blocks.retain(|block| {
        let length = block.end.saturating_sub(block.start);
        let fits = length > 0 && block.start >= end && length <= BLOCK_MAX && length <= room;
        if fits {
            (end, room) = (block.end, room - length);
        }
        fits
    });
    blocks
}

/// The header blocks within a part: as deep as the parser lets it be.
fn collect(part: &Part, blocks: &mut Vec<Range<u64>>) {
    for child in part.children() {
        blocks.push(child.header_start..child.body_start);
        collect(child, blocks);
    }
}

/// What to read for these blocks: those that lie close together at once.
pub fn spans(blocks: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut spans: Vec<Range<u64>> = Vec::new();
    for block in blocks {
        match spans.last_mut() {
            Some(last) if block.start <= last.end + GAP_MAX && block.end <= last.start + SPAN_MAX => {
                last.end = block.end
            }
            Some(_) | None => spans.push(block.clone()),
        }
    }
    spans
}

impl Told {
    /// Of a message that is in memory.
    pub fn of(message: &[u8]) -> Told {
        if message.is_ascii() {
            return Told::default();
        }
        let summary = Parser::parse(message);
        let mut told = Told::default();
        told.look(&blocks(summary.facts, &summary.structure), 0, message);
        told
    }

    /// Looks at the blocks that lie within these octets of the message, which begin at `start`. Blocks come in their order.
    pub fn look(&mut self, blocks: &[Range<u64>], start: u64, octets: &[u8]) {
        let end = start + octets.len() as u64;
        let index = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
        for block in blocks.iter().filter(|block| block.start >= start && block.end <= end) {
            let stored = &octets[index(block.start)..index(block.end)];
            let Some(made) = surrogate::header(stored) else { continue };
            if self.made_octets() + made.len() > MADE_MAX {
                return;
            }
            let feeds = |octets: &[u8]| memchr::memchr_iter(b'\n', octets).count() as i64;
            let lines = feeds(&made) - feeds(stored);
            self.edits.push(Edit { block: block.clone(), lines, at: self.at(block.start), made });
        }
    }

    fn made_octets(&self) -> usize {
        self.edits.iter().map(|edit| edit.made.len()).sum()
    }

    /// Whether anything within these octets of the stored message is told otherwise.
    pub fn changes(&self, range: &Range<u64>) -> bool {
        self.within(range).next().is_some()
    }

    fn within<'a>(&'a self, range: &Range<u64>) -> impl Iterator<Item = (usize, &'a Edit)> + use<'a> {
        let range = range.clone();
        let first = self.edits.partition_point(|edit| edit.block.end <= range.start);
        self.edits.iter().enumerate().skip(first).take_while(move |(_, edit)| edit.block.start < range.end)
    }

    /// Where a place of the stored message is in the message as it is told.
    pub fn at(&self, stored: u64) -> u64 {
        match self.edits.partition_point(|edit| edit.block.start < stored).checked_sub(1).map(|last| &self.edits[last])
        {
            None => stored,
            Some(edit) if stored < edit.block.end => edit.at + (stored - edit.block.start).min(edit.made.len() as u64),
            Some(edit) => edit.at + edit.made.len() as u64 + (stored - edit.block.end),
        }
    }

    /// How many octets are told for a section of the stored message.
    pub fn size(&self, section: &Range<u64>) -> u64 {
        self.at(section.end) - self.at(section.start)
    }

    /// The octets of a section of the stored message as they are told, from one of them to another.
    pub fn pieces(&self, section: &Range<u64>, wanted: Range<u64>) -> Vec<Piece> {
        let (mut pieces, mut stored, mut told) = (Vec::new(), section.start, 0);
        // Of `length` octets, told from `told` on, those that are wanted: from where to where.
        let cut = |told: u64, length: u64| {
            let from = wanted.start.saturating_sub(told).min(length);
            from..wanted.end.saturating_sub(told).min(length).max(from)
        };
        for (index, edit) in self.within(section) {
            let before = cut(told, edit.block.start - stored);
            push(&mut pieces, Piece::Stored(stored + before.start..stored + before.end));
            told += edit.block.start - stored;
            let made = cut(told, edit.made.len() as u64);
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            push(&mut pieces, Piece::Made(index, place(made.start)..place(made.end)));
            told += edit.made.len() as u64;
            stored = edit.block.end;
        }
        let rest = cut(told, section.end.saturating_sub(stored));
        push(&mut pieces, Piece::Stored(stored + rest.start..stored + rest.end));
        pieces
    }

    /// The octets of [`Piece::Made`].
    pub fn made(&self, index: usize, range: Range<usize>) -> &[u8] {
        self.edits.get(index).and_then(|edit| edit.made.get(range)).unwrap_or_default()
    }

    /// Octets of the stored message, which begin at `start`, as they are told; of a message that is read piece by piece, each header
    /// comes with the piece that it begins in.
    pub fn rewrite<'a>(&self, start: u64, octets: &'a [u8]) -> Cow<'a, [u8]> {
        let range = start..start + octets.len() as u64;
        if !self.changes(&range) {
            return Cow::Borrowed(octets);
        }
        let index = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(octets.len());
        let (mut out, mut from) = (Vec::with_capacity(octets.len() * 2), 0);
        for (_, edit) in self.within(&range) {
            out.extend_from_slice(&octets[from..index(edit.block.start)]);
            if edit.block.start >= start {
                out.extend_from_slice(&edit.made);
            }
            from = index(edit.block.end);
        }
        out.extend_from_slice(&octets[from..]);
        Cow::Owned(out)
    }

    /// A structure with the sizes, lines and places of what is told, and in ASCII.
    pub fn structure(&self, structure: &Part) -> Part {
        let mut made = structure.clone();
        surrogate::part(&mut made);
        self.shift(&mut made);
        made
    }

    fn shift(&self, part: &mut Part) {
        let lines: i64 = self.within(&(part.body_start..part.body_end)).map(|(_, edit)| edit.lines).sum();
        part.lines = part.lines.saturating_add_signed(lines);
        for place in [&mut part.header_start, &mut part.body_start, &mut part.body_end] {
            *place = self.at(*place);
        }
        match &mut part.content {
            Content::Leaf => {}
            Content::Multipart(parts) => parts.iter_mut().for_each(|child| self.shift(child)),
            Content::Message(nested) => self.shift(&mut nested.child),
        }
    }
}

fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    let empty = match &piece {
        Piece::Stored(range) => range.is_empty(),
        Piece::Made(_, range) => range.is_empty(),
    };
    if !empty {
        pieces.push(piece);
    }
}

/// Octets of one header block: the parser interprets no more of it either.
const BLOCK_MAX: u64 = 1 << 20;
/// Octets of all header blocks of a message that are looked at.
const LOOKED_MAX: u64 = 16 << 20;
/// Octets of what stands for headers of one message; what is beyond is told as it is.
const MADE_MAX: usize = 4 << 20;
/// Octets between two headers that are read rather than asking twice.
const GAP_MAX: u64 = 16 << 10;
/// Octets that are read at once for several headers.
const SPAN_MAX: u64 = 256 << 10;
