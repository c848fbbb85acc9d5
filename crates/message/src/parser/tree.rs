//! The parts that are open while the message flows by, and the structure they leave behind.

use super::{Limits, Mark, opaque_part};
use crate::{Content, Envelope, Nested, Part};

/// Octets of a boundary (RFC 2046 §5.1.1 allows 70). A multipart with a longer one is taken as one without parts.
pub(super) const BOUNDARY_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Tree {
    /// From the root to the current part.
    open: Vec<Open>,
    root: Option<Part>,
    parts: usize,
    limited: bool,
}

/// A part whose end has not come yet.
#[derive(Debug)]
struct Open {
    part: Part,
    /// Line feeds before its body.
    first_line: u64,
    /// The end of its last child: it cannot end before.
    least_end: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Leaf,
    Multipart { boundary: Option<Vec<u8>>, parts: Vec<Part>, too_deep: bool },
    Message { envelope: Box<Envelope>, child: Option<Box<Part>> },
}

/// What must be read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// The header of a nested message.
    Message,
    /// Octets: of a leaf, or before the first boundary of a multipart.
    Leaf,
}

/// A boundary line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delimiter {
    /// The place of its multipart in the tree.
    pub(super) level: usize,
    /// Whether it is the closing one.
    pub(super) closes: bool,
}

impl Tree {
    /// A part whose header has ended and whose body starts at `at`.
    pub(super) fn begin(&mut self, mut part: Part, at: Mark, limits: &Limits) -> Begun {
        let too_deep = self.open.len() >= limits.depth;
        self.parts += 1;
        part.body_start = at.offset;
        let mut begun = Begun::Leaf;
        let kind = if part.content_type == "multipart" {
            self.limited |= too_deep;
            let boundary = if too_deep { None } else { boundary(&part) };
            Kind::Multipart { boundary, parts: Vec::new(), too_deep }
        } else if is_message(&part) {
            let too_many = too_deep || self.parts >= limits.parts;
            self.limited |= too_many;
            // RFC 2046 §5.2.1: no transfer encoding may hide a message.
            if !too_many && part.encoding.is_identity() {
                begun = Begun::Message;
            }
            Kind::Message { envelope: Box::default(), child: None }
        } else {
            Kind::Leaf
        };
        self.open.push(Open { part, first_line: at.lines, least_end: at.offset, kind });
        begun
    }

    /// The envelope of the message inside the message/rfc822 part that is open last.
    pub(super) fn nested_envelope(&mut self, nested: Envelope) {
        if let Some(Open { kind: Kind::Message { envelope, .. }, .. }) = self.open.last_mut() {
            **envelope = nested;
        }
    }

    /// The part limit is met: what follows is one part.
    pub(super) fn opaque(&mut self, at: Mark) {
        self.limited = true;
        let part = opaque_part(at.offset);
        self.open.push(Open { part, first_line: at.lines, least_end: at.offset, kind: Kind::Leaf });
    }

    /// Parts so far.
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// Whether parts of the multipart that is open last are messages unless they say otherwise (RFC 2046 §5.1.5).
    pub(super) fn is_digest(&self) -> bool {
        self.open.last().is_some_and(|open| open.part.is("multipart", "digest"))
    }

    /// Whether any boundary may still come.
    pub(super) fn has_boundary(&self) -> bool {
        self.open.iter().any(|open| matches!(open.kind, Kind::Multipart { boundary: Some(_), .. }))
    }

    /// The current part, if it is a leaf of the message itself whose text a reader sees.
    pub(super) fn visible_leaf(&self) -> Option<&Part> {
        let (last, outer) = self.open.split_last()?;
        let nested = outer.iter().any(|open| matches!(open.kind, Kind::Message { .. }));
        let attached = last.part.disposition.as_ref().is_some_and(|d| d.kind == "attachment");
        (!nested && !attached && matches!(last.kind, Kind::Leaf)).then_some(&last.part)
    }

