//! Commands as they are written: text, strings quoted or as literals, messages.

use crate::NumberSet;

/// A piece of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Written as it is.
    Text(Vec<u8>),
    /// Written as a literal.
    Literal(Vec<u8>),
    /// A message whose octets the caller hands over when they are asked for; a `literal8` (RFC 3516) or not.
    Message {
        /// Its octets.
        size: u64,
        /// `~` before it.
        binary: bool,
    },
}

/// A command without its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub(super) parts: Vec<Part>,
}

impl Line {
    /// A command of these words: `UID FETCH`.
    pub fn new(words: &str) -> Line {
        Line { parts: vec![Part::Text(words.as_bytes().to_vec())] }
    }

    /// A space and words as they are.
    pub fn word(mut self, word: &str) -> Line {
        self.text(b" ");
        self.text(word.as_bytes());
        self
    }

    /// A space and a set of numbers.
    pub fn set(self, set: &NumberSet) -> Line {
        self.word(&set.to_string())
    }

    /// A space and a string: quoted where its octets allow that, else a literal (RFC 9051 §4.3).
    pub fn string(mut self, octets: &[u8]) -> Line {
        self.text(b" ");
        self.add_string(octets);
        self
    }

    /// A space and flags in parentheses; what cannot be a flag is left out.
    pub fn flags<'a>(self, flags: impl IntoIterator<Item = &'a str>) -> Line {
        let fitting: Vec<&str> = flags.into_iter().filter(|flag| is_flag(flag)).collect();
        self.word(&format!("({})", fitting.join(" ")))
    }

    /// A space and a literal of so many octets: a message, which is asked for with [`super::Event::Send`].
    pub fn message(mut self, size: u64) -> Line {
        self.text(b" ");
        self.parts.push(Part::Message { size, binary: false });
        self
    }

    /// The same for a message with NULs, as a `literal8`, for servers that have BINARY (RFC 3516 §4.4).
    pub fn binary_message(mut self, size: u64) -> Line {
        self.text(b" ");
        self.parts.push(Part::Message { size, binary: true });
        self
    }

    /// The same for a message whose header has UTF-8 in it, for servers that have enabled `UTF8=ACCEPT` (RFC 6855 §4).
    pub fn utf8_message(mut self, size: u64) -> Line {
        self.text(b" UTF8 (");
        self.parts.push(Part::Message { size, binary: true });
        self.text(b")");
        self
    }

    fn text(&mut self, octets: &[u8]) {
        if let Some(Part::Text(text)) = self.parts.last_mut() {
            text.extend_from_slice(octets);
        } else {
            self.parts.push(Part::Text(octets.to_vec()));
        }
    }

    fn add_string(&mut self, octets: &[u8]) {
        let plain = |&octet: &u8| matches!(octet, 0x20..0x7f | b'\t');
        if octets.len() > QUOTED_MAX || !octets.iter().all(plain) {
            self.parts.push(Part::Literal(octets.to_vec()));
            return;
        }
        let mut quoted = Vec::with_capacity(octets.len() + 2);
        quote(&mut quoted, octets);
        self.text(&quoted);
    }
}

/// Whether a text can be sent as a flag or keyword: an atom, with a backslash before it for those of the system.
fn is_flag(flag: &str) -> bool {
    let atom = flag.strip_prefix('\\').unwrap_or(flag);
    !atom.is_empty() && atom.bytes().all(|octet| octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet))
}

/// Writes a quoted string.
fn quote(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    for &octet in octets {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out.push(b'"');
}

/// Quotes a string that is UTF-8, where the server reads that (RFC 6855 §3); false for one that has to be a literal.
pub(super) fn quote_utf8(out: &mut Vec<u8>, octets: &[u8]) -> bool {
    let text = std::str::from_utf8(octets).ok().filter(|text| text.len() <= QUOTED_MAX);
    let fits = text.is_some_and(|text| !text.chars().any(char::is_control));
    if fits {
        quote(out, octets);
    }
    fits
}

/// Longer strings are sent as literals: some servers bound their lines.
const QUOTED_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_their_octets_allow() {
        let parts = |octets: &[u8]| Line::new("X").string(octets).parts;
        assert_eq!(parts(b"a \"b\\"), [Part::Text(b"X \"a \\\"b\\\\\"".to_vec())]);
        assert_eq!(parts(b"a\r\nb"), [Part::Text(b"X ".to_vec()), Part::Literal(b"a\r\nb".to_vec())]);
        assert_eq!(parts("ü".as_bytes())[1], Part::Literal("ü".into()));
        assert_eq!(
            Line::new("X").flags(["\\Seen", "a b", "$MDNSent", "", "\\"]).parts,
            [Part::Text(b"X (\\Seen $MDNSent)".to_vec())]
        );
    }

    #[test]
    fn messages_are_announced_as_what_they_are() {
        let message = |binary| Part::Message { size: 3, binary };
        for (line, expected) in [
            (Line::new("X").message(3), vec![Part::Text(b"X ".to_vec()), message(false)]),
            (Line::new("X").binary_message(3), vec![Part::Text(b"X ".to_vec()), message(true)]),
            (
                Line::new("X").utf8_message(3),
                vec![Part::Text(b"X UTF8 (".to_vec()), message(true), Part::Text(b")".to_vec())],
            ),
        ] {
            assert_eq!(line.parts, expected);
        }
    }

    #[test]
    fn utf8_is_quoted_where_it_is_text() {
        for (octets, expected) in [
            ("ü \"\\".as_bytes(), Some("\"ü \\\"\\\\\"")),
            (b"", Some("\"\"")),
            (b"\xfc", None),
            ("ü\r\n".as_bytes(), None),
            ("ü\0".as_bytes(), None),
        ] {
            let mut out = Vec::new();
            let quoted = quote_utf8(&mut out, octets);
            assert_eq!(quoted.then_some(out), expected.map(|text| text.as_bytes().to_vec()), "{octets:?}");
        }
    }
}
