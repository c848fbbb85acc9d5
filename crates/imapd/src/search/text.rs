//! Comparing text without case.
//!
//! RFC 9051 §6.4.4: keys match a substring, ignoring case. Both sides are folded: compatibility
//! composition (NFKC), then lower case, much as the collation i;unicode-casemap (RFC 5051) has it.

use unicode_normalization::UnicodeNormalization;

/// A text to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needle(String);

impl Needle {
    pub(super) fn new(text: &str) -> Needle {
        Needle(fold(text))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Octets of the folded text.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is in a text.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.is_empty() || self.is_in_folded(&fold(text))
    }

    /// Whether it is in a text that is folded already.
    pub(super) fn is_in_folded(&self, folded: &str) -> bool {
        folded.contains(&self.0)
    }
}

/// The form that is compared.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // A final sigma is a sigma.
    text.nfkc().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_matches_without_case() {
        for (needle, text, matches) in [
            ("Hello", "why, hELLo there", true),
            ("hello", "hell o", false),
            ("", "anything", true),
            ("GRÜN", "grün", true),
            ("gru\u{308}n", "GRÜN", true),
            ("grun", "grün", false),
            ("ΟΔΟΣ", "οδος", true),
            ("ﬁsh", "FISH", true),
            ("İ", "i\u{307}", true),
            ("日本", "in 日本語", true),
        ] {
            assert_eq!(Needle::new(needle).is_in(text), matches, "{needle} in {text}");
        }
    }
}
