//! LIST patterns: `*` is any text, `%` any text within one level (RFC 9051 §6.3.9).

use crate::mailbox::{SEPARATOR, capital_inbox};

/// A pattern ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// `reference` and `pattern` joined as LIST does: a pattern that begins with the separator stands alone.
    pub fn new(reference: &str, pattern: &str) -> Pattern {
        let joined = match pattern.strip_prefix(SEPARATOR) {
            Some(absolute) => absolute.to_owned(),
            None => format!("{reference}{pattern}"),
        };
        Pattern(capital_inbox(&joined))
    }

    /// The joined pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern has no wildcard: it names one mailbox.
    pub fn is_name(&self) -> bool {
        !self.0.contains(['*', '%'])
    }

    /// Whether the whole name matches; the level INBOX in any case. Costs at most name x pattern steps.
    pub fn matches(&self, name: &str) -> bool {
        self.walk(name).last() == Some(&true)
    }

    /// Whether a name below `parent` could match (for `%`: parents that exist only by their children).
    pub fn could_match_below(&self, parent: &str) -> bool {
        self.walk(&format!("{parent}{SEPARATOR}")).contains(&true)
    }

    /// All places in the pattern that can be reached by reading `name`: place `i` stands before pattern octet `i`.
    fn walk(&self, name: &str) -> Vec<bool> {
        let pattern = self.0.as_bytes();
        let mut places = vec![false; pattern.len() + 1];
        places[0] = true;
        skip_wildcards(pattern, &mut places);
        let inbox = name == "INBOX" || name.starts_with("INBOX/");
        for (at, &byte) in name.as_bytes().iter().enumerate() {
            let mut next = vec![false; pattern.len() + 1];
            for (place, &wanted) in pattern.iter().enumerate() {
                if !places[place] {
                    continue;
                }
                match wanted {
                    b'*' => next[place] = true,
                    b'%' => next[place] |= byte != SEPARATOR as u8,
                    // RFC 9051 §5.1: INBOX has no case, also where a pattern shows only a part of it.
                    other if inbox && at < 5 => next[place + 1] |= other.eq_ignore_ascii_case(&byte),
                    other => next[place + 1] |= other == byte,
                }
            }
            skip_wildcards(pattern, &mut next);
            places = next;
        }
        places
    }
}

/// A wildcard may stand for nothing.
fn skip_wildcards(pattern: &[u8], places: &mut [bool]) {
    for (place, &wanted) in pattern.iter().enumerate() {
        if places[place] && matches!(wanted, b'*' | b'%') {
            places[place + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_names() {
        for (reference, pattern, yes, no) in [
            ("", "*", &["INBOX", "a/b/c", "ü"][..], &[][..]),
            ("", "%", &["INBOX", "a"], &["a/b", "a/"]),
            ("", "a/%", &["a/b", "a/"], &["a", "a/b/c", "ba/c"]),
            ("a/", "%", &["a/b"], &["a", "a/b/c"]),
            ("a/", "*", &["a/b", "a/b/c"], &["b", "a"]),
            ("", "%/%", &["a/b"], &["a", "a/b/c"]),
            ("", "a*c", &["ac", "abc", "a/b/c"], &["acd", "bac"]),
            ("", "*a%", &["a", "x/ya", "x/yab"], &["a/b", "b"]),
            ("", "inbox", &["INBOX"], &["inbox/x", "INBOX/x"]),
            ("", "InBox/%", &["INBOX/x"], &["INBOX"]),
            ("", "inb%", &["INBOX", "inbx"], &["INbx"]),
            ("", "Foo", &["Foo"], &["foo"]),
            ("x", "/a", &["a"], &["x/a", "/a"]),
            ("", "", &[""], &["a"]),
            ("", "%ü", &["ü", "aü"], &["u"]),
        ] {
            let pattern = Pattern::new(reference, pattern);
            for name in yes {
                assert!(pattern.matches(name), "{pattern:?} {name}");
            }
            for name in no {
                assert!(!pattern.matches(name), "{pattern:?} {name}");
            }
        }
    }

    #[test]
    fn children_that_could_match() {
        assert!(Pattern::new("", "a/%").could_match_below("a"));
        assert!(!Pattern::new("", "a/%").could_match_below("b"));
        assert!(!Pattern::new("", "%").could_match_below("a"));
        assert!(Pattern::new("", "*c").could_match_below("a/b"));
    }

    #[test]
    fn many_wildcards_cost_little() {
        let pattern = Pattern::new("", &"*a%".repeat(300));
        assert!(!pattern.matches(&"a".repeat(299)));
        assert!(pattern.matches(&"a".repeat(300)));
    }
}
