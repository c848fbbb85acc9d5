//! Content-Type and Content-Disposition values; RFC 2231 parameters. Lenient: missing quotes, semicolons, spaces in values.

use super::{loose_text, text, unfold};
use crate::Param;

/// Parameters of one field that are looked at.
const PARAMS_MAX: usize = 64;
/// Octets of one parameter value that are kept.
const VALUE_MAX: usize = 4096;
/// Octets of a type, subtype or parameter name.
const TOKEN_MAX: usize = 127;

/// A Content-Type value: media type and subtype in lower case, parameters as sent. `None` if it is not understandable, which
/// means `text/plain` (RFC 2045 §5.2).
pub fn content_type(value: &[u8]) -> Option<(String, String, Vec<Param>)> {
    let value = unfold(value);
    let mut reader = Reader { bytes: &value, at: 0 };
    let kind = reader.token()?;
    let subtype = if reader.skip(b'/') { reader.token() } else { None };
    let subtype = match (subtype, kind.as_str()) {
        (Some(subtype), _) => subtype,
        // RFC 1049 and sendmail: a lone type.
        (None, "text") => "plain".to_owned(),
        (None, "multipart") => "mixed".to_owned(),
        (None, _) => return None,
    };
    Some((kind, subtype, reader.params()))
}

/// A Content-Disposition value: kind in lower case, parameters as sent (RFC 2183). `None` if there is no kind.
pub fn content_disposition(value: &[u8]) -> Option<(String, Vec<Param>)> {
    let value = unfold(value);
    let mut reader = Reader { bytes: &value, at: 0 };
    let kind = reader.token()?;
    Some((kind, reader.params()))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// White space and comments.
    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'(' => self.skip_comment(),
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self) {
        let mut depth = 0usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        self.at = self.at.min(self.bytes.len());
    }

    fn skip(&mut self, wanted: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// RFC 2045 §5.1 token, in lower case. `None` if there is none here.
    fn token(&mut self) -> Option<String> {
        self.skip_space();
        let rest = self.bytes.get(self.at..)?;
        let length = rest.iter().take_while(|&&b| is_token(b)).count();
        let token = &rest[..length.min(TOKEN_MAX)];
        self.at += length;
        (length > 0).then(|| String::from_utf8_lossy(token).to_ascii_lowercase())
    }

    fn params(&mut self) -> Vec<Param> {
        let mut params = Vec::new();
        while self.at < self.bytes.len() && params.len() < PARAMS_MAX {
            if self.skip(b';') {
                continue;
            }
            let Some(name) = self.token() else {
                self.at += 1;
                continue;
            };
            if self.skip(b'=') {
                params.push(Param { name, value: self.value() });
            }
        }
        params
    }

    fn value(&mut self) -> String {
        self.skip_space();
        let bytes = if self.peek() == Some(b'"') { self.quoted() } else { self.bare() };
        let mut value = text(&bytes[..bytes.len().min(VALUE_MAX)]);
        value.truncate(value.trim_end().len());
        value
    }

    fn quoted(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut out = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    // `C:\dir\file` in quotes, unescaped, is common; only what needs the backslash is unescaped.
                    match self.peek() {
                        Some(next @ (b'"' | b'\\')) => {
                            out.push(next);
                            self.at += 1;
                        }
                        _ => out.push(byte),
                    }
                }
                _ => out.push(byte),
            }
        }
        out
    }

    /// An unquoted value: to the next semicolon, so that `name=my file.pdf` and `boundary=a/b=c` are read as they were meant.
    fn bare(&mut self) -> Vec<u8> {
        let rest = &self.bytes[self.at..];
        let length = memchr::memchr(b';', rest).unwrap_or(rest.len());
        self.at += length;
        let value = &rest[..length];
        // A comment after the value is not the value: `us-ascii (Plain text)` (RFC 2045 §5.1).
        let comment = value.windows(2).position(|w| matches!(w, [b' ' | b'\t', b'(']));
        value[..comment.unwrap_or(length)].trim_ascii_end().to_vec()
    }
}

fn is_token(byte: u8) -> bool {
    byte > b' ' && byte != 127 && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

/// The decoded value of a parameter (RFC 2231 continuations and charsets, RFC 2047 words, raw 8-bit); name in any case.
pub fn param(params: &[Param], name: &str) -> Option<String> {
    extended(params, name).or_else(|| {
        let plain = params.iter().find(|p| p.name.eq_ignore_ascii_case(name))?;
        // RFC 2047 §5 forbids encoded words here; Outlook, Gmail and others write them, so they are read.
        Some(super::decode(plain.value.as_bytes()))
    })
}

/// RFC 2231 §3 and §4: `name*`, `name*0`, `name*0*`, ..
fn extended(params: &[Param], name: &str) -> Option<String> {
    let mut pieces: Vec<(u32, bool, &str)> =
        params.iter().filter_map(|p| piece(&p.name, name).map(|(n, coded)| (n, coded, p.value.as_str()))).collect();
    pieces.sort_by_key(|p| p.0);
    let &(mut next, first_coded, first) = pieces.first()?;
    let (label, first) = if first_coded { split_charset(first) } else { (None, first) };
    let mut bytes = Vec::new();
    for (at, &(number, coded, value)) in pieces.iter().enumerate() {
        if number != next {
            break;
        }
        next = next.saturating_add(1);
        let value = if at == 0 { first } else { value };
        if coded { percent_decode(value.as_bytes(), &mut bytes) } else { bytes.extend_from_slice(value.as_bytes()) }
    }
    Some(match label {
        Some(label) => crate::decode::charset(Some(label), &bytes),
        None => loose_text(&bytes),
    })
}

/// `name*3*` is piece 3, percent-coded. `name*` is piece 0, percent-coded.
fn piece(full: &str, name: &str) -> Option<(u32, bool)> {
    let head = full.get(..name.len())?;
    let tail = full.get(name.len()..)?.strip_prefix('*')?;
    if !head.eq_ignore_ascii_case(name) {
        return None;
    }
    if tail.is_empty() {
        return Some((0, true));
    }
    match tail.strip_suffix('*') {
        Some(number) => Some((number.parse().ok()?, true)),
        None => Some((tail.parse().ok()?, false)),
    }
}

fn split_charset(value: &str) -> (Option<&str>, &str) {
    let mut pieces = value.splitn(3, '\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(label), Some(_language), Some(text)) => (Some(label).filter(|l| !l.is_empty()), text),
        _ => (None, value),
    }
}

fn percent_decode(value: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < value.len() {
        let pair = value.get(at + 1..at + 3).filter(|_| value[at] == b'%');
        match pair.and_then(|h| hex_pair(h[0], h[1])) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(value[at]);
                at += 1;
            }
        }
    }
}

pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    Some((hex_digit(high)? << 4) | hex_digit(low)?)
}

pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
