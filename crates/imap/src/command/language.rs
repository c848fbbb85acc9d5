//! LANGUAGE and COMPARATOR (RFC 5255).

use crate::command::Body;
use crate::cursor::{Cursor, Rule};

/// `language-cmd = "LANGUAGE" *(SP lang-range-quoted)`.
pub(super) fn language(cursor: &mut Cursor<'_>) -> Rule<Body> {
    texts(cursor, "a language range").map(Body::Language)
}

/// `comparator-cmd = "COMPARATOR" *(SP comp-order-quoted)`.
pub(super) fn comparator(cursor: &mut Cursor<'_>) -> Rule<Body> {
    texts(cursor, "a comparator").map(Body::Comparator)
}

fn texts(cursor: &mut Cursor<'_>, what: &'static str) -> Rule<Vec<String>> {
    let mut texts = Vec::new();
    while cursor.more() {
        cursor.entry()?;
        texts.push(comparator_text(cursor, what)?);
    }
    Ok(texts)
}

/// `astring`; unquoted it may have the wildcard of RFC 4790 §3.2, as the examples of RFC 5255 §4.7 show.
fn comparator_text(cursor: &mut Cursor<'_>, what: &'static str) -> Rule<String> {
    match cursor.peek() {
        Some(b'"' | b'{' | b'~') => cursor.text(what),
        Some(_) | None => cursor.mailbox_text(true, what),
    }
}
