//! Looking through the text of one message, piece by piece.
//!
//! What is text: the header; of the body all text parts, transfer encoding and charset undone, HTML also as
//! it is read; the headers of parts (file names) and of messages within. Not the octets of attachments.
//!
//! Invariant: between two pieces of a part so much is kept that a text across their border is found.

use std::ops::Range;

use postroad_mail::Entry;
use postroad_message::decode::{self, Decoder, Encoding};
use postroad_message::{Content, Part, SummaryView, header};
use postroad_store::{BlobId, ModSeq, ReadTx};

use crate::error::Error;
use crate::fetch::octets::{Budget, Octets, PIECE};
use crate::search::key::Known;
use crate::search::plan::Plan;
use crate::search::text::{Needle, fold};

/// Something asked of a message's text.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) scope: Scope,
    pub(super) needle: Needle,
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// A field of the header.
    Field(String),
    /// The body.
    Body,
    /// Header and body.
    All,
}

/// A message that is looked through.
#[derive(Debug)]
pub(super) struct Scan {
    entry: Entry,
    octets: Octets,
    /// What is left to look through, the next one last.
    segments: Vec<Segment>,
    current: Option<Reading>,
    /// What was found of each [`Wanted`].
    found: Vec<Option<bool>>,
}

/// A stretch of the message.
#[derive(Debug)]
enum Segment {
    /// The header of the message.
    Header(Range<u64>),
    /// The header of a part or of a message within.
    Inner(Range<u64>),
    /// The body of a text part.
    Text(Box<TextPart>),
}

#[derive(Debug)]
struct TextPart {
    body: Range<u64>,
    encoding: Encoding,
    charset: Option<String>,
    html: bool,
}

/// A text part that is read.
#[derive(Debug)]
struct Reading {
    part: Box<TextPart>,
    decoder: Decoder,
    /// Decoded octets from before, to be looked through with the next piece.
    carried: Vec<u8>,
    first: bool,
}

impl Scan {
    pub(super) fn new(plan: &Plan, entry: Entry) -> Scan {
        let (blob, structure) = match &entry.facts {
            Some(facts) => (facts.blob, SummaryView::new(&facts.summary).and_then(|view| view.structure()).ok()),
            None => (BlobId(0), None),
        };
        let mut segments = Vec::new();
        if let Some(root) = structure {
            if plan.wanted.iter().any(|wanted| wanted.scope != Scope::Body) {
                segments.push(Segment::Header(root.header_start..root.body_start));
            }
            if plan.wanted.iter().any(|wanted| matches!(wanted.scope, Scope::Body | Scope::All)) {
                body_segments(&root, &mut segments);
            }
            segments.reverse();
        }
        let octets = Octets::new(blob, entry.size);
        Scan { entry, octets, segments, current: None, found: plan.wanted.iter().map(|_| None).collect() }
    }

    pub(super) fn uid(&self) -> u32 {
        self.entry.uid
    }

    pub(super) fn mod_seq(&self) -> ModSeq {
        self.entry.modseq
    }

    /// Looks on, until it is decided whether the message matches; `None`: the budget is used up before.
    pub(super) fn go_on(&mut self, tx: &ReadTx, plan: &Plan, budget: &mut Budget) -> Result<Option<bool>, Error> {
        loop {
            let before = self.found.clone();
            if let Some(reading) = self.current.take() {
                self.read(tx, plan, reading, budget)?;
            } else if let Some(segment) = self.segments.pop() {
                self.begin(tx, plan, segment, budget)?;
            } else {
                // What was found nowhere is not there.
                self.found.iter_mut().for_each(|found| *found = Some(found.unwrap_or(false)));
            }
            if self.found != before
                && let Some(matches) = plan.decide(&Known::of_texts(&self.entry, &self.found))
            {
                return Ok(Some(matches));
            }
            if self.current.is_none() && self.segments.is_empty() && self.found.iter().all(Option::is_some) {
                return Ok(Some(plan.decide(&Known::of_texts(&self.entry, &self.found)).unwrap_or(false)));
            }
            if budget.is_spent() {
                return Ok(None);
            }
        }
    }

    fn begin(&mut self, tx: &ReadTx, plan: &Plan, segment: Segment, budget: &mut Budget) -> Result<(), Error> {
        let (range, top) = match segment {
            Segment::Header(range) => (range, true),
            Segment::Inner(range) => (range, false),
            Segment::Text(part) => {
                let decoder = Decoder::new(&part.encoding);
                self.current = Some(Reading { part, decoder, carried: Vec::new(), first: true });
                return Ok(());
            }
        };
        let end = range.end.min(range.start.saturating_add(HEADER_MAX));
        budget.spend(end - range.start);
        let block = self.octets.read(tx, range.start..end)?;
        let text = header_text(block);
        if top {
            for (wanted, found) in plan.wanted.iter().zip(&mut self.found) {
                if let Scope::Field(name) = &wanted.scope {
                    let mut values = header::fields(block).filter(|field| field.is(name));
                    *found = Some(values.any(|field| wanted.needle.is_in(&decode::header(field.value))));
                }
            }
        }
        self.look(plan, &fold(&text), |scope| *scope == Scope::All || (!top && *scope == Scope::Body));
        Ok(())
    }

