//! The languages that people are spoken to in (RFC 5255 §3).
//!
//! What it is: sentences in English, as the code has them, and a table of what they are in other languages. A
//! sentence that is not in the table stays English: words about one's own input, or what an administrator
//! reads.

mod german;

use postroad_imap::encode::Say;

/// A language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Language {
    /// `i-default` (RFC 2277 §4.5): English that one may not know well.
    #[default]
    Default,
    /// English.
    English,
    /// German.
    German,
}

impl Language {
    /// All there are.
    pub(crate) const ALL: [Language; 3] = [Language::Default, Language::English, Language::German];

    /// Its tag.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Language::Default => "i-default",
            Language::English => "en",
            Language::German => "de",
        }
    }

    /// RFC 4647 §3.4, look-up: `de-AT-1996` finds `de`. `default` is what the server speaks by itself.
    pub(crate) fn of_range(range: &str) -> Option<Language> {
        if range.eq_ignore_ascii_case("default") || range == "*" {
            return Some(Language::Default);
        }
        let mut range = range;
        loop {
            if let Some(language) = Language::ALL.into_iter().find(|one| one.tag().eq_ignore_ascii_case(range)) {
                return Some(language);
            }
            let (shorter, _) = range.rsplit_once('-')?;
            // A single letter or digit goes with what it introduces.
            range = match shorter.rsplit_once('-') {
                Some((before, single)) if single.len() == 1 => before,
                Some(_) | None => shorter,
            };
        }
    }

    /// What the prefixes of namespaces are called in this language.
    pub(crate) fn prefixes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Language::Default | Language::English => &[],
            Language::German => german::PREFIXES,
        }
    }

    /// What makes of an English sentence one in this language; `None`: it is English.
    pub(crate) fn words(self) -> Option<Say> {
        match self {
            Language::Default | Language::English => None,
            Language::German => Some(german::say),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_find_languages() {
        for (range, tag) in [
            ("de", Some("de")),
            ("DE-at", Some("de")),
            ("de-x-private", Some("de")),
            ("en-GB-oed", Some("en")),
            ("i-default", Some("i-default")),
            ("default", Some("i-default")),
            ("*", Some("i-default")),
            ("fr-CA", None),
            ("d", None),
            ("", None),
        ] {
            assert_eq!(Language::of_range(range).map(Language::tag), tag, "{range}");
        }
    }
}
