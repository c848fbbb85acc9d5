//! The streaming parser.

use crate::Summary;

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
    /// Octets of all texts (parameters, envelopes, ..) in the structure.
    pub text_bytes: usize,
    /// Characters of the preview.
    pub preview_chars: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_bytes: 1 << 20,
            field_bytes: 64 << 10,
            kept_bytes: 32 << 10,
            depth: 40,
            parts: 2_000,
            text_bytes: 256 << 10,
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

/// A push parser for one message: [`Parser::feed`] it pieces of any size, then [`Parser::finish`].
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
}

impl Parser {
    /// A parser at the first octet of a message.
    pub fn new(limits: Limits) -> Parser {
        Parser { limits }
    }

    /// The next octets. How the message is cut into pieces makes no difference to the result.
    pub fn feed(&mut self, bytes: &[u8]) {
        let _ = (bytes, &self.limits);
        unimplemented!()
    }

    /// The message ends here.
    pub fn finish(self) -> Parsed {
        unimplemented!()
    }

    /// Parses a message that is in memory already.
    pub fn parse(message: &[u8]) -> Summary {
        let mut parser = Parser::new(Limits::default());
        parser.feed(message);
        parser.finish().summary
    }
}
