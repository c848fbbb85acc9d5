//! Reading a message to find out which of its ranges must change.

use crate::decode::Encoding;
use crate::parser::Parser;
use crate::{Content, Limits, Part};

use super::{Change, Edit, Into, Plan, Unconvertible};

/// Reads a whole message and finds out what conversion it needs.
#[derive(Debug)]
pub struct Survey {
    parser: Parser,
    /// 8-bit octets may stay.
    eight_bit: bool,
    spans: Vec<Span>,
    /// Octets so far.
    offset: u64,
    last: u8,
    line: usize,
}

/// A range between two places at which a header or a body begins or ends. The boundary line that ends a body is its last: it has
/// no 8-bit octet that the header that names it has not.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u64,
    needs: Needs,
}

/// What stands in a range.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    /// Octets above 127.
    high: u64,
    nul: bool,
    /// A CR or LF that stands alone.
    bare: bool,
    /// A line that is longer than lines may be.
    long: bool,
}

/// Where in the structure a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Plain,
    /// Of a part that must not change, and what it is then called.
    Untouchable(Unconvertible),
}

impl Default for Survey {
    fn default() -> Survey {
        Survey::new()
    }
}

impl Survey {
    /// For a next host that takes lines of seven bits.
    pub fn new() -> Survey {
        Survey {
            parser: Parser::with_marks(Limits::default()),
            eight_bit: false,
            spans: vec![Span::default()],
            offset: 0,
            last: b'\n',
            line: 0,
        }
    }

    /// For a next host that takes lines of eight bits (8BITMIME) and not binary octets.
    pub fn for_lines() -> Survey {
        Survey { eight_bit: true, ..Survey::new() }
    }

    /// The next octets of the message.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.parser.feed(bytes);
        let mut rest = bytes;
        for mark in self.parser.take_marks() {
            let length = usize::try_from(mark.saturating_sub(self.offset)).unwrap_or(usize::MAX).min(rest.len());
            let (before, after) = rest.split_at(length);
            self.scan(before);
            self.spans.push(Span { start: self.offset, needs: Needs::default() });
            rest = after;
        }
        self.scan(rest);
    }

    fn scan(&mut self, bytes: &[u8]) {
        let Some(Span { needs, .. }) = self.spans.last_mut() else { return };
        for &byte in bytes {
            needs.high += u64::from(byte >= 0x80);
            needs.nul |= byte == 0;
            needs.bare |= (byte == b'\n') != (self.last == b'\r');
            self.line = if byte == b'\n' { 0 } else { self.line + 1 };
            needs.long |= self.line > LINE_MAX;
            self.last = byte;
            self.offset += 1;
        }
    }

    /// The message is complete.
    pub fn finish(mut self) -> Result<Plan, Unconvertible> {
        if let Some(Span { needs, .. }) = self.spans.last_mut() {
            needs.bare |= self.last == b'\r';
        }
        let summary = self.parser.finish().summary;
        let mut planner = Planner { spans: self.spans, eight_bit: self.eight_bit, edits: Vec::new() };
        planner.part(&summary.structure, true, Inside::Plain)?;
        // What was not read cannot be judged.
        let unread = summary.facts.limited || summary.facts.header_cut;
        if unread && (!planner.edits.is_empty() || planner.is_unfit(planner.needs(0, summary.size))) {
            return Err(Unconvertible::Structure);
        }
        Ok(Plan { edits: planner.edits })
    }
}

struct Planner {
    spans: Vec<Span>,
    eight_bit: bool,
    edits: Vec<Edit>,
}

impl Planner {
    /// What stands in a range, taken together from all spans that it touches.
    fn needs(&self, start: u64, end: u64) -> Needs {
        let mut all = Needs::default();
        if start >= end {
            return all;
        }
        let first = self.spans.partition_point(|span| span.start <= start).saturating_sub(1);
        for span in self.spans[first..].iter().take_while(|span| span.start < end) {
            all.high += span.needs.high;
            all.nul |= span.needs.nul;
            all.bare |= span.needs.bare;
            all.long |= span.needs.long;
        }
        all
    }

    /// Whether a header or the text around parts cannot stay.
    fn is_unfit(&self, needs: Needs) -> bool {
        needs.nul || (needs.high > 0 && !self.eight_bit)
    }