    /// Whether a line is the boundary of an open multipart, the innermost first (RFC 2046 §5.1.2: any outer boundary ends the
    /// inner parts). White space after it is transport padding; anything else makes it another line, so that a boundary that
    /// begins with another boundary is not taken for it.
    pub(super) fn delimiter(&self, line: &[u8]) -> Option<Delimiter> {
        let text = line.strip_prefix(b"--")?.trim_ascii_end();
        let closed = text.strip_suffix(b"--");
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            let Kind::Multipart { boundary: Some(boundary), .. } = &open.kind else { return None };
            if boundary == text {
                Some(Delimiter { level, closes: false })
            } else if closed == Some(boundary.as_slice()) {
                Some(Delimiter { level, closes: true })
            } else {
                None
            }
        })
    }

    /// All parts inside the multipart at `level` end before the line that starts at `line`, whose line break before it belongs
    /// to the boundary.
    pub(super) fn close_inside(&mut self, level: usize, line: Mark) {
        while self.open.len() > level + 1 {
            self.close(line);
        }
    }

    /// The closing delimiter was seen: what follows is the epilogue.
    pub(super) fn close_multipart(&mut self, level: usize) {
        if let Some(Open { kind: Kind::Multipart { boundary, .. }, .. }) = self.open.get_mut(level) {
            *boundary = None;
        }
    }

    /// The message ends. Gives the root, and whether a limit was met.
    pub(super) fn finish(mut self, end: Mark) -> (Part, bool) {
        let end = Mark { line_end: 0, ..end };
        while !self.open.is_empty() {
            self.close(end);
        }
        (self.root.unwrap_or_default(), self.limited)
    }

    /// Ends the part that is open last.
    fn close(&mut self, line: Mark) {
        let Some(open) = self.open.pop() else { return };
        let mut part = open.part;
        part.body_end = (line.offset - line.line_end).max(open.least_end);
        let trimmed = part.body_end < line.offset;
        part.lines = (line.lines - u64::from(trimmed)).saturating_sub(open.first_line);
        part.content = match open.kind {
            Kind::Leaf => Content::Leaf,
            Kind::Multipart { parts, .. } if !parts.is_empty() => Content::Multipart(parts),
            Kind::Multipart { too_deep, .. } => Content::Multipart(vec![only_child(&part, too_deep)]),
            Kind::Message { envelope, child } => {
                let child = child.map_or_else(|| empty_child(part.body_start), |child| *child);
                Content::Message(Box::new(Nested { envelope: *envelope, child }))
            }
        };
        self.attach(part);
    }

    fn attach(&mut self, part: Part) {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(part);
            return;
        };
        parent.least_end = parent.least_end.max(part.body_end);
        match &mut parent.kind {
            Kind::Leaf => {}
            Kind::Multipart { parts, .. } => parts.push(part),
            Kind::Message { child, .. } => *child = Some(Box::new(part)),
        }
    }
}

/// A multipart must have a part (RFC 9051 §9 body-type-mpart): one without is given its whole body as one. If nobody could find
/// parts, a person may.
fn only_child(multipart: &Part, too_deep: bool) -> Part {
    let start = multipart.body_start;
    let child = if too_deep { opaque_part(start) } else { empty_child(start) };
    Part { body_end: multipart.body_end, lines: multipart.lines, ..child }
}

fn empty_child(at: u64) -> Part {
    Part { header_start: at, body_start: at, body_end: at, ..Part::default() }
}

fn is_message(part: &Part) -> bool {
    part.content_type == "message" && matches!(part.subtype.as_str(), "rfc822" | "global")
}

fn boundary(part: &Part) -> Option<Vec<u8>> {
    let plain = part.params.iter().find(|p| p.name == "boundary").map(|p| p.value.clone());
    let value = plain.or_else(|| part.param("boundary"))?;
    let value = value.trim_end();
    (!value.is_empty() && value.len() <= BOUNDARY_MAX).then(|| value.as_bytes().to_vec())
}

/// Whether a person would say that something is attached: a part that is neither shown as the text nor used by it.
pub(super) fn has_attachment(part: &Part) -> bool {
    match &part.content {
        Content::Multipart(parts) if part.subtype == "related" => {
            parts.iter().any(|child| !is_used_by_text(child) && has_attachment(child))
        }
        // Reports and signatures are machinery (RFC 3462, RFC 1847).
        Content::Multipart(parts) if matches!(part.subtype.as_str(), "report" | "encrypted") => {
            parts.iter().take(1).any(has_attachment)
        }
        Content::Multipart(parts) if part.subtype == "signed" => parts.iter().take(1).any(has_attachment),
        Content::Multipart(parts) => parts.iter().any(has_attachment),
        Content::Message(_) => true,
        Content::Leaf => is_attachment(part),
    }
}

/// A picture in the HTML.
fn is_used_by_text(part: &Part) -> bool {
    let attached = part.disposition.as_ref().is_some_and(|d| d.kind == "attachment");
    part.id.is_some() && !attached
}

fn is_attachment(part: &Part) -> bool {
    match part.disposition.as_ref().map(|d| d.kind.as_str()) {
        Some("attachment") => return true,
        Some("inline") if part.content_type == "text" => return part.file_name().is_some(),
        Some(_) | None => {}
    }
    let machinery =
        matches!(part.subtype.as_str(), "pgp-signature" | "pkcs7-signature" | "x-pkcs7-signature" | "pkcs7-mime");
    part.content_type != "text" && !machinery
}
