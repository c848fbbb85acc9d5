//! Quoted-printable and base64 (RFC 2045 §6.7 and §6.8) of octets that flow by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Columns of a line.
const COLUMNS: usize = 76;
/// Octets of a line in base64.
const GROUP: usize = COLUMNS / 4 * 3;
/// Octets held back until it is clear what stands behind them.
const HELD_MAX: usize = 5;

/// Text as quoted-printable. CR LF stays a line end; a CR or LF that stands alone is encoded like any other octet.
#[derive(Debug, Default)]
pub(super) struct QuotedPrintable {
    column: usize,
    /// Blanks, `From` at the start of a line, or a CR, whose form depends on what follows.
    held: Vec<u8>,
    /// The line began behind a soft line break.
    soft: bool,
}

impl QuotedPrintable {
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.held.push(byte);
            while self.settle(false, out) {}
        }
    }

    /// The text is complete. `at_end`: of the message, where what follows would be taken for a line of the text.
    pub(super) fn finish(mut self, at_end: bool, out: &mut Vec<u8>) {
        while self.settle(true, out) {}
        if at_end && self.column > 0 {
            out.extend_from_slice(b"=\r\n");
        }
    }

    /// Writes the first of the octets held, if its form is clear.
    fn settle(&mut self, last: bool, out: &mut Vec<u8>) -> bool {
        let Some(&first) = self.held.first() else { return false };
        let more = &self.held[1..];
        let start = self.column == 0;
        let escape = match first {
            b'\r' if more.first() == Some(&b'\n') => {
                out.extend_from_slice(b"\r\n");
                (self.column, self.soft) = (0, false);
                self.held.drain(..2);
                return true;
            }
            b'\r' if more.is_empty() && !last => return false,
            // Rule 3: no white space at the end of a line.
            b' ' | b'\t' => match more {
                [] | [b'\r'] if !last => return false,
                [] | [b'\r', b'\n', ..] => true,
                _ => false,
            },
            b'F' if start && b"From ".starts_with(&self.held) && self.held.len() < HELD_MAX && !last => return false,
            // Some programs put a mark before `From ` at the start of a line.
            b'F' => start && self.held.starts_with(b"From "),
            // A line of the text that was none must not look like the end of a message, or like a boundary.
            b'.' => start,
            b'-' => start && self.soft,
            b'=' => true,
            b'!'..=b'~' => false,
            _ => true,
        };
        let width = if escape { 3 } else { 1 };
        // The last column is for the `=` of a soft line break.
        if self.column + width > COLUMNS - 1 {
            out.extend_from_slice(b"=\r\n");
            (self.column, self.soft) = (0, true);
            return true;
        }
        if escape {
            out.extend_from_slice(&[b'=', HEX[usize::from(first >> 4)], HEX[usize::from(first & 15)]]);
        } else {
            out.push(first);
        }
        self.column += width;
        self.held.remove(0);
        true
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Octets as base64 in lines.
#[derive(Debug, Default)]
pub(super) struct Base64 {
    held: Vec<u8>,
    /// Lines before this one.
    begun: bool,
}

impl Base64 {
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while self.held.len() + bytes.len() > GROUP {
            let (line, rest) = bytes.split_at(GROUP - self.held.len());
            self.held.extend_from_slice(line);
            self.line(out);
            bytes = rest;
        }
        self.held.extend_from_slice(bytes);
    }

    /// The octets are complete. `at_end`: of the message.
    pub(super) fn finish(mut self, at_end: bool, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.line(out);
        }
        if at_end && self.begun {
            out.extend_from_slice(b"\r\n");
        }
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        if self.begun {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(STANDARD.encode(&self.held).as_bytes());
        self.held.clear();
        self.begun = true;
    }
}
