//! The receiver of message bodies, for DATA and BDAT: where the message ends, and whether its lines are
//! what they must be.
//!
//! Invariants, which SMTP smuggling is about:
//! 1. In DATA nothing but the five octets CR LF `.` CR LF (or `.` CR LF as the very first line) ends the
//!    message; no lone CR or LF takes part in that, and none makes the next octet a line's first.
//! 2. The result is the same for every way in which the input is cut into pieces.
//! 3. A refused message is read to its end all the same, so that no part of it is taken for a command.
//!
//! Standards: RFC 5321 §2.3.8, §4.1.1.4, §4.5.2; RFC 3030 §2.

use memchr::memchr2;

use crate::BareNewlines;

/// How the message comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyMode {
    /// DATA: lines with dots stuffed, ended by a line of one dot.
    Dots,
    /// BDAT, lines: counted octets.
    Lines,
    /// BDAT with BINARYMIME: counted octets of any kind.
    Binary,
}

/// Why a body is refused. The first fault stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// A CR without LF, or a LF without CR.
    BareNewline,
    /// A line longer than the limit.
    LineTooLong,
    /// More octets than the limit.
    TooLarge,
}

/// A body's receiver.
#[derive(Debug)]
pub struct BodyReceiver {
    mode: BodyMode,
    bare: BareNewlines,
    line_limit: usize,
    size_limit: u64,
    place: Place,
    line: usize,
    size: u64,
    raw: u64,
    fault: Option<BodyFault>,
}

/// Where in a line the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At its beginning, by the start of the message or CR LF.
    Start,
    /// Behind a first dot, which is held back.
    Dot,
    /// Behind a first dot and CR, both held back.
    DotCr,
    /// Inside.
    Text,
    /// Behind a CR.
    Cr,
}

impl BodyReceiver {
    /// A receiver for one message.
    pub fn new(mode: BodyMode, bare: BareNewlines, line_limit: usize, size_limit: u64) -> BodyReceiver {
        BodyReceiver { mode, bare, line_limit, size_limit, place: Place::Start, line: 0, size: 0, raw: 0, fault: None }
    }

    /// Takes a piece of input and appends to `out` what belongs to the message; nothing any more after
    /// a fault. Gives the number of octets taken, and whether the message has ended (in
    /// [`BodyMode::Dots`] only; otherwise the caller counts and calls [`BodyReceiver::finish`]).
    pub fn receive(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let (taken, ended) = match self.mode {
            BodyMode::Binary => {
                self.keep(input, out);
                (input.len(), false)
            }
            BodyMode::Dots | BodyMode::Lines => self.receive_lines(input, out),
        };
        self.raw = self.raw.saturating_add(taken as u64);
        (taken, ended)
    }

    /// The counted octets are complete.
    pub fn finish(&mut self) {
        if self.mode == BodyMode::Lines && self.place == Place::Cr {
            self.bare_newline();
        }
    }

    /// What is wrong with the message so far.
    pub fn fault(&self) -> Option<BodyFault> {
        self.fault
    }

    /// Refuses what is to come, for a reason known before it came.
    pub fn fail(&mut self, fault: BodyFault) {
        self.fault.get_or_insert(fault);
    }

    /// Octets of the message, without stuffed dots.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Octets taken from the input.
    pub fn raw(&self) -> u64 {
        self.raw
    }

    fn receive_lines(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        // input[kept..at] belongs to the message and is not yet copied.
        let (mut kept, mut at) = (0, 0);
        while let Some(&byte) = input.get(at) {
            match self.place {
                Place::Start if byte == b'.' && self.mode == BodyMode::Dots => {
                    self.keep(&input[kept..at], out);
                    at += 1;
                    kept = at;
                    self.place = Place::Dot;
                }
                Place::Start => self.place = Place::Text,
                Place::Dot if byte == b'\r' => {
                    at += 1;
                    kept = at;
                    self.place = Place::DotCr;
                }
                // RFC 5321 §4.5.2: the first dot of a longer line goes.
                Place::Dot => self.place = Place::Text,
                Place::DotCr if byte == b'\n' => return (at + 1, true),
                Place::DotCr => {
                    self.bare_newline();
                    self.keep(b"\r", out);
                    self.place = Place::Text;
                }
                Place::Text => at = self.text(input, at),
                Place::Cr if byte == b'\n' => {
                    at += 1;
                    self.line = 0;
                    self.place = Place::Start;
                }
                Place::Cr => {
                    self.bare_newline();
                    self.place = Place::Text;
                }
            }
        }
        self.keep(&input[kept..at], out);
        (at, false)
    }

    /// Runs to the next CR or LF and over it, through whole lines that need no look.
    fn text(&mut self, input: &[u8], mut at: usize) -> usize {
        loop {
            let Some(found) = memchr2(b'\r', b'\n', &input[at..]) else {
                self.lengthen(input.len() - at);
                return input.len();
            };
            self.lengthen(found);
            at += found + 1;
            if input[at - 1] == b'\n' {
                self.bare_newline();
                continue;
            }
            if input.get(at) == Some(&b'\n') && input.get(at + 1).is_some_and(|next| *next != b'.') {
                at += 1;
                self.line = 0;
                continue;
            }
            self.place = Place::Cr;
            return at;
        }
    }

    fn lengthen(&mut self, octets: usize) {
        self.line = self.line.saturating_add(octets);
        if self.line > self.line_limit {
            self.fail(BodyFault::LineTooLong);
        }
    }

    fn bare_newline(&mut self) {
        match self.bare {
            BareNewlines::Refuse => self.fail(BodyFault::BareNewline),
            BareNewlines::Keep => {}
        }
    }

    fn keep(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.size_limit {
            self.fail(BodyFault::TooLarge);
        }
        if self.fault.is_none() {
            out.extend_from_slice(bytes);
        }
    }
}
