//! Lists of tags: `name=value; name=value`, as signatures and key records have them.
//!
//! Never decodes a value. Standards: RFC 6376 §3.2.
//!
//! ```text
//! tag-list  =  tag-spec *( ";" tag-spec ) [ ";" ]
//! tag-spec  =  [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
//! tag-name  =  ALPHA *ALNUMPUNC
//! ```

use std::ops::Range;

use crate::domain::to_ascii;

/// A list of tags, in the order of the text.
#[derive(Debug)]
pub(crate) struct Tags<'a> {
    text: &'a [u8],
    tags: Vec<Tag<'a>>,
}

#[derive(Debug)]
struct Tag<'a> {
    name: &'a str,
    /// Between `=` and `;`, white space included.
    value: Range<usize>,
}

/// What is done with `;;`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Empty {
    /// The grammar has no empty tag.
    Refuse,
    /// Records in the DNS are written by hand.
    Skip,
}

/// Tags of one list. Signatures have a dozen.
pub(crate) const TAGS: usize = 64;

impl<'a> Tags<'a> {
    /// Reads a list; the error says what is wrong.
    pub(crate) fn parse(text: &'a [u8], empty: Empty) -> Result<Tags<'a>, String> {
        let mut tags: Vec<Tag<'a>> = Vec::with_capacity(12);
        let mut start = 0;
        while start <= text.len() {
            let end = memchr::memchr(b';', &text[start..]).map_or(text.len(), |i| start + i);
            let part = &text[start..end];
            if part.trim_ascii().is_empty() {
                // The last `;` may have nothing behind it.
                if end < text.len() && empty == Empty::Refuse {
                    return Err("an empty tag".to_owned());
                }
            } else {
                let tag = one_tag(part, start)?;
                // RFC 6376 §3.2: tags with duplicate names MUST NOT occur; the entire list is invalid.
                if tags.iter().any(|t| t.name == tag.name) {
                    return Err(format!("{}= is there twice", tag.name));
                }
                if tags.len() >= TAGS {
                    return Err(format!("more than {TAGS} tags"));
                }
                tags.push(tag);
            }
            start = end + 1;
        }
        Ok(Tags { text, tags })
    }

    /// The value without the white space around it.
    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.range(name).map(|range| self.text[range].trim_ascii())
    }

    /// Where the value stands in the text: all between `=` and `;`.
    pub(crate) fn range(&self, name: &str) -> Option<Range<usize>> {
        self.tags.iter().find(|tag| tag.name == name).map(|tag| tag.value.clone())
    }

    /// The name of the first tag.
    pub(crate) fn first(&self) -> Option<&'a str> {
        self.tags.first().map(|tag| tag.name)
    }
}

fn one_tag(part: &[u8], start: usize) -> Result<Tag<'_>, String> {
    let Some(equals) = memchr::memchr(b'=', part) else {
        return Err("a tag without =".to_owned());
    };
    let name = part[..equals].trim_ascii();
    let is_name = name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        return Err("a tag whose name is none".to_owned());
    }
    let name = std::str::from_utf8(name).map_err(|_| "a tag whose name is none".to_owned())?;
    let value = &part[equals + 1..];
    // RFC 6376 §3.2, RFC 8616 §5: printable characters and UTF-8, with folding white space between.
    if value.iter().any(|&b| (b < b' ' && !matches!(b, b'\t' | b'\r' | b'\n')) || b == 127) {
        return Err(format!("a control character in {name}="));
    }
    Ok(Tag { name, value: start + equals + 1..start + part.len() })
}

/// The octets without white space of any kind.
pub(crate) fn without_white_space(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect()
}

/// Base64 with white space anywhere and with or without padding. `None` for anything else, and for nothing.
pub(crate) fn base64(value: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let bytes = LENIENT.decode(without_white_space(value)).ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

/// A domain or a selector as it is asked for: lower case, A-labels (RFC 8616 §5), no final dot. `None` if it can be no host's name.
pub(crate) fn name(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= NAME_BYTES)?;
    let is_hosts = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    to_ascii(text).filter(|name| name.bytes().all(is_hosts))
}

/// Octets of a domain before it is turned into A-labels.
const NAME_BYTES: usize = 1_024;

/// Sender's words for a reason: at most a few, without controls.
pub(crate) fn shown(value: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(value).chars().filter(|c| !c.is_control()).take(40).collect();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_grammar_says() {
        let read = |text: &str, name: &str| -> Result<Option<String>, String> {
            let tags = Tags::parse(text.as_bytes(), Empty::Refuse)?;
            Ok(tags.get(name).map(|v| String::from_utf8_lossy(v).into_owned()))
        };
        let table = [
            ("a=1; b=2", "b", Some("2")),
            (" a = 1 ;\r\n b\t=\r\n 2 3 ;", "b", Some("2 3")),
            ("a=1;b=", "b", Some("")),
            ("a=1;b=x=y", "b", Some("x=y")),
            ("a=1", "A", None),
            ("", "a", None),
        ];
        for (text, name, expected) in table {
            assert_eq!(read(text, name), Ok(expected.map(str::to_owned)), "{text}");
        }
        for text in ["a=1;;b=2", ";a=1", "a", "a=1; b", "=1", "a b=1", "1a=2", "a=1; a=2", "a=\u{0}", "ä=1"] {
            assert!(read(text, "a").is_err(), "{text}");
        }
        assert!(Tags::parse(b"a=1;; b=2;;", Empty::Skip).is_ok());
        let many: String = (0..=TAGS).map(|i| format!("t{i}=x;")).collect();
        assert!(Tags::parse(many.as_bytes(), Empty::Refuse).is_err_and(|why| why.contains("64 tags")));
    }

    #[test]
    fn names_are_asked_for_in_one_form() {
        let table = [
            ("Example.ORG", Some("example.org")),
            ("_x.example", Some("_x.example")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("", None),
            ("a..b", None),
            (".a", None),
            ("a b", None),
            ("a\u{0}b", None),
        ];
        for (text, expected) in table {
            assert_eq!(name(text.as_bytes()).as_deref(), expected, "{text}");
        }
        assert_eq!(name("a.".repeat(200).as_bytes()), None);
    }
}
