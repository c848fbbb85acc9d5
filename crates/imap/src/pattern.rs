//! LIST patterns: `*` any, `%` any within one level (RFC 9051 §6.3.9).

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// `reference` and `pattern` joined as LIST does: a pattern that begins with the separator stands alone.
    pub fn new(_reference: &str, _pattern: &str) -> Pattern {
        unimplemented!()
    }
    /// Whether the whole name matches; the level INBOX in any case. Costs at most name x pattern steps.
    pub fn matches(&self, _name: &str) -> bool {
        unimplemented!()
    }
    /// Whether a name below `parent` could match (for `%`: LSUB's and LIST's parents of matching children).
    pub fn could_match_below(&self, _parent: &str) -> bool {
        unimplemented!()
    }
}
