//! RFC 2047 encoded words to text. Lenient: words inside words, spaces inside words, broken padding, unknown charsets.

use super::{loose_text, unfold};
use crate::decode::{base64_lenient, charset};

/// The longest charset name looked at.
const CHARSET_MAX: usize = 64;

/// One encoded word found in text.
struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
    length: usize,
}

/// A header value as text: unfolded, RFC 2047 words decoded, raw 8-bit understood. Control characters become spaces.
pub fn decode(value: &[u8]) -> String {
    let value = unfold(value);
    if value.iter().all(|byte| matches!(byte, b' '..=b'~')) && !value.windows(2).any(|two| two == b"=?") {
        return loose_text(&value);
    }
    let mut out = Text::default();
    let mut rest: &[u8] = &value;
    while let Some(at) = memchr::memmem::find(rest, b"=?") {
        out.plain(&rest[..at]);
        rest = &rest[at..];
        match word(rest) {
            Ok(word) => {
                rest = &rest[word.length..];
                out.word(word);
            }
            Err(literal) => {
                out.plain(&rest[..literal]);
                rest = &rest[literal..];
            }
        }
    }
    out.plain(rest);
    out.finish()
}

/// Reads `"=?" charset "?" encoding "?" encoded-text "?="` (RFC 2047 §2). `Err` says how many octets are ordinary text; the
/// search goes on after them, so that all attempts together are linear.
fn word(bytes: &[u8]) -> Result<Word<'_>, usize> {
    let inner = &bytes[2..];
    let window = &inner[..inner.len().min(CHARSET_MAX + 1)];
    let charset_end = memchr::memchr(b'?', window).ok_or(2usize)?;
    let charset = &inner[..charset_end];
    let is_token = !charset.is_empty() && charset.iter().all(|&b| b > b' ' && b < 127 && b != b'=');
    let Some([encoding, b'?']) = inner.get(charset_end + 1..charset_end + 3) else {
        return Err(2);
    };
    if !is_token {
        return Err(2);
    }
    let start = charset_end + 3;
    let text = encoded_text(&inner[start..]).map_err(|skip| 2 + start + skip)?;
    let bytes = match encoding {
        b'B' | b'b' => base64_lenient(text),
        b'Q' | b'q' => q_decode(text),
        _ => return Err(2),
    };
    // RFC 2231 §5: a language may follow the charset.
    let charset = charset.split(|&b| b == b'*').next().unwrap_or_default();
    Ok(Word { charset, bytes, length: 2 + start + text.len() + 2 })
}

/// Up to `?=`. A `=?` first means that this word never ended and another begins; `Err` gives its place.
fn encoded_text(bytes: &[u8]) -> Result<&[u8], usize> {
    let mut from = 0;
    while let Some(found) = memchr::memchr(b'?', &bytes[from..]) {
        let at = from + found;
        if bytes.get(at + 1) == Some(&b'=') {
            return Ok(&bytes[..at]);
        }
        if at > 0 && bytes[at - 1] == b'=' {
            return Err(at - 1);
        }
        from = at + 1;
    }
    Err(bytes.len())
}

/// RFC 2047 §4.2.
fn q_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'_' => out.push(b' '),
            b'=' => match text.get(at + 1..at + 3).and_then(|h| super::params::hex_pair(h[0], h[1])) {
                Some(byte) => {
                    out.push(byte);
                    at += 2;
                }
                None => out.push(b'='),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    out
}

/// Text put together from words and what is between them.
#[derive(Default)]
struct Text {
    out: String,
    /// Octets of adjacent words of one charset: a character may be split between words (against RFC 2047 §5, and common).
    pending: Vec<u8>,
    pending_charset: Vec<u8>,
    in_words: bool,
    /// White space after a word: dropped if another word follows (RFC 2047 §6.2).
    gap: Vec<u8>,
}

impl Text {
    fn plain(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.in_words && self.gap.is_empty() && bytes.iter().all(|b| b" \t\r\n".contains(b)) {
            self.gap.extend_from_slice(bytes);
            return;
        }
        self.flush();
        self.in_words = false;
        let gap = std::mem::take(&mut self.gap);
        self.out.push_str(&loose_text(&gap));
        self.out.push_str(&loose_text(bytes));
    }

    fn word(&mut self, word: Word<'_>) {
        self.gap.clear();
        if !word.charset.eq_ignore_ascii_case(&self.pending_charset) {
            self.flush();
            self.pending_charset = word.charset.to_vec();
        }
        self.pending.extend_from_slice(&word.bytes);
        self.in_words = true;
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let label = String::from_utf8_lossy(&self.pending_charset);
            self.out.push_str(&charset(Some(&label), &self.pending));
            self.pending.clear();
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        self.out.push_str(&loose_text(&self.gap));
        if self.out.contains(|c: char| c.is_control()) {
            return self.out.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        }
        self.out
    }
}
