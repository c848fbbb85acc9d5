//! Counting octets and line feeds, and what they need from a transport, at memory speed.

use super::Mark;

/// Octets counted in one go: an 8-bit counter cannot overflow, which lets the compiler use wide registers.
const BLOCK: usize = 192;

#[derive(Debug, Default)]
pub(super) struct Scanner {
    offset: u64,
    lines: u64,
    /// The last two octets.
    last: [u8; 2],
    eight_bit: bool,
    nul: bool,
    bare_lf: bool,
}

impl Scanner {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return };
        self.bare_lf |= first == b'\n' && self.last[1] != b'\r';
        self.bare_lf |= has_bare_lf(bytes);
        self.octets(bytes);
        self.last = [if bytes.len() > 1 { bytes[bytes.len() - 2] } else { self.last[1] }, last];
        self.offset += bytes.len() as u64;
    }

    fn octets(&mut self, bytes: &[u8]) {
        let mut high = 0u8;
        let mut nul = false;
        for block in bytes.chunks(BLOCK) {
            let mut lines = 0u8;
            let mut zeros = 0u8;
            for &byte in block {
                lines += u8::from(byte == b'\n');
                zeros |= u8::from(byte == 0);
                high |= byte;
            }
            self.lines += u64::from(lines);
            nul |= zeros != 0;
        }
        self.eight_bit |= high >= 0x80;
        self.nul |= nul;
    }

    pub(super) fn mark(&self) -> Mark {
        let line_end = match self.last {
            [b'\r', b'\n'] => 2,
            [_, b'\n'] => 1,
            _ => 0,
        };
        Mark { offset: self.offset, lines: self.lines, line_end }
    }

    /// Whether an octet above 127 was seen since the last time this was asked.
    pub(super) fn take_eight_bit(&mut self) -> bool {
        std::mem::take(&mut self.eight_bit)
    }

    pub(super) fn nul(&self) -> bool {
        self.nul
    }

    pub(super) fn bare_lf(&self) -> bool {
        self.bare_lf
    }
}

/// A line feed without a carriage return before it, the first octet not looked at.
fn has_bare_lf(bytes: &[u8]) -> bool {
    let mut found = false;
    let after = bytes.get(1..).unwrap_or_default();
    for (befores, nexts) in bytes.chunks(BLOCK).zip(after.chunks(BLOCK)) {
        let bare = befores
            .iter()
            .zip(nexts)
            .fold(0u8, |bare, (&before, &next)| bare | (u8::from(next == b'\n') & u8::from(before != b'\r')));
        found |= bare != 0;
    }
    found
}
