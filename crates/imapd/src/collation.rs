//! How texts are compared: the comparators of SEARCH, SORT and THREAD (RFC 5255 §4, RFC 4790, RFC 5051).
//!
//! Each comparator turns a text into a key; texts are equal, in order, or within each other as their keys'
//! octets are. So a key that was made once serves all three.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// A comparator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Collation {
    /// `i;unicode-casemap` (RFC 5051): the default, as RFC 5255 §4.3 demands.
    #[default]
    UnicodeCasemap,
    /// `i;ascii-casemap` (RFC 4790 §9.2).
    AsciiCasemap,
    /// `i;octet` (RFC 4790 §9.3).
    Octet,
}

impl Collation {
    /// All there are, the dearest first. `i;ascii-numeric` is not among them: it knows no substrings, which
    /// SEARCH needs (RFC 5255 §4.6).
    pub(crate) const ALL: [Collation; 3] = [Collation::UnicodeCasemap, Collation::AsciiCasemap, Collation::Octet];

    /// Its name in the registry.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Collation::UnicodeCasemap => "i;unicode-casemap",
            Collation::AsciiCasemap => "i;ascii-casemap",
            Collation::Octet => "i;octet",
        }
    }

    /// The text as it is compared.
    pub(crate) fn key(self, text: &str) -> Cow<'_, str> {
        match self {
            Collation::Octet => Cow::Borrowed(text),
            Collation::UnicodeCasemap if !text.is_ascii() => Cow::Owned(casemap(text)),
            Collation::UnicodeCasemap | Collation::AsciiCasemap => match text.bytes().any(|b| b.is_ascii_lowercase()) {
                true => Cow::Owned(text.to_ascii_uppercase()),
                false => Cow::Borrowed(text),
            },
        }
    }
}

/// RFC 5051 §2: each character to title case (by its simple mapping), then decomposed wholly. The marks keep
/// the order that the decomposition gives each character, as the RFC has it; a normalised text and one that
/// is not differ only where marks stand in an order of their own.
fn casemap(text: &str) -> String {
    let mut key = String::with_capacity(text.len() + text.len() / 2);
    for character in text.chars() {
        if character.is_ascii() {
            key.push(character.to_ascii_uppercase());
        } else {
            key.extend(std::iter::once(title(character)).nfkd());
        }
    }
    key
}

/// The simple title case of a character (UnicodeData.txt, field 14), where it has one.
fn title(character: char) -> char {
    match character {
        // Letters whose title case is neither of their cases.
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian has capitals, but no titles.
        '\u{10d0}'..='\u{10ff}' => character,
        // Greek with an iota below: the title case is one character, the capitals are two.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => above(character, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => above(character, 9),
        _ => {
            let mut capitals = character.to_uppercase();
            match (capitals.next(), capitals.next()) {
                (Some(one), None) => one,
                // `ß` and its like have a capital only in words, not by themselves.
                (_, _) => character,
            }
        }
    }
}

fn above(character: char, by: u32) -> char {
    char::from_u32(u32::from(character) + by).unwrap_or(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_registry() {
        use Collation::{AsciiCasemap, Octet, UnicodeCasemap};
        for (collation, text, key) in [
            (UnicodeCasemap, "Hello, world", "HELLO, WORLD"),
            (UnicodeCasemap, "grün", "GRU\u{308}N"),
            (UnicodeCasemap, "gru\u{308}N", "GRU\u{308}N"),
            (UnicodeCasemap, "straße", "STRAßE"),
            (UnicodeCasemap, "οδος ΟΔΟΣ", "ΟΔΟΣ ΟΔΟΣ"),
            (UnicodeCasemap, "Ａ①㎏", "A1kg"),
            (UnicodeCasemap, "\u{1c6}", "Dz\u{30c}"),
            (UnicodeCasemap, "ᾳ", "\u{391}\u{345}"),
            (UnicodeCasemap, "ᾀ", "\u{391}\u{313}\u{345}"),
            (UnicodeCasemap, "ქართ", "ქართ"),
            (UnicodeCasemap, "日本", "日本"),
            (AsciiCasemap, "Grün", "GRüN"),
            (Octet, "Grün", "Grün"),
        ] {
            assert_eq!(collation.key(text), key, "{} of {text}", collation.name());
        }
    }
}
