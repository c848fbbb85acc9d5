//! The input buffer of a session: cuts lines at CR LF and nothing else, and bounds them.

use std::ops::Range;

use memchr::memchr;
use postroad_sasl::{LINE_LIMIT, wipe};

/// What stands at the front of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Not yet a whole line.
    Incomplete,
    /// A line, without its CR LF.
    Whole(Vec<u8>),
    /// A line with a lone CR inside; it was taken.
    LoneCr,
    /// A line longer than [`LINE_LIMIT`]; it was taken.
    TooLong,
    /// A LF without CR: nothing that follows can be trusted to be what its sender meant.
    LoneLf,
    /// A line that does not end within [`FLOOD_LIMIT`].
    Flood,
}

/// Bytes that came and were not used. Bounded by one read of the loop plus one line.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    /// How far from `start` no LF stands.
    scanned: usize,
    /// Octets of an overlong line that were dropped already.
    dropped: usize,
}

impl Input {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
        } else if self.start > 0 {
            self.bytes.drain(..self.start);
        }
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// What is there.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The beginning of the next line, as far as it is there.
    pub(crate) fn line_start(&self) -> &[u8] {
        if self.dropped == 0 { self.rest() } else { &[] }
    }

    /// Takes octets off the front, which a line was not begun with.
    pub(crate) fn take(&mut self, octets: usize) {
        self.start += octets.min(self.bytes.len() - self.start);
        self.scanned = 0;
    }

    /// Drops all that is there and gives its length.
    pub(crate) fn drop_all(&mut self) -> usize {
        let octets = self.rest().len() + self.dropped;
        *self = Input::default();
        octets
    }

    /// Takes the next line off the front. Its octets are overwritten in the buffer, since it may carry a
    /// password.
    pub(crate) fn line(&mut self) -> Line {
        let from = self.start + self.scanned;
        let Some(found) = memchr(b'\n', &self.bytes[from..]) else {
            return self.incomplete();
        };
        let end = from + found;
        let length = self.dropped + (end - self.start);
        if length > FLOOD_LIMIT {
            return Line::Flood;
        }
        if end == self.start || self.bytes[end - 1] != b'\r' {
            return Line::LoneLf;
        }
        let content = self.start..end - 1;
        let line = match (length - 1 > LINE_LIMIT, memchr(b'\r', &self.bytes[content.clone()])) {
            (true, _) => Line::TooLong,
            (false, Some(_)) => Line::LoneCr,
            (false, None) => Line::Whole(self.bytes[content.clone()].to_vec()),
        };
        self.overwrite(content);
        self.take(end + 1 - self.start);
        self.dropped = 0;
        line
    }

    /// Keeps what is needed of an unfinished line: all, or of an overlong one the last octet (a CR?).
    fn incomplete(&mut self) -> Line {
        let length = self.bytes.len() - self.start;
        if length == 0 {
            // An idle connection holds no memory.
            (self.bytes, self.start) = (Vec::new(), 0);
        }
        self.scanned = length;
        if self.dropped + length > FLOOD_LIMIT {
            return Line::Flood;
        }
        if self.dropped + length > LINE_LIMIT + 1 && length > 1 {
            self.overwrite(self.start..self.bytes.len() - 1);
            self.dropped += length - 1;
            self.start = self.bytes.len() - 1;
            self.scanned = 1;
        }
        Line::Incomplete
    }

    fn overwrite(&mut self, range: Range<usize>) {
        self.bytes[range].fill(0);
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

/// An overlong line is swallowed up to this many octets, then the connection ends.
const FLOOD_LIMIT: usize = 1024 * 1024;
