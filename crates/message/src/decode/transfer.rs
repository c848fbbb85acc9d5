//! Content-Transfer-Encoding: the token, and a streaming decoder over all of them.

use super::quoted::QuotedPrintable;
use super::uu::Uuencode;

/// Content-Transfer-Encoding (RFC 2045 §6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encoding {
    /// `7bit`, also when the field is absent.
    #[default]
    SevenBit,
    /// `8bit`
    EightBit,
    /// `binary`
    Binary,
    /// `base64`
    Base64,
    /// `quoted-printable`
    QuotedPrintable,
    /// `x-uuencode` and its other spellings.
    Uuencode,
    /// Something else, as written: its octets cannot be decoded (BINARY: `[UNKNOWN-CTE]`).
    Other(String),
}

/// Octets of an unknown token that are kept.
const TOKEN_MAX: usize = 64;

impl Encoding {
    /// From a field value; white space, comments and quotes around it are ignored.
    pub fn parse(value: &[u8]) -> Encoding {
        let value = value.trim_ascii();
        let token: Vec<u8> = value
            .iter()
            .filter(|&&b| b != b'"')
            .take_while(|&&b| b > b' ' && b != b';' && b != b'(' && b < 127)
            .take(TOKEN_MAX)
            .map(u8::to_ascii_lowercase)
            .collect();
        match token.as_slice() {
            b"" | b"7bit" | b"7-bit" => Encoding::SevenBit,
            b"8bit" | b"8-bit" => Encoding::EightBit,
            b"binary" => Encoding::Binary,
            b"base64" | b"base-64" => Encoding::Base64,
            b"quoted-printable" | b"quotedprintable" => Encoding::QuotedPrintable,
            b"x-uuencode" | b"uuencode" | b"x-uue" | b"uue" => Encoding::Uuencode,
            other => Encoding::Other(String::from_utf8_lossy(other).into_owned()),
        }
    }

    /// The token, upper case for those we know: `7BIT`, `BASE64`.
    pub fn as_str(&self) -> &str {
        match self {
            Encoding::SevenBit => "7BIT",
            Encoding::EightBit => "8BIT",
            Encoding::Binary => "BINARY",
            Encoding::Base64 => "BASE64",
            Encoding::QuotedPrintable => "QUOTED-PRINTABLE",
            Encoding::Uuencode => "X-UUENCODE",
            Encoding::Other(token) => token,
        }
    }

    /// Whether the octets are the content itself.
    pub fn is_identity(&self) -> bool {
        matches!(self, Encoding::SevenBit | Encoding::EightBit | Encoding::Binary)
    }
}

/// A streaming transfer decoder. Lenient: never fails.
#[derive(Debug, Clone)]
pub struct Decoder(State);

#[derive(Debug, Clone)]
enum State {
    Copy,
    Base64(Base64),
    QuotedPrintable(QuotedPrintable),
    Uuencode(Uuencode),
}

impl Decoder {
    /// At the start of a body. An unknown encoding passes the octets as they are.
    pub fn new(encoding: &Encoding) -> Decoder {
        Decoder(match encoding {
            Encoding::SevenBit | Encoding::EightBit | Encoding::Binary | Encoding::Other(_) => State::Copy,
            Encoding::Base64 => State::Base64(Base64::default()),
            Encoding::QuotedPrintable => State::QuotedPrintable(QuotedPrintable::default()),
            Encoding::Uuencode => State::Uuencode(Uuencode::default()),
        })
    }

    /// Decodes the next octets, appending to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            State::Copy => out.extend_from_slice(bytes),
            State::Base64(base64) => base64.feed(bytes, out),
            State::QuotedPrintable(quoted) => quoted.feed(bytes, out),
            State::Uuencode(uu) => uu.feed(bytes, out),
        }
    }

    /// The body ends.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self.0 {
            State::Copy => {}
            State::Base64(base64) => base64.finish(out),
            State::QuotedPrintable(quoted) => quoted.finish(out),
            State::Uuencode(uu) => uu.finish(out),
        }
    }
}

/// A whole body without its transfer encoding. An unknown encoding gives the octets as they are.
pub fn transfer(encoding: &Encoding, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut decoder = Decoder::new(encoding);
    decoder.feed(body, &mut out);
    decoder.finish(&mut out);
    out
}

/// Base64 with anything between (RFC 2045 §6.8: other characters must be ignored), with padding missing or in the middle
/// (several encoded pieces joined).
pub(crate) fn base64_lenient(bytes: &[u8]) -> Vec<u8> {
    transfer(&Encoding::Base64, bytes)
}

#[derive(Debug, Clone, Copy, Default)]
struct Base64 {
    bits: u32,
    /// How many of 4 characters are in `bits`.
    have: u8,
}

/// Marks octets outside the alphabet.
const NO_DIGIT: u8 = 0xff;

const DIGITS: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table
};

impl Base64 {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut at = 0;
        while at < bytes.len() {
            if self.have == 0 {
                at += quanta(&bytes[at..], out);
            }
            let Some(&byte) = bytes.get(at) else { return };
            at += 1;
            match DIGITS[usize::from(byte)] {
                NO_DIGIT if byte == b'=' => self.flush(out),
                NO_DIGIT => {}
                digit => self.push(digit, out),
            }
        }
    }

    fn push(&mut self, digit: u8, out: &mut Vec<u8>) {
        self.bits = (self.bits << 6) | u32::from(digit);
        self.have += 1;
        if self.have == 4 {
            let [_, a, b, c] = self.bits.to_be_bytes();
            out.extend_from_slice(&[a, b, c]);
            *self = Base64::default();
        }
    }

    /// What an incomplete quantum holds.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let bits = self.bits << (6 * (4 - u32::from(self.have)));
        let [_, a, b, _] = bits.to_be_bytes();
        match self.have {
            2 => out.push(a),
            3 => out.extend_from_slice(&[a, b]),
            _ => {}
        }
        *self = Base64::default();
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        self.flush(out);
    }
}

/// Decodes whole quanta without interruption; how many octets they took.
fn quanta(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let mut taken = 0;
    for four in bytes.chunks_exact(4) {
        let digits = [0, 1, 2, 3].map(|i| DIGITS[usize::from(four[i])]);
        if digits.iter().fold(0, |all, d| all | d) & 0x80 != 0 {
            break;
        }
        let bits = digits.iter().fold(0u32, |bits, d| (bits << 6) | u32::from(*d));
        let [_, a, b, c] = bits.to_be_bytes();
        out.extend_from_slice(&[a, b, c]);
        taken += 4;
    }
    taken
}
