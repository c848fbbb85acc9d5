//! Carrying a plan out while the message flows by.

use crate::decode::Decoder;

use super::encode::{Base64, QuotedPrintable};
use super::{Change, Edit, Into};

/// Converts the message that was surveyed, as it flows by.
#[derive(Debug)]
pub struct Downgrader {
    /// The edits that were not begun, the next one last.
    edits: Vec<Edit>,
    /// Octets so far.
    offset: u64,
    current: Option<Current>,
}

/// The edit under way.
#[derive(Debug)]
struct Current {
    end: u64,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Header(Header),
    Body { decoder: Decoder, encoder: Encoder },
    Mask,
}

#[derive(Debug)]
enum Encoder {
    QuotedPrintable(QuotedPrintable),
    Base64(Base64),
}

/// A header block that loses its Content-Transfer-Encoding and gets another.
#[derive(Debug)]
struct Header {
    label: &'static str,
    whole: bool,
    /// The beginning of a line, until its field's name is known.
    start: Vec<u8>,
    place: Place,
    has_version: bool,
    has_type: bool,
    written: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a line. `dropping`: the line before was dropped, and so is what continues it.
    Start { dropping: bool },
    /// In a line that stays.
    Keep,
    /// In a line that goes.
    Drop,
}

impl Downgrader {
    pub(super) fn new(mut edits: Vec<Edit>) -> Downgrader {
        edits.reverse();
        Downgrader { edits, offset: 0, current: None }
    }

    /// The next octets of the message; what they become is appended to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.begin_and_end(false, out);
            let until = match &self.current {
                Some(current) => current.end,
                None => self.edits.last().map_or(u64::MAX, |edit| edit.start),
            };
            let length = usize::try_from(until.saturating_sub(self.offset)).unwrap_or(usize::MAX).min(rest.len());
            let (piece, after) = rest.split_at(length);
            match &mut self.current {
                None => out.extend_from_slice(piece),
                Some(current) => current.work.feed(piece, out),
            }
            self.offset += piece.len() as u64;
            rest = after;
        }
    }

    /// The message is complete.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.begin_and_end(true, out);
        if let Some(current) = self.current.take() {
            current.work.finish(true, out);
        }
    }

    /// Ends the edit that ends here, unless the message does, and begins the one that begins here.
    fn begin_and_end(&mut self, at_end: bool, out: &mut Vec<u8>) {
        if self.current.as_ref().is_some_and(|current| current.end <= self.offset)
            && let Some(current) = self.current.take()
        {
            current.work.finish(at_end, out);
        }
        if self.current.is_none() && self.edits.last().is_some_and(|edit| edit.start <= self.offset) {
            self.current = self.edits.pop().map(Current::new);
        }
    }
}

impl Current {
    fn new(edit: Edit) -> Current {
        let work = match edit.change {
            Change::Header { label, whole } => Work::Header(Header::new(label, whole)),
            Change::Body { from, into } => {
                let encoder = match into {
                    Into::QuotedPrintable => Encoder::QuotedPrintable(QuotedPrintable::default()),
                    Into::Base64 => Encoder::Base64(Base64::default()),
                };
                Work::Body { decoder: Decoder::new(&from), encoder }
            }
            Change::Mask => Work::Mask,
        };
        Current { end: edit.end, work }
    }
}

impl Work {
    fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self {
            Work::Header(header) => header.feed(piece, out),
            Work::Body { decoder, encoder } => {
                let mut decoded = Vec::with_capacity(piece.len());
                decoder.feed(piece, &mut decoded);
                encoder.feed(&decoded, out);
            }
            Work::Mask => out.extend(piece.iter().map(|&byte| if byte == 0 || byte >= 0x80 { b'?' } else { byte })),
        }
    }

    fn finish(self, at_end: bool, out: &mut Vec<u8>) {
        match self {
            Work::Header(header) => header.finish(out),
            Work::Body { decoder, mut encoder } => {
                let mut decoded = Vec::new();
                decoder.finish(&mut decoded);
                encoder.feed(&decoded, out);
                match encoder {
                    Encoder::QuotedPrintable(encoder) => encoder.finish(at_end, out),
                    Encoder::Base64(encoder) => encoder.finish(at_end, out),
                }
            }
            Work::Mask => {}
        }
    }
}

impl Encoder {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoder::QuotedPrintable(encoder) => encoder.feed(bytes, out),
            Encoder::Base64(encoder) => encoder.feed(bytes, out),
        }
    }
}

impl Header {
    fn new(label: &'static str, whole: bool) -> Header {
        Header {
            label,
            whole,
            start: Vec::new(),
            place: Place::Start { dropping: false },
            has_version: false,
            has_type: false,
            written: false,
        }
    }

    fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            match self.place {
                Place::Start { dropping } => {
                    self.start.push(first);
                    rest = &rest[1..];
                    self.judge(dropping, out);
                }
                Place::Keep | Place::Drop => {
                    let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
                    let dropping = self.place == Place::Drop;
                    if !dropping {
                        out.extend_from_slice(&rest[..end]);
                    }
                    if rest[..end].ends_with(b"\n") {
                        self.place = Place::Start { dropping };
                    }
                    rest = &rest[end..];
                }
            }
        }
    }

    /// Looks at the beginning of a line: whether it is a field that goes, or the blank line.
    fn judge(&mut self, dropping: bool, out: &mut Vec<u8>) {
        let start = self.start.as_slice();
        let ended = start.ends_with(b"\n");
        let drops = match start {
            [b' ' | b'\t', ..] => dropping,
            b"\r" => return,
            b"\n" | b"\r\n" => {
                self.complete(out);
                false
            }
            _ if start.ends_with(b":") || ended || start.len() > NAME_MAX => {
                let name = start.strip_suffix(b":").unwrap_or_default().trim_ascii_end();
                self.has_version |= name.eq_ignore_ascii_case(b"MIME-Version");
                self.has_type |= name.eq_ignore_ascii_case(b"Content-Type");
                name.eq_ignore_ascii_case(b"Content-Transfer-Encoding")
            }
            _ => return,
        };
        if !drops {
            out.extend_from_slice(&self.start);
        }
        self.start.clear();
        self.place = match (ended, drops) {
            (true, _) => Place::Start { dropping: drops },
            (false, true) => Place::Drop,
            (false, false) => Place::Keep,
        };
    }

    /// Writes the fields that the header gets, once, before its blank line.
    fn complete(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.written, true) {
            return;
        }
        if self.whole && !self.has_version {
            // Without it, the fields that say how to read the body would mean nothing.
            out.extend_from_slice(b"MIME-Version: 1.0\r\n");
            if !self.has_type {
                // RFC 1428 §3: text of a charset that nobody named.
                out.extend_from_slice(b"Content-Type: text/plain; charset=unknown-8bit\r\n");
            }
        }
        out.extend_from_slice(b"Content-Transfer-Encoding: ");
        out.extend_from_slice(self.label.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.start);
        if self.written {
            return;
        }
        // The header ends without a blank line, where its part ends too.
        if self.place == Place::Keep || !self.start.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
        self.complete(out);
    }
}

/// Octets of a field's name that are looked at.
const NAME_MAX: usize = 40;