    /// Whether a body cannot stay. RFC 2045 §2.8 and §2.9: what is no line end, and lines of any length, only binary may have;
    /// others that have them are damaged, and who sends them makes line ends of what looks like one.
    fn is_unfit_body(&self, needs: Needs, label: &Encoding) -> bool {
        self.is_unfit(needs) || ((needs.bare || needs.long) && *label == Encoding::Binary)
    }

    /// A part with all that is inside. `whole`: it is a message.
    fn part(&mut self, part: &Part, whole: bool, inside: Inside) -> Result<(), Unconvertible> {
        if self.is_unfit(self.needs(part.header_start, part.body_start)) {
            return Err(match inside {
                Inside::Plain => Unconvertible::Header,
                Inside::Untouchable(why) => why,
            });
        }
        match &part.content {
            Content::Multipart(children) => self.multipart(part, children, whole, inside),
            // RFC 6532 §3.7: message/global may be encoded, and its header is not to be looked at.
            Content::Message(nested) if part.encoding.is_identity() && part.subtype != "global" => {
                self.label(part, whole, inside);
                self.part(&nested.child, true, inside)
            }
            Content::Leaf | Content::Message(_) => self.leaf(part, whole, inside),
        }
    }

    fn multipart(&mut self, part: &Part, children: &[Part], whole: bool, inside: Inside) -> Result<(), Unconvertible> {
        self.label(part, whole, inside);
        let inside_children = match (inside, part.subtype.as_str()) {
            (Inside::Untouchable(_), _) => inside,
            (Inside::Plain, "signed") => Inside::Untouchable(Unconvertible::Signed),
            (Inside::Plain, "encrypted") => Inside::Untouchable(Unconvertible::Encrypted),
            (Inside::Plain, _) => Inside::Plain,
        };
        let mut at = part.body_start;
        for child in children {
            self.mask(at, child.header_start, inside)?;
            self.part(child, false, inside_children)?;
            at = child.body_end;
        }
        self.mask(at, part.body_end, inside)
    }

    /// RFC 2046 §5.1.1: what stands before the first and after the last part is to be ignored.
    fn mask(&mut self, start: u64, end: u64, inside: Inside) -> Result<(), Unconvertible> {
        if !self.is_unfit(self.needs(start, end)) {
            return Ok(());
        }
        match inside {
            Inside::Plain => self.edits.push(Edit { start, end, change: Change::Mask }),
            Inside::Untouchable(why) => return Err(why),
        }
        Ok(())
    }

    /// A composite part has the label of what it will hold (RFC 2045 §6.4).
    fn label(&mut self, part: &Part, whole: bool, inside: Inside) {
        let label = match (&part.encoding, self.eight_bit) {
            (Encoding::Binary, true) => "8bit",
            (Encoding::Binary | Encoding::EightBit, false) => "7bit",
            _ => return,
        };
        if inside == Inside::Plain {
            self.header(part, label, whole);
        }
    }

    fn header(&mut self, part: &Part, label: &'static str, whole: bool) {
        let (start, end) = (part.header_start, part.body_start);
        self.edits.push(Edit { start, end, change: Change::Header { label, whole } });
    }

    fn leaf(&mut self, part: &Part, whole: bool, inside: Inside) -> Result<(), Unconvertible> {
        let needs = self.needs(part.body_start, part.body_end);
        if !self.is_unfit_body(needs, &part.encoding) {
            self.label(part, false, inside);
            return Ok(());
        }
        if let Inside::Untouchable(why) = inside {
            return Err(why);
        }
        let known = match &part.encoding {
            Encoding::Uuencode | Encoding::Other(_) => false,
            Encoding::SevenBit
            | Encoding::EightBit
            | Encoding::Binary
            | Encoding::Base64
            | Encoding::QuotedPrintable => true,
        };
        // RFC 2046 §5.2.2.1, §5.2.3: fragments and references are 7bit always.
        let fixed = part.is("message", "partial") || part.is("message", "external-body");
        if !known || fixed || part.header_start == part.body_start {
            return Err(Unconvertible::Structure);
        }
        let textual = part.content_type == "text" || (part.content_type == "message" && part.subtype != "global");
        let mostly_ascii = needs.high.saturating_mul(3) <= part.body_size();
        let into = if textual && mostly_ascii && !needs.nul { Into::QuotedPrintable } else { Into::Base64 };
        self.header(part, into.label(), whole);
        let change = Change::Body { from: part.encoding.clone(), into };
        self.edits.push(Edit { start: part.body_start, end: part.body_end, change });
        Ok(())
    }
}

/// RFC 5322 §2.1.1.
const LINE_MAX: usize = 998 + 1;