    /// One piece of a text part.
    fn read(&mut self, tx: &ReadTx, plan: &Plan, mut reading: Reading, budget: &mut Budget) -> Result<(), Error> {
        let piece = self.octets.next(tx, &reading.part.body)?;
        reading.part.body.start += piece.len() as u64;
        budget.spend(piece.len() as u64);
        let mut decoded = std::mem::take(&mut reading.carried);
        reading.decoder.feed(piece, &mut decoded);
        let last = reading.part.body.is_empty();
        if last {
            std::mem::replace(&mut reading.decoder, Decoder::new(&Encoding::Binary)).finish(&mut decoded);
        }
        let text = decode::charset(reading.part.charset.as_deref(), between(&decoded, reading.first, last));
        let in_body = |scope: &Scope| matches!(scope, Scope::Body | Scope::All);
        self.look(plan, &fold(&text), in_body);
        if reading.part.html {
            self.look(plan, &fold(&decode::html_to_text(&text)), in_body);
        }
        if !last {
            // A character of the folded text had at most so many octets in any charset.
            let longest = plan.wanted.iter().map(|wanted| wanted.needle.len()).max().unwrap_or(0);
            let keep = longest.saturating_mul(OCTETS_PER_OCTET).saturating_add(SLACK).min(decoded.len());
            reading.first &= keep == decoded.len();
            reading.carried = decoded.split_off(decoded.len() - keep);
            self.current = Some(reading);
        }
        Ok(())
    }

    fn look(&mut self, plan: &Plan, folded: &str, at: impl Fn(&Scope) -> bool) {
        for (wanted, found) in plan.wanted.iter().zip(&mut self.found) {
            if found.is_none() && at(&wanted.scope) && wanted.needle.is_in_folded(folded) {
                *found = Some(true);
            }
        }
    }
}

/// What there is to look through in the body, in order.
fn body_segments(part: &Part, segments: &mut Vec<Segment>) {
    match &part.content {
        Content::Multipart(parts) => {
            for part in parts {
                segments.push(Segment::Inner(part.header_start..part.body_start));
                body_segments(part, segments);
            }
        }
        Content::Message(nested) => {
            segments.push(Segment::Inner(nested.child.header_start..nested.child.body_start));
            body_segments(&nested.child, segments);
        }
        Content::Leaf if part.content_type == "text" => {
            segments.push(Segment::Text(Box::new(TextPart {
                body: part.body_start..part.body_end,
                encoding: part.encoding.clone(),
                charset: part.charset(),
                html: part.subtype == "html",
            })));
        }
        Content::Leaf => {}
    }
}

/// A header block as text: a line for each field, decoded.
fn header_text(block: &[u8]) -> String {
    let mut text = String::new();
    for field in header::fields(block) {
        text.push_str(&String::from_utf8_lossy(field.name));
        text.push_str(": ");
        text.push_str(&decode::header(field.value));
        text.push('\n');
    }
    text
}

/// Without the pieces of UTF-8 characters that the borders cut; they are whole in the piece beside.
fn between(octets: &[u8], first: bool, last: bool) -> &[u8] {
    let is_inner = |byte: &u8| (0x80..0xc0).contains(byte);
    let mut inner = octets;
    if !first {
        let cut = inner.iter().take(3).take_while(|byte| is_inner(byte)).count();
        inner = &inner[cut..];
    }
    if !last {
        let tail = inner.iter().rev().take(3).take_while(|byte| is_inner(byte)).count();
        let head = inner.len() - tail;
        let whole = match head.checked_sub(1).map(|at| inner[at]) {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xff) => 4,
            Some(0..=0xbf) | None => 0,
        };
        if tail + 1 < whole {
            inner = &inner[..head - 1];
        }
    }
    inner
}

/// Octets of a header block that are looked through.
const HEADER_MAX: u64 = 4 * PIECE;

/// Octets of a text before folding, for each octet of the folded text: a Latin letter in UTF-32.
const OCTETS_PER_OCTET: usize = 4;

/// Octets kept besides, for what a decoder needs to find its way.
const SLACK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_cut_no_character() {
        let text = "aäb€c😀d".as_bytes();
        for cut in 0..=text.len() {
            let (left, right) = (between(&text[..cut], true, false), between(&text[cut..], false, true));
            assert!(std::str::from_utf8(left).is_ok(), "before {cut}");
            assert!(std::str::from_utf8(right).is_ok(), "after {cut}");
            assert!(text[..cut].len() - left.len() < 4 && text[cut..].len() - right.len() < 4);
        }
    }
}
