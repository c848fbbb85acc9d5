//! The streaming parser: one pass, any chunks, memory bounded by [`Limits`].
//!
//! Invariants:
//! 1. Every octet goes through [`Parser::count`] exactly once, when it comes in; decisions about a line may come later.
//! 2. `pending` holds the current line as long as it may still be a header line (cut at `field_bytes`) or a boundary line (at most
//!    [`DELIMITER_MAX`] octets); in all other states it is empty.
//! 3. `tree` holds what is open from the root to the current part. In [`State::Header`], `head` is the header being read and its
//!    part is not in the tree yet.

mod head;
mod preview;
mod scan;
mod tree;

use crate::{Facts, Part, Summary};
use head::{Head, HeadKind};
use preview::Preview;
use scan::Scanner;
use tree::{Begun, Tree};

/// Bounds of one parse. What lies beyond is not an error: it is read as opaque octets, or not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one header block that are interpreted.
    pub header_bytes: usize,
    /// Octets of one header field that are interpreted.
    pub field_bytes: usize,
    /// Octets of the raw header fields kept in [`Summary::fields`].
    pub kept_bytes: usize,
    /// Nested multiparts and messages; never more than 64.
    pub depth: usize,
    /// Parts.
    pub parts: usize,
    /// Octets of all texts (parameters, envelopes, ..) in the summary.
    pub text_bytes: usize,
    /// Characters of the preview.
    pub preview_chars: usize,
}

/// The recursion over parts must fit any thread's stack.
const DEPTH_HARD_MAX: usize = 64;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_bytes: 1 << 20,
            field_bytes: 64 << 10,
            kept_bytes: crate::fields::KEPT_BYTES,
            depth: 40,
            parts: 2_000,
            text_bytes: 512 << 10,
            preview_chars: 200,
        }
    }
}

/// What a parse gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What is stored with the message.
    pub summary: Summary,
}

/// Octets of a boundary line: `--`, the boundary (RFC 2046 §5.1.1 allows 70, senders use more), `--`, padding.
const DELIMITER_MAX: usize = tree::BOUNDARY_MAX + 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a header block.
    Header,
    /// In a body, at the start of a line that may be a boundary.
    LineStart,
    /// In a body, in a line that is no boundary.
    InLine,
    /// No boundary can follow: all the rest is body.
    Rest,
}

/// A push parser for one message: [`Parser::feed`] it pieces of any size, then [`Parser::finish`].
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    state: State,
    scan: Scanner,
    pending: Vec<u8>,
    /// `pending` lacks octets of its line.
    pending_cut: bool,
    /// Where the current line started.
    line: Mark,
    head: Head,
    tree: Tree,
    preview: Preview,
    text_left: usize,
    summary: Summary,
    /// No header but that of the message has a byte above 127.
    ascii_parts: bool,
    /// Where headers and bodies end, for who looks at what they hold.
    marks: Option<Vec<u64>>,
}

/// A place in the message.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    offset: u64,
    /// Line feeds before it.
    lines: u64,
    /// Octets of the line end just before it: 0, 1 or 2.
    line_end: u64,
}

impl Parser {
    /// A parser at the first octet of a message.
    pub fn new(limits: Limits) -> Parser {
        let limits = Limits { depth: limits.depth.min(DEPTH_HARD_MAX), ..limits };
        Parser {
            limits,
            state: State::Header,
            scan: Scanner::default(),
            pending: Vec::new(),
            pending_cut: false,
            line: Mark::default(),
            head: Head::new(HeadKind::Top, 0, false),
            tree: Tree::default(),
            preview: Preview::default(),
            text_left: limits.text_bytes,
            summary: Summary::blank(),
            ascii_parts: true,
            marks: None,
        }
    }

    /// A parser that tells where headers and bodies end: [`Parser::take_marks`].
    pub(crate) fn with_marks(limits: Limits) -> Parser {
        Parser { marks: Some(Vec::new()), ..Parser::new(limits) }
    }

