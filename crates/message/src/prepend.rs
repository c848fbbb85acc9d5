//! Header lines put in front of a message after it was parsed: what the server adds at delivery.

use crate::{Content, Part, Summary};

impl Summary {
    /// Accounts for `head`, whole header lines (each ended by CRLF) put before the message: Return-Path, Received,
    /// Authentication-Results and the like. Shifts every offset, adds size and lines, keeps [`Summary::fields`] right.
    /// The envelope and the structure are not read from `head`. A message that begins with white space (a fold of nothing) is
    /// taken as before, though it now continues the last field of `head`.
    pub fn prepend(&mut self, head: &[u8]) {
        let octets = head.len() as u64;
        self.size += octets;
        self.lines += memchr::memchr_iter(b'\n', head).count() as u64;
        self.facts.eight_bit_header |= !head.is_ascii();
        self.facts.nul |= head.contains(&0);
        self.fields.prepend(head);
        shift(&mut self.structure, octets);
        // The root's header begins with what was put before it.
        self.structure.header_start = 0;
    }
}

/// Moves a part and all in it. Depth is bounded by the parser and the decoder.
fn shift(part: &mut Part, octets: u64) {
    part.header_start += octets;
    part.body_start += octets;
    part.body_end += octets;
    match &mut part.content {
        Content::Leaf => {}
        Content::Multipart(parts) => parts.iter_mut().for_each(|child| shift(child, octets)),
        Content::Message(nested) => shift(&mut nested.child, octets),
    }
}
