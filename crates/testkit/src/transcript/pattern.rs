//! Answer lines with holes: `{*}`, `{name}`, `{=name}`.

use std::collections::BTreeMap;

/// What the holes of earlier lines kept, and named blocks.
pub(super) type Kept = BTreeMap<String, String>;

enum Part<'a> {
    Text(&'a str),
    Anything,
    Keep(&'a str),
    Same(&'a str),
}

/// Whether the line matches; then what its holes keep is in `kept`.
pub(super) fn matches(pattern: &str, line: &str, kept: &mut Kept) -> bool {
    let parts = parts(pattern);
    let mut found = Vec::new();
    if !matches_from(&parts, line, kept, &mut found) {
        return false;
    }
    for (name, value) in found {
        kept.insert(name.to_owned(), value);
    }
    true
}

/// Replaces `{=name}` and `{len=name}`.
pub(super) fn fill(text: &str, kept: &Kept) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        let hole = after.split_once('}').and_then(|(inside, after)| {
            let (kind, name) = inside.split_once('=')?;
            (is_name(name) && (kind.is_empty() || kind == "len")).then_some((kind, name, after))
        });
        match hole {
            Some((kind, name, after)) => {
                let value = kept.get(name).ok_or_else(|| format!("nothing was kept as {name:?} before this line"))?;
                if kind == "len" {
                    filled.push_str(&value.len().to_string());
                } else {
                    filled.push_str(value);
                }
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn matches_from<'a>(parts: &[Part<'a>], line: &str, kept: &Kept, found: &mut Vec<(&'a str, String)>) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return line.is_empty();
    };
    match first {
        Part::Text(text) => line.strip_prefix(text).is_some_and(|line| matches_from(rest, line, kept, found)),
        Part::Same(name) => {
            let earlier_in_line = found.iter().rev().find(|(kept, _)| kept == name);
            let value = match earlier_in_line {
                Some((_, value)) => Some(value.clone()),
                None => kept.get(*name).cloned(),
            };
            value
                .and_then(|value| line.strip_prefix(value.as_str()))
                .is_some_and(|line| matches_from(rest, line, kept, found))
        }
        Part::Anything => ends(line).any(|end| matches_from(rest, &line[end..], kept, found)),
        Part::Keep(name) => {
            for end in ends(line).filter(|end| *end > 0) {
                found.push((name, line[..end].to_owned()));
                if matches_from(rest, &line[end..], kept, found) {
                    return true;
                }
                found.pop();
            }
            false
        }
    }
}

fn ends(line: &str) -> impl Iterator<Item = usize> + '_ {
    line.char_indices().map(|(at, _)| at).chain(std::iter::once(line.len()))
}

fn parts(pattern: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut text_from = 0;
    let mut at = 0;
    while let Some(open) = pattern[at..].find('{').map(|found| at + found) {
        let hole = pattern[open + 1..].find('}').and_then(|length| {
            let inside = &pattern[open + 1..open + 1 + length];
            let part = match inside {
                "*" => Part::Anything,
                _ if is_name(inside) => Part::Keep(inside),
                _ => Part::Same(inside.strip_prefix('=').filter(|name| is_name(name))?),
            };
            Some((part, open + length + 2))
        });
        match hole {
            Some((part, after)) => {
                parts.push(Part::Text(&pattern[text_from..open]));
                parts.push(part);
                text_from = after;
                at = after;
            }
            None => at = open + 1,
        }
    }
    parts.push(Part::Text(&pattern[text_from..]));
    parts
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_match_with_holes() {
        for (pattern, line, expect) in [
            ("250 ok", "250 ok", true),
            ("250 ok", "250 okay", false),
            ("250 {*}", "250 2.0.0 anything", true),
            ("250 {*}", "250 ", true),
            ("250 {id}", "250 ", false),
            ("{*} ok {*}", "a ok b ok c", true),
            ("* OK [UIDVALIDITY {v}]", "* OK [UIDVALIDITY 77]", true),
            ("a {310}", "a {310}", true),
            ("a {310}", "a {31}", false),
            ("{x} = {=x}", "7 = 7", true),
            ("{x} = {=x}", "7 = 8", false),
            ("{=unknown}", "", false),
            ("{Big}", "{Big}", true),
        ] {
            let mut kept = Kept::new();
            assert_eq!(matches(pattern, line, &mut kept), expect, "{pattern:?} on {line:?}");
        }
    }

    #[test]
    fn holes_keep_and_fill() {
        let mut kept = Kept::new();
        assert!(matches("[UIDVALIDITY {v}] {rest}", "[UIDVALIDITY 77] go on", &mut kept));
        assert_eq!(fill("A {=v} {len=rest} {5}", &kept), Ok("A 77 5 {5}".to_owned()));
        assert!(fill("{=nothing}", &kept).is_err());
    }
}