    /// The places, since the last call, behind which a header or a body begins: the end of a header block or of a boundary line. They rise,
    /// and lie inside the last piece.
    pub(crate) fn take_marks(&mut self) -> Vec<u64> {
        self.marks.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn mark(&mut self) {
        let here = self.scan.mark().offset;
        if let Some(marks) = &mut self.marks {
            marks.push(here);
        }
    }

    /// The next octets. How the message is cut into pieces makes no difference to the result.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match self.state {
                State::Header => self.header(rest),
                State::LineStart => self.line_start(rest),
                State::InLine => self.in_line(rest),
                State::Rest => self.body(rest),
            };
            rest = &rest[taken..];
        }
    }

    /// Parses a message that is in memory already, within the usual limits.
    pub fn parse(message: &[u8]) -> Summary {
        let mut parser = Parser::new(Limits::default());
        parser.feed(message);
        parser.finish().summary
    }

    /// Counts octets that are taken.
    fn count(&mut self, bytes: &[u8]) {
        self.scan.take(bytes);
    }

    fn here(&self) -> Mark {
        self.scan.mark()
    }

    /// Octets of a header line.
    fn header(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |i| i + 1);
        self.count(&bytes[..taken]);
        let room = self.limits.field_bytes.saturating_sub(self.pending.len());
        if end.is_some() && taken <= room && self.pending.is_empty() && !self.pending_cut {
            self.header_line(&bytes[..taken], false);
            return taken;
        }
        self.pending_cut |= taken > room;
        self.pending.extend_from_slice(&bytes[..taken.min(room)]);
        if end.is_some() {
            let line = std::mem::take(&mut self.pending);
            let cut = std::mem::take(&mut self.pending_cut);
            self.header_line(&line, cut);
            // The buffer is kept for the next line.
            self.pending = line;
            self.pending.clear();
        }
        taken
    }

    /// A whole header line; `cut`: without its end.
    fn header_line(&mut self, line: &[u8], cut: bool) {
        let here = self.here();
        if matches!(line, b"\n" | b"\r\n") {
            self.begin_body(here);
        } else if let Some(delimiter) = self.delimiter(line, cut) {
            // The blank line is missing: the part ends within its header.
            let start = self.line;
            self.begin_body(start);
            self.boundary(delimiter);
        } else {
            self.head.line(line, cut, &self.limits);
        }
        self.line = here;
    }

    fn delimiter(&self, line: &[u8], cut: bool) -> Option<tree::Delimiter> {
        if cut || line.len() > DELIMITER_MAX { None } else { self.tree.delimiter(line) }
    }

    /// The header block ended; its body starts at `at`.
    fn begin_body(&mut self, at: Mark) {
        self.mark();
        let kind = self.head.kind();
        let head = std::mem::replace(&mut self.head, Head::none());
        let is_body = at.offset == self.here().offset;
        let finished = head.finish(&self.limits, &mut self.text_left);
        self.summary.facts.header_cut |= finished.cut;
        self.ascii_parts &= kind == HeadKind::Top || finished.ascii;
        if kind == HeadKind::Top {
            self.summary.facts.eight_bit_header = self.scan.take_eight_bit();
            self.summary.envelope = finished.envelope;
            self.summary.date = finished.date;
            self.summary.fields = finished.fields;
        } else if kind == HeadKind::Nested {
            self.tree.nested_envelope(finished.envelope);
        }
        let begun = self.tree.begin(finished.part, at, &self.limits);
        self.state = match begun {
            Begun::Message => {
                self.head = Head::new(HeadKind::Nested, at.offset, false);
                State::Header
            }
            Begun::Leaf if self.tree.has_boundary() => State::LineStart,
            Begun::Leaf => State::Rest,
        };
        if let (true, Some(part)) = (is_body, self.tree.visible_leaf()) {
            self.preview.begin(part);
        }
    }

    /// Octets at the start of a body line: kept back until it is clear whether it is a boundary.
    fn line_start(&mut self, bytes: &[u8]) -> usize {
        let room = DELIMITER_MAX + 1 - self.pending.len();
        let window = &bytes[..bytes.len().min(room)];
        let end = memchr::memchr(b'\n', window);
        let taken = end.map_or(window.len(), |i| i + 1);
        self.pending.extend_from_slice(&window[..taken]);
        let dashes = self.pending.len().min(2);
        let possible = self.pending[..dashes] == b"--"[..dashes];
        let delimiter = if possible && end.is_some() { self.delimiter(&self.pending, false) } else { None };
        if let Some(delimiter) = delimiter {
            self.count(&window[..taken]);
            self.pending.clear();
            self.boundary(delimiter);
            self.line = self.here();
            return taken;
        }
        self.count(&window[..taken]);
        if possible && end.is_none() && self.pending.len() <= DELIMITER_MAX {
            return taken;
        }
        self.preview.take(&self.pending);
        self.pending.clear();
        self.state = State::InLine;
        if end.is_some() {
            self.new_line();
        }
        taken
    }

    fn new_line(&mut self) {
        self.line = self.here();
        self.state = State::LineStart;
    }

    /// Octets in a body line that is no boundary, and of all further lines that cannot be one.
    fn in_line(&mut self, bytes: &[u8]) -> usize {
        if let Some(at) = memchr::memmem::find(bytes, b"\n--") {
            self.body(&bytes[..at + 1]);
            self.new_line();
            return at + 1;
        }
        // The piece may end just where a boundary line begins.
        let tail = if bytes.ends_with(b"\n") { 0 } else { usize::from(bytes.ends_with(b"\n-")) };
        let taken = bytes.len() - tail;
        self.body(&bytes[..taken]);
        if bytes[..taken].ends_with(b"\n") {
            self.new_line();
        }
        taken
    }

    fn body(&mut self, bytes: &[u8]) -> usize {
        self.count(bytes);
        self.preview.take(bytes);
        bytes.len()
    }

    /// The line before here was a boundary; its start is in `line`.
    fn boundary(&mut self, delimiter: tree::Delimiter) {
        self.mark();
        self.preview.end();
        self.pending.clear();
        self.tree.close_inside(delimiter.level, self.line);
        if delimiter.closes {
            self.tree.close_multipart(delimiter.level);
            self.state = if self.tree.has_boundary() { State::LineStart } else { State::Rest };
            return;
        }
        let here = self.here();
        if self.tree.parts() >= self.limits.parts {
            self.tree.opaque(here);
            self.state = State::Rest;
        } else {
            self.head = Head::new(HeadKind::Part, here.offset, self.tree.is_digest());
            self.state = State::Header;
        }
    }

    /// The message ends here.
    pub fn finish(mut self) -> Parsed {
        self.finish_pending();
        let end = self.here();
        while self.state == State::Header {
            self.begin_body(end);
        }
        self.preview.end();
        let (structure, limited) = self.tree.finish(end);
        let eight_bit_body = self.scan.take_eight_bit();
        self.summary.facts = Facts {
            eight_bit_body,
            ascii_parts: eight_bit_body && self.ascii_parts,
            nul: self.scan.nul(),
            bare_lf: self.scan.bare_lf(),
            limited,
            ..self.summary.facts
        };
        self.summary.size = end.offset;
        self.summary.lines = end.lines;
        self.summary.preview = self.preview.finish(self.limits.preview_chars);
        self.summary.has_attachment = tree::has_attachment(&structure);
        self.summary.structure = structure;
        Parsed { summary: self.summary }
    }

    /// The last line has no line end.
    fn finish_pending(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        match self.state {
            State::Header => {
                let line = std::mem::take(&mut self.pending);
                let cut = std::mem::take(&mut self.pending_cut);
                match self.delimiter(&line, cut) {
                    Some(delimiter) => {
                        let start = self.line;
                        self.begin_body(start);
                        self.boundary(delimiter);
                    }
                    None => self.head.line(&line, cut, &self.limits),
                }
            }
            State::LineStart => match self.delimiter(&self.pending, false) {
                Some(delimiter) => self.boundary(delimiter),
                None => self.preview.take(&self.pending),
            },
            State::InLine | State::Rest => {}
        }
    }
}

/// An opaque part where a limit ended the search.
fn opaque_part(start: u64) -> Part {
    Part {
        header_start: start,
        body_start: start,
        body_end: start,
        content_type: "application".to_owned(),
        subtype: "octet-stream".to_owned(),
        params: Vec::new(),
        ..Part::default()
    }
}
