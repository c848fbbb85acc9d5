//! Commands as they are written: text, strings quoted or as literals, messages.

use crate::{NumberSet, decode_utf7, to_utf7};

/// A piece of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Written as it is.
    Text(Vec<u8>),
    /// Written as a literal.
    Literal(Vec<u8>),
    /// A message whose octets the caller hands over when they are asked for.
    Message(u64),
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
        self.parts.push(Part::Message(size));
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
        self.text(b"\"");
        for &octet in octets {
            if matches!(octet, b'"' | b'\\') {
                self.text(b"\\");
            }
            self.text(&[octet]);
        }
        self.text(b"\"");
    }
}

/// Whether a text can be sent as a flag or keyword: an atom, with a backslash before it for those of the system.
fn is_flag(flag: &str) -> bool {
    let atom = flag.strip_prefix('\\').unwrap_or(flag);
    !atom.is_empty() && atom.bytes().all(|octet| octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet))
}

/// The name of a mailbox as people read it: modified UTF-7 (RFC 3501 §5.1.3), or UTF-8 from servers that write it raw; what is
/// neither is kept as it can be read.
pub fn text_of(wire: &[u8]) -> String {
    if wire.is_ascii()
        && let Ok(text) = decode_utf7(wire)
    {
        return text;
    }
    String::from_utf8_lossy(wire).into_owned()
}

/// The name of a mailbox as it is sent: modified UTF-7.
pub fn wire_of(name: &str) -> Vec<u8> {
    to_utf7(name).into_bytes()
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
    fn names_are_read_leniently() {
        for (wire, text) in [
            (&b"Entw&APw-rfe"[..], "Entwürfe"),
            ("Entwürfe".as_bytes(), "Entwürfe"),
            (b"R&-D", "R&D"),
            (b"R&D", "R&D"),
            (b"\xff", "\u{fffd}"),
        ] {
            assert_eq!(text_of(wire), text);
        }
        assert_eq!(wire_of("R&D/ü"), b"R&-D/&APw-");
    }
}
