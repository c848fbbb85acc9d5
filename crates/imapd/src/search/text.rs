//! Comparing text.
//!
//! RFC 9051 §6.4.4: keys match a substring. Which texts are alike is what the session's comparator says (RFC 5255 §4),
//! by default without case. A key within FUZZY (RFC 6203) matches words and their beginnings instead, whatever the comparator.

use std::sync::Arc;

use postroad_search::fuzzy::{Query, Score};
use postroad_search::{Field, Grams};

use crate::collation::Collation;

/// A text to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needle {
    /// As a part of another, in a comparator's form; and as it was typed.
    Exact(Collation, Arc<str>, Arc<str>),
    /// By its words.
    Fuzzy(Arc<Query>),
}

impl Needle {
    pub(super) fn exact(collation: Collation, text: &str) -> Needle {
        Needle::Exact(collation, collation.key(text).into(), text.into())
    }

    pub(super) fn fuzzy(text: &str) -> Needle {
        Needle::Fuzzy(Arc::new(Query::new(text)))
    }

    pub(super) fn is_fuzzy(&self) -> bool {
        matches!(self, Needle::Fuzzy(_))
    }

    /// Octets of text in which it is found if it is there, in any form that the comparison treats as alike.
    pub(super) fn longest(&self) -> usize {
        let length = match self {
            Needle::Exact(_, key, _) => key.len(),
            Needle::Fuzzy(query) => query.longest(),
        };
        length.saturating_mul(OCTETS_PER_OCTET).saturating_add(SLACK)
    }

    /// The letter groups of texts that have it.
    pub(super) fn grams(&self) -> Grams {
        match self {
            Needle::Exact(_, _, typed) => Grams::of(typed),
            Needle::Fuzzy(query) => query.grams(),
        }
    }

    /// The letter groups of fields that have it.
    pub(super) fn grams_in(&self, field: Field) -> Grams {
        match self {
            Needle::Exact(_, _, typed) => Grams::in_field(field, typed),
            Needle::Fuzzy(query) => query.grams_in(field),
        }
    }

    /// Whether it is in a text.
    pub(super) fn is_in(&self, text: &str) -> bool {
        match self {
            Needle::Exact(collation, key, _) => key.is_empty() || collation.key(text).contains(&**key),
            Needle::Fuzzy(query) => {
                let mut score = Score::default();
                query.look(text, &mut score);
                score.is_match()
            }
        }
    }

    /// How well a text matches; `None` when that is not asked.
    pub(super) fn score(&self, text: &str) -> Option<u8> {
        let Needle::Fuzzy(query) = self else { return None };
        let mut score = Score::default();
        query.look(text, &mut score);
        score.is_match().then(|| score.relevancy())
    }
}

/// Octets of a text for each octet of its compared form: letters that are written as a letter and marks.
const OCTETS_PER_OCTET: usize = 4;
/// Octets besides.
const SLACK: usize = 64;

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
            ("İ", "i\u{307}", true),
            ("日本", "in 日本語", true),
        ] {
            assert_eq!(Needle::exact(Collation::default(), needle).is_in(text), matches, "{needle} in {text}");
        }
        assert!(Needle::fuzzy("grun").is_in("viel Grün"));
        assert!(!Needle::exact(Collation::Octet, "Hello").is_in("hello"));
    }

    /// What the comparator takes for alike is alike to the index: else it would not propose what is there.
    #[test]
    fn every_character_is_indexed_as_it_is_compared() {
        use postroad_search::fold::skeleton;
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            for collation in Collation::ALL {
                let key = collation.key(&text);
                assert_eq!(skeleton(&key), skeleton(&text), "U+{:04X} as {}", u32::from(character), collation.name());
            }
        }
    }
}
