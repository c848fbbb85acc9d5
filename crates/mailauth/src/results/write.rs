//! The text of the field. RFC 8601 §2.2.
//!
//! Everything that strangers chose passes through [`cleaned`] before it is quoted, and words that are no words of the grammar are
//! left out, so that nothing here can begin a line, a result or a comment of its own.

use super::{AuthenticationResults, MethodResult, Property};

/// The body as it stands after `column` octets of the first line.
pub(super) fn body(results: &AuthenticationResults, column: usize) -> String {
    let mut text = Text { out: String::new(), column, glued: true };
    let mut some = results
        .results
        .iter()
        .filter(|result| is_keyword(&result.method) && is_keyword(&result.result))
        .take(MAX_RESULTS);
    let id = cleaned(&results.authserv_id, Space::Keep);
    text.piece(&format!("{};", token_or_quoted(&id)));
    let Some(first) = some.next() else {
        text.piece("none");
        return text.out;
    };
    text.line();
    result(&mut text, first);
    for next in some {
        text.out.push(';');
        text.line();
        result(&mut text, next);
    }
    text.out
}

/// `resinfo`.
fn result(text: &mut Text, result: &MethodResult) {
    // A semicolon may follow: room for it is kept by every piece.
    text.piece(&format!("{}={}", result.method.to_ascii_lowercase(), result.result.to_ascii_lowercase()));
    if let Some(comment) = result.comment.as_deref().map(prose).filter(|comment| !comment.is_empty()) {
        text.prose("(", &escaped(&comment, &['(', ')', '\\']), ")");
    }
    if let Some(reason) = result.reason.as_deref().map(prose).filter(|reason| !reason.is_empty()) {
        text.prose("reason=\"", &escaped(&reason, &['"', '\\']), "\"");
    }
    for property in result.properties.iter().take(MAX_PROPERTIES) {
        if let Some(property) = propspec(property) {
            text.piece(&property);
        }
    }
}

/// `propspec = ptype "." property "=" pvalue`. `None` where the grammar has no place for it.
fn propspec(property: &Property) -> Option<String> {
    let Property { kind, name, value } = property;
    let value = cleaned(value, Space::Keep);
    let fits = is_keyword(kind) && is_keyword(name) && value.len() <= MAX_VALUE;
    fits.then(|| format!("{}.{}={}", kind.to_ascii_lowercase(), name.to_ascii_lowercase(), pvalue(&value)))
}

/// `pvalue`: an address or a word as it is, everything else as a quoted string.
fn pvalue(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((local, domain)) if is_dot_atom(local) && is_domain(domain) => value.to_owned(),
        Some(("", domain)) if is_domain(domain) => value.to_owned(),
        Some(_) | None => token_or_quoted(value),
    }
}

/// `value` of RFC 2045 §5.1.
fn token_or_quoted(value: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte);
    if !value.is_empty() && value.bytes().all(fits) {
        value.to_owned()
    } else {
        format!("\"{}\"", escaped(value, &['"', '\\']))
    }
}

/// RFC 5322 §3.2.3, RFC 6532 §3.2.
fn is_dot_atom(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii();
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(fits))
}

fn is_domain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii();
    text.split('.').all(|label| !label.is_empty() && label.chars().all(fits))
}

/// `Keyword`: letters, digits and hyphens.
fn is_keyword(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.len() <= MAX_KEYWORD && text.bytes().all(fits) && !text.ends_with('-')
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// As it is.
    Keep,
    /// Any number of spaces becomes one, none at the ends.
    Fold,
}

/// Without characters that end lines, are not printed or turn the direction of writing.
pub(super) fn cleaned(text: &str, space: Space) -> String {
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    let text: String = text.chars().map(|c| if c.is_control() || hidden(c) { '?' } else { c }).collect();
    match space {
        Space::Keep => text,
        Space::Fold => text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "),
    }
}

/// A reason or a comment: short and in words.
pub(super) fn prose(text: &str) -> String {
    // Lines in it were spaces.
    let text: String = text.chars().take(4 * MAX_PROSE).map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    let mut text = cleaned(&text, Space::Fold);
    if text.len() > MAX_PROSE {
        let end = (0..=MAX_PROSE - MORE.len()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.truncate(text.trim_end().len());
        text.push_str(MORE);
    }
    text
}

fn escaped(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The text so far, and where its last line ends.
struct Text {
    out: String,
    column: usize,
    /// What comes next follows without a space.
    glued: bool,
}

impl Text {
    /// Begins a line of its own for what follows.
    fn line(&mut self) {
        self.out.push_str("\r\n  ");
        self.column = 2;
        self.glued = true;
    }

    /// Adds what cannot be folded.
    fn piece(&mut self, piece: &str) {
        // The octet behind it is for a semicolon.
        if !self.glued && self.column + 1 + piece.len() + 1 > LINE {
            self.out.push_str("\r\n    ");
            self.column = 4;
        } else if !self.glued {
            self.out.push(' ');
            self.column += 1;
        }
        self.glued = false;
        self.out.push_str(piece);
        self.column += piece.len();
    }

    /// Adds words between marks, folded at their spaces.
    fn prose(&mut self, open: &str, words: &str, close: &str) {
        let mut words = words.split(' ');
        let mut word = format!("{open}{}", words.next().unwrap_or_default());
        for next in words {
            self.word(&word);
            word = next.to_owned();
        }
        word.push_str(close);
        self.word(&word);
    }

    /// As [`Text::piece`], where the space before it counts: a fold adds none.
    fn word(&mut self, word: &str) {
        if !self.glued && self.column + 1 + word.len() + 1 > LINE {
            self.out.push_str("\r\n");
            self.column = 0;
        }
        if !self.glued {
            self.out.push(' ');
            self.column += 1;
        }
        self.glued = false;
        self.out.push_str(word);
        self.column += word.len();
    }
}

/// RFC 5322 §2.1.1: lines should not be longer.
const LINE: usize = 78;

/// Octets of a value; longer ones are left out, so that no line exceeds 998 octets however much is quoted.
pub(super) const MAX_VALUE: usize = 400;

/// Octets of a comment or reason.
const MAX_PROSE: usize = 200;

/// Stands where there was more.
const MORE: &str = "...";

/// Octets of a method, result or property name.
const MAX_KEYWORD: usize = 40;

/// Results of one field.
pub(super) const MAX_RESULTS: usize = 100;

/// Properties of one result.
pub(super) const MAX_PROPERTIES: usize = 32;
