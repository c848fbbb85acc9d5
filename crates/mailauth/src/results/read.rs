//! Reading the field, as others write it. RFC 8601 §2.2, and what does not keep to it.

use super::write::{MAX_PROPERTIES, MAX_RESULTS};
use super::{AuthenticationResults, MethodResult, Property};

/// Octets that are looked at; the rest is not there.
pub(super) const MAX_READ: usize = 32 * 1024;

/// Comments in comments; deeper ones end where they should not, which costs only the reader of such a field.
const MAX_DEPTH: usize = 100;

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A run of words and quoted strings without white space.
    Word(Word),
    /// A comment, without its parentheses.
    Comment(String),
    /// `;`
    Semicolon,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Where its first unquoted `=` stands.
    equals: Option<usize>,
    has_quotes: bool,
}

/// See [`super::parse`].
pub(super) fn parse(body: &[u8]) -> Option<AuthenticationResults> {
    let pieces = pieces(&text_of(body));
    let mut segments = pieces.split(|piece| *piece == Piece::Semicolon);
    let words = segments.next()?.iter().filter_map(|piece| match piece {
        Piece::Word(word) => Some(&word.text),
        Piece::Comment(_) | Piece::Semicolon => None,
    });
    let authserv_id = words.into_iter().next().filter(|id| !id.is_empty())?.clone();
    let results = segments.filter_map(result).take(MAX_RESULTS).collect();
    Some(AuthenticationResults { authserv_id, results })
}

/// Unfolded, whatever octets it has.
pub(super) fn text_of(body: &[u8]) -> String {
    let body = &body[..body.len().min(MAX_READ)];
    String::from_utf8_lossy(body).replace("\r\n", "").replace(['\r', '\n'], "")
}

/// The pieces of a text: what is in quotes or comments never separates.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut word: Option<Word> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let ends_word = c.is_whitespace() || c == ';' || c == '(';
        if ends_word {
            pieces.extend(word.take().map(Piece::Word));
        }
        match c {
            ';' => pieces.push(Piece::Semicolon),
            '(' => pieces.push(Piece::Comment(comment(&mut chars))),
            '"' => quoted(&mut chars, word.get_or_insert_default()),
            c if c.is_whitespace() => {}
            c => {
                let word = word.get_or_insert_default();
                if c == '=' && word.equals.is_none() {
                    word.equals = Some(word.text.len());
                }
                word.text.push(c);
            }
        }
    }
    pieces.extend(word.map(Piece::Word));
    pieces
}

/// The rest of a quoted string.
fn quoted(chars: &mut std::str::Chars<'_>, word: &mut Word) {
    word.has_quotes = true;
    while let Some(c) = chars.next() {
        match c {
            '"' => return,
            '\\' => word.text.extend(chars.next()),
            c => word.text.push(c),
        }
    }
}

/// The rest of a comment.
fn comment(chars: &mut std::str::Chars<'_>) -> String {
    let (mut text, mut depth) = (String::new(), 1);
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                text.extend(chars.next());
                continue;
            }
            '(' if depth < MAX_DEPTH => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        text.push(c);
    }
    text
}

/// `resinfo`. `none` stands for no result.
fn result(segment: &[Piece]) -> Option<MethodResult> {
    let mut pairs = pairs(segment).into_iter();
    let (method, result) = pairs.next()?;
    // `dkim/1=pass`: the version says nothing that matters.
    let method = method.split('/').next().unwrap_or_default();
    if method.is_empty() || result.is_empty() {
        return None;
    }
    let mut found = MethodResult::new(&method.to_ascii_lowercase(), &result.to_ascii_lowercase());
    found.comment = segment.iter().find_map(|piece| match piece {
        Piece::Comment(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Piece::Word(_) | Piece::Semicolon => None,
    });
    for (name, value) in pairs {
        if name.eq_ignore_ascii_case("reason") {
            found.reason.get_or_insert(value);
        } else if let Some((kind, name)) = name.split_once('.')
            && found.properties.len() < MAX_PROPERTIES
        {
            let (kind, name) = (kind.to_ascii_lowercase(), name.to_ascii_lowercase());
            found.properties.push(Property { kind, name, value });
        }
    }
    Some(found)
}

/// `name=value`, with or without white space and comments around the sign, the dot and the version of a method.
fn pairs(segment: &[Piece]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    // A name that waits for its sign, and one that waits for its value.
    let (mut name, mut open): (String, Option<String>) = (String::new(), None);
    let mut version_follows = false;
    for piece in segment {
        let Piece::Word(Word { text, equals, has_quotes }) = piece else { continue };
        if let Some(name) = open.take() {
            pairs.push((name, text.clone()));
            continue;
        }
        let before = equals.map_or(text.as_str(), |equals| &text[..equals]);
        if version_follows || before.starts_with('/') {
            version_follows = before == "/";
        } else if !before.is_empty() {
            // `policy . expired`
            if !name.ends_with('.') && !before.starts_with('.') {
                name.clear();
            }
            name.push_str(before);
        }
        let Some(equals) = *equals else { continue };
        let (name, after) = (std::mem::take(&mut name), &text[equals + 1..]);
        // `reason=""` is a value too.
        if after.is_empty() && !has_quotes { open = Some(name) } else { pairs.push((name, after.to_owned())) }
    }
    pairs.extend(open.map(|name| (name, String::new())));
    pairs
}
