//! The input buffer: lines, bounded. Lines may end with LF alone: nothing here can be smuggled past
//! anybody, and people type with tools that send it.

use memchr::memchr;
use postroad_sasl::{LINE_LIMIT, wipe};

/// What stands at the front of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Not yet a whole line.
    Incomplete,
    /// A line without its end.
    Whole(Vec<u8>),
    /// A line longer than [`LINE_LIMIT`]; it was taken.
    TooLong,
}

/// Octets that came and were not used: one read of the loop and one line at most.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    scanned: usize,
    /// The line under way is too long, and its octets are dropped as they come.
    overlong: bool,
}

impl Input {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets all that is there.
    pub(crate) fn clear(&mut self) {
        wipe(&mut self.bytes);
        *self = Input::default();
    }

    /// Takes the next line. Its octets are overwritten in the buffer, since it may carry a password.
    pub(crate) fn line(&mut self) -> Line {
        let from = self.start + self.scanned;
        let Some(found) = memchr(b'\n', &self.bytes[from..]) else {
            self.scanned = self.bytes.len() - self.start;
            if self.scanned == 0 {
                // An idle connection holds no memory.
                (self.bytes, self.start) = (Vec::new(), 0);
            }
            if self.scanned > LINE_LIMIT + 1 {
                wipe(&mut self.bytes);
                (self.start, self.scanned, self.overlong) = (0, 0, true);
            }
            return Line::Incomplete;
        };
        let end = from + found;
        let mut line = self.bytes[self.start..end].to_vec();
        self.bytes[self.start..end].fill(0);
        (self.start, self.scanned) = (end + 1, 0);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        match std::mem::take(&mut self.overlong) || line.len() > LINE_LIMIT {
            true => Line::TooLong,
            false => Line::Whole(line),
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}
