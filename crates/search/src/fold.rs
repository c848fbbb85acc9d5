//! Texts as they are compared.
//!
//! [`folded`] is what IMAP's substring search compares: without case, canonical and compatible forms alike, much as the
//! collation i;unicode-casemap (RFC 5051) has it. [`skeleton`] is coarser: diacritics are gone too. It maps each character by
//! itself, so the skeleton of a part of a text is a part of the text's skeleton, whatever stands around it; what is equal in
//! any of the comparisons that SEARCH offers (octets, ASCII without case, i;unicode-casemap, [`folded`]) has one skeleton.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

/// The form that substring search compares.
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // A final sigma is a sigma.
    text.nfkc().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).nfc().collect()
}

/// The form without diacritics.
pub fn skeleton(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        skeleton_of(c, &mut |c| out.push(c));
    }
    out
}

/// The skeleton of one character.
pub(crate) fn skeleton_of(c: char, emit: &mut impl FnMut(char)) {
    if c.is_ascii() {
        emit(c.to_ascii_lowercase());
        return;
    }
    decompose_compatible(c, |part| {
        if is_dropped(part) {
            return;
        }
        // By way of the capital: i;unicode-casemap knows upper case, where a dotless i is an I, a final sigma a sigma.
        let mut capitals = part.to_uppercase();
        let capital = match (capitals.next(), capitals.next()) {
            (Some(one), None) => one,
            (_, _) => part,
        };
        for lower in capital.to_lowercase().filter(|c| !is_dropped(*c)) {
            match lower {
                'ß' => {
                    emit('s');
                    emit('s');
                }
                lower => emit(lower),
            }
        }
    });
}

/// Marks that normalization moves about: without them the order of the others says nothing.
fn is_dropped(c: char) -> bool {
    c != SUBSCRIPT_IOTA && canonical_combining_class(c) != 0
}

/// A mark whose upper case is a letter.
const SUBSCRIPT_IOTA: char = '\u{345}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, folds, bones) in [
            ("Hello", "hello", "hello"),
            ("GRÜN", "grün", "grun"),
            ("gru\u{308}n", "grün", "grun"),
            ("Straße", "straße", "strasse"),
            ("ΟΔΟΣ ὁδός", "οδοσ ὁδόσ", "οδοσ οδοσ"),
            ("ﬁsh", "fish", "fish"),
            ("İı", "i\u{307}ı", "ii"),
            ("ｱｲ", "アイ", "アイ"),
            ("日本語", "日本語", "日本語"),
            ("½", "1⁄2", "1⁄2"),
            ("\u{1c80}", "\u{1c80}", "в"),
        ] {
            assert_eq!(folded(text), folds, "{text}");
            assert_eq!(skeleton(text), bones, "{text}");
            assert_eq!(skeleton(&folded(text)), bones, "{text}, folded before");
        }
    }
}
