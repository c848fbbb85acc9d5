//! IMAP section paths (RFC 9051 §6.4.5.1) to byte ranges. No message bytes are needed or seen.

use crate::{Part, Summary};
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
        let _ = (path, kind);
        unimplemented!()
    }

    /// The part that a section path names, seen from the root part of a message. An empty path is the root itself.
    /// Part 1 of a message that is not a multipart is the message's own body.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        let _ = path;
        unimplemented!()
    }
}
