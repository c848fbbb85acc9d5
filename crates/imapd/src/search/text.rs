//! Comparing text.
//!
//! RFC 9051 §6.4.4: keys match a substring. Which texts are alike is what the session's comparator says (RFC 5255 §4),
//! by default without case. A key within FUZZY (RFC 6203) matches words and their beginnings instead, whatever the comparator.

use std::sync::Arc;

use postroad_imap::command::gmail::Near;
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
    /// Two of them close together.
    Near(Arc<Close>),
}

/// Words that stand close to others, in a comparator's form: each is one that a word begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Close {
    collation: Collation,
    first: Vec<String>,
    second: Vec<String>,
    between: usize,
    ordered: bool,
    /// As it was typed.
    typed: String,
}

impl Close {
    fn new(collation: Collation, near: &Near) -> Close {
        let words = |text: &str| words(&collation.key(text)).map(str::to_owned).collect();
        Close {
            collation,
            first: words(&near.first),
            second: words(&near.second),
            between: usize::try_from(near.words).unwrap_or(usize::MAX),
            ordered: near.ordered,
            typed: near.first.clone(),
        }
    }

    fn is_in(&self, text: &str) -> bool {
        let key = self.collation.key(text);
        let all: Vec<&str> = words(&key).collect();
        // The last word of the latest of each.
        let (mut first, mut second) = (None::<usize>, None::<usize>);
        let is_near = |end: Option<usize>, at: usize| end.is_some_and(|end| at > end && at - end - 1 <= self.between);
        for at in 0..all.len() {
            let begins = |wanted: &[String]| {
                let here = all.get(at..at + wanted.len());
                !wanted.is_empty() && here.is_some_and(|here| here.iter().zip(wanted).all(|(a, b)| a.starts_with(&**b)))
            };
            let (of_first, of_second) = (begins(&self.first), begins(&self.second));
            if (of_second && is_near(first, at)) || (of_first && !self.ordered && is_near(second, at)) {
                return true;
            }
            if of_first {
                first = Some(at + self.first.len() - 1);
            }
            if of_second {
                second = Some(at + self.second.len() - 1);
            }
        }
        false
    }

    fn longest(&self) -> usize {
        let own: usize = self.first.iter().chain(&self.second).map(|word| word.len() + 1).sum();
        own.saturating_add(self.between.saturating_mul(WORD))
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

impl Needle {
    pub(super) fn exact(collation: Collation, text: &str) -> Needle {
        Needle::Exact(collation, collation.key(text).into(), text.into())
    }

    pub(super) fn fuzzy(text: &str) -> Needle {
        Needle::Fuzzy(Arc::new(Query::new(text)))
    }

    /// Two texts close together.
    pub(super) fn near(collation: Collation, near: &Near) -> Needle {
        Needle::Near(Arc::new(Close::new(collation, near)))
    }

    pub(super) fn is_fuzzy(&self) -> bool {
        matches!(self, Needle::Fuzzy(_))
    }

    /// Octets of text in which it is found if it is there, in any form that the comparison treats as alike.
    pub(super) fn longest(&self) -> usize {
        let length = match self {
            Needle::Exact(_, key, _) => key.len(),
            Needle::Fuzzy(query) => query.longest(),
            Needle::Near(close) => close.longest(),
        };
        length.saturating_mul(OCTETS_PER_OCTET).saturating_add(SLACK)
    }

    /// The letter groups of texts that have it.
    pub(super) fn grams(&self) -> Grams {
        match self {
            Needle::Exact(_, _, typed) => Grams::of(typed),
            Needle::Fuzzy(query) => query.grams(),
            Needle::Near(close) => Grams::of(&close.typed),
        }
    }

    /// The letter groups of fields that have it.
    pub(super) fn grams_in(&self, field: Field) -> Grams {
        match self {
            Needle::Exact(_, _, typed) => Grams::in_field(field, typed),
            Needle::Fuzzy(query) => query.grams_in(field),
            Needle::Near(close) => Grams::in_field(field, &close.typed),
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
            Needle::Near(close) => close.is_in(text),
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
/// Octets of a word between two others, where a text is looked at in pieces.
const WORD: usize = 24;

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

    #[test]
    fn words_are_close_to_each_other() {
        for (first, second, words, ordered, text, matches) in [
            ("dinner", "friday", 1, false, "Dinner on Friday", true),
            ("dinner", "friday", 1, false, "friday's DINNER", true),
            ("dinner", "friday", 0, false, "dinner on friday", false),
            ("dinner", "friday", 0, false, "dinner, Friday!", true),
            ("dinner", "friday", 9, true, "friday: dinner", false),
            ("dinner", "friday", 9, true, "dinners of fridays", true),
            ("new york", "trip", 2, false, "trip to New York", true),
            ("new york", "trip", 2, false, "new trip to york", false),
            ("a", "a", 3, false, "a", false),
            ("a", "a", 3, false, "a b a", true),
            ("grün", "see", 1, false, "GRÜNER See", true),
            ("-", "a", 9, false, "a - a", false),
        ] {
            let near = Near { first: first.into(), second: second.into(), words, ordered };
            assert_eq!(Needle::near(Collation::default(), &near).is_in(text), matches, "{near:?} in {text}");
        }
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
