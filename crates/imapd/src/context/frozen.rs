//! Keys that mean the same messages for as long as they are asked.

use postroad_imap::command::SearchKey;
use postroad_imap::{MessageSet, Numbering, SequenceSet};
use postroad_mail::UidSet;

use crate::view::View;

/// The key with the messages that its numbers, and `$`, mean now. `n:*` stays open at its end.
pub(super) fn key(view: &View, key: &SearchKey) -> SearchKey {
    match key {
        SearchKey::And(keys) => SearchKey::And(keys.iter().map(|inner| self::key(view, inner)).collect()),
        SearchKey::Or(a, b) => SearchKey::Or(Box::new(self::key(view, a)), Box::new(self::key(view, b))),
        SearchKey::Not(inner) => SearchKey::Not(Box::new(self::key(view, inner))),
        SearchKey::Fuzzy(inner) => SearchKey::Fuzzy(Box::new(self::key(view, inner))),
        SearchKey::Sequence(set) => by_uid(view, set, Numbering::Sequence),
        SearchKey::Uid(MessageSet::Saved) => by_uid(view, &MessageSet::Saved, Numbering::Uid),
        other => other.clone(),
    }
}

fn by_uid(view: &View, set: &MessageSet, numbering: Numbering) -> SearchKey {
    let named = view.matching(set, numbering);
    let open = matches!(set, MessageSet::Set(set) if set.has_star());
    match named.last().filter(|_| open) {
        // What comes will be behind the last one.
        Some(last) => SearchKey::Or(Box::new(uids(&named)), Box::new(uids(&UidSet::range(last, u32::MAX)))),
        None => uids(&named),
    }
}

/// These messages.
pub(crate) fn uids(uids: &UidSet) -> SearchKey {
    match SequenceSet::parse(uids.to_string().as_bytes(), usize::MAX) {
        Ok(set) => SearchKey::Uid(MessageSet::Set(set)),
        // The empty set has no words.
        Err(_) => SearchKey::Not(Box::new(SearchKey::All)),
    }
}
