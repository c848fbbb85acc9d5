//! IMAP section paths (RFC 9051 §6.4.5.1) to byte ranges. No message octets are needed or seen.

use crate::{Content, Part, Summary};
use std::ops::Range;

/// What of the part that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    /// No suffix: `BODY[]` (the whole message), `BODY[1.2]` (the part's body).
    Body,
    /// `HEADER`: the header of the message or of the message inside a message/rfc822 part, with its blank line.
    Header,
    /// `TEXT`: the body of the message or of the message inside a message/rfc822 part.
    Text,
    /// `MIME`: the MIME header of a part, with its blank line. Needs a path.
    Mime,
}

impl Summary {
    /// The byte range of a section, `None` if the message has no such section (answer NIL). An empty path is the message.
    pub fn section(&self, path: &[u32], kind: SectionKind) -> Option<Range<u64>> {
        self.structure.section(path, kind)
    }

    /// The part that a path names.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        self.structure.part(path)
    }
}

impl Part {
    /// [`Summary::section`], for the root part of a message.
    pub fn section(&self, path: &[u32], kind: SectionKind) -> Option<Range<u64>> {
        if path.is_empty() {
            return match kind {
                SectionKind::Body => Some(self.header_start..self.body_end),
                SectionKind::Header => Some(self.header_start..self.body_start),
                SectionKind::Text => Some(self.body_start..self.body_end),
                SectionKind::Mime => None,
            };
        }
        let part = self.part(path)?;
        match kind {
            SectionKind::Body => Some(part.body_start..part.body_end),
            SectionKind::Mime => Some(part.header_start..part.body_start),
            // RFC 9051 §6.4.5.1: HEADER and TEXT of a part need it to be a message.
            SectionKind::Header | SectionKind::Text => match &part.content {
                Content::Message(nested) => nested.child.section(&[], kind),
                Content::Leaf | Content::Multipart(_) => None,
            },
        }
    }

    /// The part that a section path names, seen from the root part of a message. An empty path is the root itself.
    /// Part 1 of a message that is not a multipart is the message's own body.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        let Some((&number, rest)) = path.split_first() else {
            return Some(self);
        };
        let mut part = self.numbered(number)?;
        for &number in rest {
            part = match &part.content {
                Content::Leaf => return None,
                Content::Multipart(_) => part.numbered(number)?,
                Content::Message(nested) => nested.child.numbered(number)?,
            };
        }
        Some(part)
    }

    /// Part `number` of a message whose root is this part, or of this multipart.
    fn numbered(&self, number: u32) -> Option<&Part> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        match &self.content {
            Content::Multipart(parts) => parts.get(index),
            Content::Leaf | Content::Message(_) => (index == 0).then_some(self),
        }
    }
}
