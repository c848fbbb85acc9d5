//! Fuzzy search (RFC 6203): what somebody typed is words and quoted phrases; a text matches when it has all of them, a word
//! also as the beginning of a longer one, without regard to case and diacritics. Of scripts without spaces the words are
//! looked for anywhere.
//!
//! How well a text matches is counted by [`Score`]: whole words more than beginnings, early and often more than once and late.

use crate::fold::skeleton;
use crate::{Field, Grams};

/// Most words and phrases of a query; what comes behind them is not asked about.
pub const TERMS_MAX: usize = 32;

/// What somebody typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    /// The skeleton, its white space collapsed.
    text: String,
    /// Must end where a word ends.
    whole: bool,
}

/// What was found of a query's terms so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Score {
    /// For each term: places where it stands as a whole word, and as the beginning of one.
    found: Vec<(u32, u32)>,
}

impl Query {
    /// `invoice "exact phrase" meet`.
    pub fn new(typed: &str) -> Query {
        let mut terms = Vec::new();
        for (at, stretch) in typed.split('"').enumerate() {
            let quoted = at % 2 == 1;
            let text = skeleton(stretch);
            let words: Vec<&str> = text.split(|c| !is_of_word(c)).filter(|word| !word.is_empty()).collect();
            if quoted {
                terms.push(Term { text: words.join(" "), whole: true });
            } else {
                terms.extend(words.into_iter().map(|word| Term { text: word.to_owned(), whole: false }));
            }
        }
        terms.retain(|term| !term.text.is_empty());
        terms.truncate(TERMS_MAX);
        Query { terms }
    }

    /// The groups that a text must have to match.
    pub fn grams(&self) -> Grams {
        self.terms.iter().fold(Grams::of(""), |all, term| all.and(&Grams::of(&term.text)))
    }

    /// The groups that the text of a field must have to match.
    pub fn grams_in(&self, field: Field) -> Grams {
        self.terms.iter().fold(Grams::of(""), |all, term| all.and(&Grams::in_field(field, &term.text)))
    }

    /// Octets of the longest term.
    pub fn longest(&self) -> usize {
        self.terms.iter().map(|term| term.text.len()).max().unwrap_or(0)
    }

    /// Counts what is in a text.
    pub fn look(&self, text: &str, score: &mut Score) {
        score.found.resize(self.terms.len(), (0, 0));
        let text = words(&skeleton(text));
        for (term, found) in self.terms.iter().zip(&mut score.found) {
            for (at, _) in text.match_indices(&term.text).take(COUNTED_MAX) {
                let begins = text[..at].chars().next_back().is_none_or(|before| borders(before, &term.text));
                let after = text[at + term.text.len()..].chars().next();
                let ends = after.is_none_or(|after| !is_of_word(after) || is_unspaced(after));
                match (begins, ends) {
                    (true, true) => found.0 += 1,
                    (true, false) if !term.whole => found.1 += 1,
                    (true | false, _) => {}
                }
            }
        }
    }
}

impl Score {
    /// Whether all terms were found. A query without terms finds everything.
    pub fn is_match(&self) -> bool {
        self.found.iter().all(|(whole, part)| whole + part > 0)
    }

    /// Whether words were looked for and found.
    pub fn is_of_words(&self) -> bool {
        !self.found.is_empty() && self.is_match()
    }

    /// RFC 6203 §4: from 1 to 100.
    pub fn relevancy(&self) -> u8 {
        if self.found.is_empty() {
            return 100;
        }
        let each = self.found.iter().map(|(whole, part)| {
            let weight = f64::from(*whole) + f64::from(*part) / 3.0;
            weight / (weight + HALF_WAY)
        });
        let mean = each.sum::<f64>() / self.found.len() as f64;
        (mean * 100.0).round().clamp(1.0, 100.0) as u8
    }
}

/// Words with one space between them: so a phrase is found across line breaks and punctuation.
fn words(skeleton: &str) -> String {
    let mut out = String::with_capacity(skeleton.len());
    for c in skeleton.chars() {
        if is_of_word(c) {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// Whether a term may begin behind this character.
fn borders(before: char, term: &str) -> bool {
    !is_of_word(before) || is_unspaced(before) || term.chars().next().is_some_and(is_unspaced)
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || !c.is_ascii() && !c.is_whitespace() && !c.is_control() && !is_punctuation(c)
}

/// General punctuation, its full-width forms, and CJK's.
fn is_punctuation(c: char) -> bool {
    matches!(u32::from(c), 0x80..=0xBF | 0x2000..=0x206F | 0x3000..=0x3004 | 0x3008..=0x3020 | 0xFF00..=0xFF0F)
}

/// Of scripts that put no spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c), 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x2E80..=0x9FFF | 0xF900..=0xFAFF | 0x1B000..=0x1B16F | 0x20000..=0x3FFFF)
}

/// Places of one term counted in one piece of text.
const COUNTED_MAX: usize = 1_000;
/// So many places are worth half of the whole.
const HALF_WAY: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn relevancy(typed: &str, text: &str) -> Option<u8> {
        let (query, mut score) = (Query::new(typed), Score::default());
        query.look(text, &mut score);
        score.is_match().then(|| score.relevancy())
    }

    #[test]
    fn words_prefixes_and_phrases() {
        for (typed, text, matches) in [
            ("invoice", "The Invoice.", true),
            ("inv", "The invoice.", true),
            ("voice", "The invoice.", false),
            ("uber koln", "Über Köln", true),
            ("strasse", "Hauptstr. / Straße", true),
            ("\"two words\"", "two,\r\n words", true),
            ("\"two word\"", "two words", false),
            ("two three", "three two", true),
            ("two three", "two", false),
            ("本語", "日本語の文章", true),
            ("", "anything", true),
            ("\"\"", "anything", true),
        ] {
            assert_eq!(relevancy(typed, text).is_some(), matches, "{typed} in {text}");
        }
    }

    #[test]
    fn better_is_more() {
        let order = ["meetings", "meeting", "meeting, meeting and meeting"];
        let found: Vec<_> = order.iter().map(|text| relevancy("meeting", text)).collect();
        assert!(found.is_sorted() && found[0] < found[2], "{found:?}");
    }

    #[test]
    fn grams_propose_what_matches() {
        let mut signature = crate::Signature::new();
        signature.add("Über Köln\r\nnach Hause");
        for typed in ["uber", "\"koln nach\"", "hau kol", ""] {
            assert!(signature.may_have(&Query::new(typed).grams()), "{typed}");
        }
        assert!(!signature.may_have(&Query::new("bonn").grams()));
    }
}
