//! A message on its way out: the lines it goes out in.
//!
//! Invariants:
//! 1. In lines there is never a CR without LF nor a LF without CR, whatever comes in (RFC 5321 §2.3.8): one that stands
//!    alone becomes CR LF. A message could otherwise hold what one server takes for text and the next for the end of the
//!    message and a command (SMTP smuggling). Why it is not refused: `docs/decisions/015-line-ends-outwards.md`.
//! 2. A last line without CR LF is given one.
//! 3. The result does not depend on how the message was cut.

use memchr::memchr2;

/// How a message goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// DATA: lines, with a dot put before each one that begins with a dot (RFC 5321 §4.5.2).
    Dots,
    /// BDAT: lines.
    Lines,
    /// BDAT: the octets as they are.
    Binary,
}

/// An encoder for one message.
#[derive(Debug)]
pub(super) struct Encoder {
    form: Form,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a line.
    Start,
    /// Inside.
    Text,
    /// Behind a CR, which is held back.
    Cr,
}

impl Encoder {
    pub(super) fn new(form: Form) -> Encoder {
        Encoder { form, place: Place::Start }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Appends to `out` what a piece of the message becomes.
    pub(super) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.form == Form::Binary {
            out.extend_from_slice(piece);
            return;
        }
        let mut at = 0;
        if self.place == Place::Cr && !piece.is_empty() {
            at = usize::from(piece[0] == b'\n');
            self.end_line(out);
        }
        // piece[kept..at] goes out as it is and is not yet copied: whole lines need no look.
        let mut kept = at;
        while at < piece.len() {
            if self.place == Place::Start && piece[at] == b'.' && self.form == Form::Dots {
                out.extend_from_slice(&piece[kept..at]);
                out.push(b'.');
                kept = at;
            }
            self.place = Place::Text;
            let Some(found) = memchr2(b'\r', b'\n', &piece[at..]) else { break };
            let end = at + found;
            if piece[end..].starts_with(b"\r\n") {
                at = end + 2;
                self.place = Place::Start;
                continue;
            }
            out.extend_from_slice(&piece[kept..end]);
            (at, kept) = (end + 1, end + 1);
            match piece[end] == b'\r' && at == piece.len() {
                true => self.place = Place::Cr,
                false => self.end_line(out),
            }
        }
        out.extend_from_slice(&piece[kept..]);
    }

    /// The message is complete. The line of one dot is not written here.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.form != Form::Binary && self.place != Place::Start {
            self.end_line(out);
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.place = Place::Start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cr_or_lf_stands_alone_in_lines() {
        let table: [(&[u8], &[u8]); 12] = [
            (b"", b""),
            (b"a\r\nb\r\n", b"a\r\nb\r\n"),
            (b"a", b"a\r\n"),
            (b"a\r", b"a\r\n"),
            (b"a\n", b"a\r\n"),
            (b".\r\n", b"..\r\n"),
            (b"..\r\n.", b"...\r\n..\r\n"),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n"),
            (b"a\r.\rb", b"a\r\n..\r\nb\r\n"),
            (b"a\r\r\n.\r\n", b"a\r\n\r\n..\r\n"),
            (b"a\n\r.\n\r\n", b"a\r\n\r\n..\r\n\r\n"),
            (b"\r\n.\r\n", b"\r\n..\r\n"),
        ];
        for (message, expected) in table {
            for cut in [1, 2, 3, 100] {
                let mut encoder = Encoder::new(Form::Dots);
                let mut out = Vec::new();
                message.chunks(cut).for_each(|piece| encoder.feed(piece, &mut out));
                encoder.finish(&mut out);
                assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string(), "cut {cut}");
            }
        }
    }
}
