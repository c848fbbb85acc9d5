//! The forms in which header fields and bodies are hashed.
//!
//! A line ends with CRLF or with a bare LF, which counts as CRLF: that is what stands in files, and what a host that sends such
//! lines signed. A bare CR is an octet like any other. Standards: RFC 6376 §3.4.

use crate::body::Canonicalization;

/// Appends a whole header field (name, colon, value, folds, with or without its last line end) in canonical form, with CRLF.
pub(crate) fn field(out: &mut Vec<u8>, raw: &[u8], canonicalization: Canonicalization) {
    match canonicalization {
        Canonicalization::Simple => simple_field(out, raw),
        Canonicalization::Relaxed => relaxed_field(out, raw),
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 6376 §3.4.1: as it is.
fn simple_field(out: &mut Vec<u8>, raw: &[u8]) {
    let mut rest = without_line_end(raw);
    while let Some(at) = memchr::memchr(b'\n', rest) {
        out.extend_from_slice(without_line_end(&rest[..=at]));
        out.extend_from_slice(b"\r\n");
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// RFC 6376 §3.4.2: lower-case name, no folds, runs of white space become one space, none at the ends and around the colon.
fn relaxed_field(out: &mut Vec<u8>, raw: &[u8]) {
    let raw = without_line_end(raw);
    let colon = memchr::memchr(b':', raw).unwrap_or(raw.len());
    out.extend(trimmed_end(&raw[..colon]).iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let value_start = out.len();
    let mut rest = raw.get(colon + 1..).unwrap_or_default();
    while !rest.is_empty() {
        let end = memchr::memchr3(b' ', b'\t', b'\n', rest).unwrap_or(rest.len());
        let at_fold = rest.get(end) == Some(&b'\n');
        let word = if at_fold { rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]) } else { &rest[..end] };
        out.extend_from_slice(word);
        let white = match rest.get(end) {
            Some(b' ' | b'\t') => true,
            Some(_) | None => false,
        };
        if white && out.len() > value_start && out.last() != Some(&b' ') {
            out.push(b' ');
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    if out.len() > value_start && out.last() == Some(&b' ') {
        out.pop();
    }
}

/// Whether a line without its end stands in relaxed form already, and is not empty.
fn is_relaxed(line: &[u8]) -> bool {
    let is_single = |at: usize| line[at] == b' ' && !matches!(line.get(at + 1), None | Some(b' ' | b'\t'));
    !line.is_empty() && memchr::memchr2_iter(b' ', b'\t', line).all(is_single)
}

fn trimmed_end(mut bytes: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = bytes.split_last() {
        bytes = rest;
    }
    bytes
}

fn without_line_end(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    raw.strip_suffix(b"\r").unwrap_or(raw)
}

/// Takes what is ready, in pieces that are worth a call.
pub(crate) trait Sink {
    fn take(&mut self, canonical: &[u8]);
}

/// A body on its way into canonical form, in pieces of any size. Memory does not grow with the body.
#[derive(Debug)]
pub(crate) struct Body<S> {
    canonicalization: Canonicalization,
    sink: S,
    out: Vec<u8>,
    /// Line ends that count only if something follows: empty lines at the end of the body do not.
    line_ends: u64,
    /// A CR at the end of the last piece.
    held_cr: bool,
    /// White space that counts only if the line goes on (relaxed).
    white: bool,
    /// Something other than line ends has come.
    text: bool,
    /// The last octet was a line feed, or nothing has come.
    at_line_start: bool,
}

/// Octets gathered for the sink.
const READY: usize = 16 << 10;
/// Octets that go to the sink as they are.
const WHOLE: usize = 2 << 10;

impl<S: Sink> Body<S> {
    pub(crate) fn new(canonicalization: Canonicalization, sink: S) -> Body<S> {
        let out = Vec::with_capacity(READY);
        Body {
            canonicalization,
            sink,
            out,
            line_ends: 0,
            held_cr: false,
            white: false,
            text: false,
            at_line_start: true,
        }
    }

    pub(crate) fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// The next octets.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        loop {
            if self.at_line_start {
                let run = self.canonical_lines(bytes);
                if run > 0 {
                    // Their last line end counts only if something follows, as any other.
                    self.push(&bytes[..run - 2]);
                    self.line_ends = 1;
                    bytes = &bytes[run..];
                }
            }
            let Some(at) = memchr::memchr(b'\n', bytes) else {
                break;
            };
            let line = &bytes[..at];
            bytes = &bytes[at + 1..];
            if line.is_empty() {
                // The CR of this line end may have come with the last piece.
                self.held_cr = false;
            } else {
                self.release_cr();
                self.text(line.strip_suffix(b"\r").unwrap_or(line));
            }
            self.white = false;
            self.line_ends += 1;
            self.at_line_start = true;
        }
        if !bytes.is_empty() {
            self.at_line_start = false;
            self.release_cr();
            let text = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            self.held_cr = text.len() < bytes.len();
            self.text(text);
        }
    }

    /// Octets of the lines at the start that are in canonical form already and not empty, their line ends included: most of most
    /// bodies, which need not be copied.
    fn canonical_lines(&self, bytes: &[u8]) -> usize {
        let mut run = 0;
        while let Some(at) = memchr::memchr(b'\n', &bytes[run..]) {
            let Some((b'\r', line)) = bytes[run..run + at].split_last() else {
                break;
            };
            let is_canonical = match self.canonicalization {
                Canonicalization::Simple => !line.is_empty(),
                Canonicalization::Relaxed => is_relaxed(line),
            };
            if !is_canonical {
                break;
            }
            run += at + 1;
        }
        run
    }

    /// The end of the body.
    pub(crate) fn finish(mut self) -> S {
        self.release_cr();
        match self.canonicalization {
            // RFC 6376 §3.4.3: a body that is empty or has only empty lines is one line end.
            Canonicalization::Simple => self.emit(b"\r\n"),
            // RFC 6376 §3.4.4: a body that is empty stays so; all others end with one line end.
            Canonicalization::Relaxed if self.text => self.emit(b"\r\n"),
            Canonicalization::Relaxed => {}
        }
        self.sink.take(&self.out);
        self.sink
    }

    fn release_cr(&mut self) {
        if std::mem::take(&mut self.held_cr) {
            self.text(b"\r");
        }
    }

    fn text(&mut self, line: &[u8]) {
        match self.canonicalization {
            Canonicalization::Simple => self.push(line),
            Canonicalization::Relaxed => self.relaxed(line),
        }
    }

    fn relaxed(&mut self, line: &[u8]) {
        let mut start = 0;
        for at in memchr::memchr2_iter(b' ', b'\t', line) {
            // A single space between words stays where it is.
            let stays =
                line[at] == b' ' && at > start && line.get(at + 1).is_some_and(|next| !matches!(next, b' ' | b'\t'));
            if !stays {
                self.push(&line[start..at]);
                self.white = true;
                start = at + 1;
            }
        }
        self.push(&line[start..]);
    }

    /// Octets that count, after what was waiting for them.
    fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        for _ in 0..std::mem::take(&mut self.line_ends) {
            self.emit(b"\r\n");
        }
        if std::mem::take(&mut self.white) {
            self.emit(b" ");
        }
        self.emit(bytes);
        self.text = true;
    }

    fn emit(&mut self, bytes: &[u8]) {
        if self.out.len() + bytes.len() > READY {
            self.sink.take(&self.out);
            self.out.clear();
        }
        if bytes.len() >= WHOLE {
            self.sink.take(&self.out);
            self.out.clear();
            self.sink.take(bytes);
        } else {
            self.out.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sink for Vec<u8> {
        fn take(&mut self, canonical: &[u8]) {
            self.extend_from_slice(canonical);
        }
    }

    fn body(text: &str, canonicalization: Canonicalization, piece: usize) -> String {
        let mut body = Body::new(canonicalization, Vec::new());
        text.as_bytes().chunks(piece).for_each(|piece| body.feed(piece));
        String::from_utf8(body.finish()).expect("ASCII")
    }

    #[test]
    fn bodies_of_all_kinds() {
        // text, simple, relaxed
        let table = [
            ("", "\r\n", ""),
            ("\r\n", "\r\n", ""),
            ("\r\n\r\n\r\n", "\r\n", ""),
            (" \r\n", " \r\n", ""),
            (" ", " \r\n", ""),
            (" \r\n \t\r\n\r\n", " \r\n \t\r\n", ""),
            ("a", "a\r\n", "a\r\n"),
            ("a\r\n\r\n", "a\r\n", "a\r\n"),
            ("a\n\nb\n\n", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"),
            ("\r\na", "\r\na\r\n", "\r\na\r\n"),
            (" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"),
            ("\ta\t\r\nb c  d", "\ta\t\r\nb c  d\r\n", " a\r\nb c d\r\n"),
            ("a\rb\r", "a\rb\r\r\n", "a\rb\r\r\n"),
            ("a\r\r\nb", "a\r\r\nb\r\n", "a\r\r\nb\r\n"),
            ("a \r", "a \r\r\n", "a \r\r\n"),
            ("\r", "\r\r\n", "\r\r\n"),
        ];
        for (text, simple, relaxed) in table {
            for piece in 1..=text.len().max(1) {
                assert_eq!(body(text, Canonicalization::Simple, piece), simple, "{text:?} by {piece}");
                assert_eq!(body(text, Canonicalization::Relaxed, piece), relaxed, "{text:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_body_of_line_ends_is_never_gathered() {
        struct Longest(usize);
        impl Sink for Longest {
            fn take(&mut self, canonical: &[u8]) {
                self.0 = self.0.max(canonical.len());
            }
        }
        let mut body = Body::new(Canonicalization::Relaxed, Longest(0));
        body.feed(&vec![b'\n'; 1 << 20]);
        body.feed(b"a");
        assert!(body.finish().0 <= READY);
        // What is in canonical form comes in the pieces in which it was fed.
        let mut body = Body::new(Canonicalization::Relaxed, Longest(0));
        body.feed(&b"some text\r\n".repeat(1_000));
        assert_eq!(body.finish().0, 11_000 - 2);
    }

    #[test]
    fn fields_of_all_kinds() {
        // text, simple, relaxed
        let table = [
            ("A: X\r\n", "A: X\r\n", "a:X\r\n"),
            ("B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"),
            ("B:\n Y\n  Z\n", "B:\r\n Y\r\n  Z\r\n", "b:Y Z\r\n"),
            ("Empty:\r\n", "Empty:\r\n", "empty:\r\n"),
            ("Empty: \r\n \r\n", "Empty: \r\n \r\n", "empty:\r\n"),
            ("c:d", "c:d\r\n", "c:d\r\n"),
            ("c: d\re\r\n", "c: d\re\r\n", "c:d\re\r\n"),
        ];
        for (text, simple, relaxed) in table {
            for (canonicalization, expected) in
                [(Canonicalization::Simple, simple), (Canonicalization::Relaxed, relaxed)]
            {
                let mut out = Vec::new();
                field(&mut out, text.as_bytes(), canonicalization);
                assert_eq!(String::from_utf8_lossy(&out), expected, "{text:?}");
            }
        }
    }
}
