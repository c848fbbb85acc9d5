//! Whether a field claims to be ours. RFC 8601 §5.
//!
//! Whoever forges such a field writes it so that a filter does not see our name and a reader does: with comments, quotes, folds,
//! other case, a version, encoded words. What readers could understand in different ways counts as ours if one of the ways is.

use super::read::{Piece, Word, pieces, text_of};
use crate::domain::to_ascii;

/// See [`super::is_ours`].
pub(super) fn is_ours(body: &[u8], authserv_id: &str) -> bool {
    let ours = normal(authserv_id);
    if ours.is_empty() {
        return false;
    }
    let text = text_of(body);
    // Some readers decode words before they look.
    let decoded = text.contains("=?").then(|| postroad_message::decode::header(text.as_bytes()));
    std::iter::once(text).chain(decoded).any(|text| claims(&text, &ours))
}

fn claims(text: &str, ours: &str) -> bool {
    let pieces = pieces(text);
    let before_results = pieces.split(|piece| *piece == Piece::Semicolon).next().unwrap_or_default();
    let words: Vec<&str> = before_results.iter().filter_map(word).collect();
    if words.is_empty() {
        // A comment or a quote without an end, or nothing: whoever reads on sees what it wants.
        return mentions(text, ours);
    }
    // The id alone, and the id that white space or a comment tears apart.
    let joined = words.concat();
    names(words[0], ours) || names(&joined, ours) || swallows(before_results, ours)
}

fn word(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Word(word) => Some(&word.text),
        Piece::Comment(_) | Piece::Semicolon => None,
    }
}

/// Whether a word begins with the id, followed by nothing or by what no host name has: `mx.example.org/1`.
fn names(word: &str, ours: &str) -> bool {
    let visible: String = word.chars().filter(|c| !c.is_control()).collect();
    let is_end = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-._".contains(c);
    let visible = visible.trim_start_matches(is_end);
    let end = visible.find(is_end).unwrap_or(visible.len());
    normal(&visible[..end]) == ours
}

/// Whether a quoted string or a comment that swallowed the semicolon begins with our name: it has no end, or ends where
/// another reader does not see it end.
fn swallows(pieces: &[Piece], ours: &str) -> bool {
    pieces.iter().any(|piece| match piece {
        Piece::Word(Word { text, .. }) | Piece::Comment(text) => text.contains(';') && mentions(text, ours),
        Piece::Semicolon => false,
    })
}

/// Whether our name stands anywhere as a whole.
fn mentions(text: &str, ours: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || "()\"\\;=,<>@/:".contains(c)).any(|word| names(word, ours))
}

/// Names are the same in any case, with and without the final dot, in A-labels and in Unicode.
fn normal(id: &str) -> String {
    to_ascii(id).unwrap_or_else(|| id.to_lowercase())
}
