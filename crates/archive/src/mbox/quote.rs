//! Lines of a message that begin with `From `, in pieces of any size.

use crate::source::Quoting;

const FROM: &[u8] = b"From ";

/// Puts `>` before `From `, `>From `, `>>From ` at the beginning of lines (mboxrd).
#[derive(Debug)]
pub struct Quote {
    line: Line,
}

/// Takes one such `>` away.
#[derive(Debug)]
pub struct Unquote {
    quoting: Quoting,
    line: Line,
    /// A `>` that is held back, and whether there was more than that one.
    held: bool,
    more: bool,
}

/// Where in a line we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Only `>` so far.
    Start,
    /// After those so many letters of `From `.
    Letters(usize),
    /// It is decided.
    Rest,
}

impl Default for Quote {
    fn default() -> Quote {
        Quote { line: Line::Start }
    }
}

impl Quote {
    /// More bytes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            self.line = match (self.line, *byte) {
                (Line::Start, b'>') => {
                    out.push(b'>');
                    Line::Start
                }
                (Line::Start, b'F') => Line::Letters(1),
                (Line::Letters(n), letter) if letter == FROM[n] && n + 1 == FROM.len() => {
                    out.extend_from_slice(b">From ");
                    Line::Rest
                }
                (Line::Letters(n), letter) if letter == FROM[n] => Line::Letters(n + 1),
                (before, other) => {
                    if let Line::Letters(n) = before {
                        out.extend_from_slice(&FROM[..n]);
                    }
                    out.push(other);
                    if other == b'\n' { Line::Start } else { Line::Rest }
                }
            };
        }
    }

    /// The end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Line::Letters(n) = self.line {
            out.extend_from_slice(&FROM[..n]);
        }
        self.line = Line::Start;
    }
}

impl Unquote {
    /// For a file of this kind.
    pub fn new(quoting: Quoting) -> Unquote {
        Unquote { quoting, line: Line::Start, held: false, more: false }
    }

    /// More bytes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.quoting == Quoting::None {
            out.extend_from_slice(bytes);
            return;
        }
        for byte in bytes {
            self.line = match (self.line, *byte) {
                (Line::Start, b'>') => {
                    if self.held {
                        out.push(b'>');
                        self.more = true;
                    }
                    self.held = true;
                    Line::Start
                }
                (Line::Start, b'F') => Line::Letters(1),
                (Line::Letters(n), letter) if letter == FROM[n] && n + 1 == FROM.len() => {
                    if self.more && self.quoting == Quoting::O {
                        out.push(b'>');
                    }
                    out.extend_from_slice(FROM);
                    (self.held, self.more) = (false, false);
                    Line::Rest
                }
                (Line::Letters(n), letter) if letter == FROM[n] => Line::Letters(n + 1),
                (before, other) => {
                    self.undecided(before, out);
                    out.push(other);
                    if other == b'\n' { Line::Start } else { Line::Rest }
                }
            };
        }
    }

    /// The end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.undecided(self.line, out);
        self.line = Line::Start;
    }

    fn undecided(&mut self, line: Line, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.held) {
            out.push(b'>');
        }
        self.more = false;
        if let Line::Letters(n) = line {
            out.extend_from_slice(&FROM[..n]);
        }
    }
}

/// All at once.
pub(crate) fn unquoted(bytes: &[u8], quoting: Quoting) -> Vec<u8> {
    let (mut unquote, mut out) = (Unquote::new(quoting), Vec::with_capacity(bytes.len()));
    unquote.feed(bytes, &mut out);
    unquote.finish(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(bytes: &[u8]) -> Vec<u8> {
        let (mut quote, mut out) = (Quote::default(), Vec::new());
        quote.feed(bytes, &mut out);
        quote.finish(&mut out);
        out
    }

    #[test]
    fn lines_are_quoted_and_back() {
        for (plain, expected) in [
            ("From x\n>From y\nFrom\n From z", ">From x\n>>From y\nFrom\n From z"),
            (">>>", ">>>"),
            ("a\r\nFrom b\r\n", "a\r\n>From b\r\n"),
            ("Fro\nFrom", "Fro\nFrom"),
            (">Fx\nFrom ", ">Fx\n>From "),
        ] {
            assert_eq!(quoted(plain.as_bytes()), expected.as_bytes());
            assert_eq!(unquoted(expected.as_bytes(), Quoting::Rd), plain.as_bytes());
            let (mut slow, mut out) = (Unquote::new(Quoting::Rd), Vec::new());
            expected.as_bytes().chunks(1).for_each(|piece| slow.feed(piece, &mut out));
            slow.finish(&mut out);
            assert_eq!(out, plain.as_bytes(), "in pieces");
        }
        assert_eq!(unquoted(b">From a\n>>From b\n", Quoting::O), b"From a\n>>From b\n");
        assert_eq!(unquoted(b">From a\n", Quoting::None), b">From a\n");
    }
}
