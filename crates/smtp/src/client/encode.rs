//! A message on its way out: the lines it goes out in.
//!
//! Invariants:
//! 1. In lines there is never a CR without LF nor a LF without CR, whatever comes in (RFC 5321 §2.3.8): one that stands
//!    alone becomes CR LF. A message could otherwise hold what one server takes for text and the next for the end of the
//!    message and a command (SMTP smuggling). Why it is not refused: `docs/decisions/012-line-ends-outwards.md`.
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
        let mut rest = piece;
        if self.place == Place::Cr && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.end_line(out);
        }
        while !rest.is_empty() {
            if self.place == Place::Start && rest[0] == b'.' && self.form == Form::Dots {
                out.push(b'.');
            }
            let Some(end) = memchr2(b'\r', b'\n', rest) else {
                out.extend_from_slice(rest);
                self.place = Place::Text;
                return;
            };
            out.extend_from_slice(&rest[..end]);
            rest = match &rest[end..] {
                [b'\r', b'\n', more @ ..] | [b'\n', more @ ..] => more,
                [_] => {
                    self.place = Place::Cr;
                    return;
                }
                [_, more @ ..] => more,
                [] => &[],
            };
            self.end_line(out);
        }
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
