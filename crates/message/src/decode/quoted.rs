//! Quoted-printable (RFC 2045 §6.7), as a stream. Wrong escapes stay as they are; white space before a line end is dropped
//! (rule 3: transports add it).

use crate::header::{hex_digit, hex_pair};

/// White space kept back while it may turn out to be at the end of a line. More than that is text.
const SPACE_MAX: usize = 1024;

#[derive(Debug, Clone, Default)]
pub(super) struct QuotedPrintable {
    state: State,
    /// White space and a CR that may stand before a line end.
    space: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Text,
    /// After `=`.
    Escape,
    /// After `=` and a hexadecimal digit.
    Digit(u8),
    /// After `=` and white space: a soft line break, if a line end follows.
    Soft,
}

impl QuotedPrintable {
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            match self.state {
                State::Text => self.text(byte, out),
                State::Escape => self.escape(byte, out),
                State::Digit(first) => {
                    self.state = State::Text;
                    match hex_pair(first, byte) {
                        Some(decoded) => out.push(decoded),
                        None => {
                            out.extend_from_slice(&[b'=', first]);
                            self.text(byte, out);
                        }
                    }
                }
                State::Soft => self.soft(byte, out),
            }
        }
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'\n' => {
                let crlf = self.space.last() == Some(&b'\r');
                self.space.clear();
                out.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
            }
            b' ' | b'\t' | b'\r' => {
                if self.space.len() >= SPACE_MAX {
                    out.append(&mut self.space);
                }
                self.space.push(byte);
            }
            _ => {
                if !self.space.is_empty() {
                    out.append(&mut self.space);
                }
                if byte == b'=' {
                    self.state = State::Escape;
                } else {
                    out.push(byte);
                }
            }
        }
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'\n' => self.state = State::Text,
            b' ' | b'\t' | b'\r' => {
                self.space.push(byte);
                self.state = State::Soft;
            }
            _ if hex_digit(byte).is_some() => self.state = State::Digit(byte),
            _ => {
                self.state = State::Text;
                out.push(b'=');
                self.text(byte, out);
            }
        }
    }

    fn soft(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'\n' => {
                self.space.clear();
                self.state = State::Text;
            }
            b' ' | b'\t' | b'\r' if self.space.len() < SPACE_MAX => self.space.push(byte),
            _ => {
                self.state = State::Text;
                out.push(b'=');
                out.append(&mut self.space);
                self.text(byte, out);
            }
        }
    }

    pub(super) fn finish(self, out: &mut Vec<u8>) {
        match self.state {
            // RFC 2045 §6.7: an equal sign at the very end is a soft line break without its line.
            State::Text | State::Escape | State::Soft => {}
            State::Digit(first) => out.extend_from_slice(&[b'=', first]),
        }
    }
}
