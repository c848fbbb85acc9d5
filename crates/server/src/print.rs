//! Standard output and error of the command line: the only place that writes to them.
//!
//! Names, addresses and replies are what strangers wrote. Whatever is printed changes no terminal: there are no control
//! characters but line ends and tabs, and nothing that turns the direction of a text around. In JSON such a character is
//! written by its number, so that programs get what is there.

use std::borrow::Cow;
use std::io::Write;

/// A line on standard output. A closed pipe is no error: whoever read has read enough.
pub(crate) fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// Text that ends its own lines.
pub(crate) fn text(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(harmless(text).as_bytes());
    let _ = out.flush();
}

/// A line of JSON on standard output.
pub(crate) fn json(value: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", by_number(&value.to_string()));
    let _ = out.flush();
}

/// A line on standard error.
pub(crate) fn complaint(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", harmless(text));
}

fn harmless(text: &str) -> Cow<'_, str> {
    match text.chars().any(is_harmful) {
        true => text.chars().map(|sign| if is_harmful(sign) { char::REPLACEMENT_CHARACTER } else { sign }).collect(),
        false => text.into(),
    }
}

/// RFC 8259 §7. Such characters stand in strings only.
fn by_number(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_harmful) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len() + 64);
    for sign in json.chars() {
        match is_harmful(sign) {
            true => sign.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
            false => out.push(sign),
        }
    }
    out.into()
}

/// Controls (C0, C1 and DEL), Unicode's line ends, and what changes the direction of text (its bidirectional controls).
fn is_harmful(sign: char) -> bool {
    let turns = matches!(sign, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (sign.is_control() && !matches!(sign, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_changes_no_terminal() {
        for (text, expected) in [
            ("plain ü 日本\tand\nlines\n", "plain ü 日本\tand\nlines\n"),
            ("\u{1b}[2J\r\u{9b}1m\u{7f}\0", "\u{fffd}[2J\u{fffd}\u{fffd}1m\u{fffd}\u{fffd}"),
            ("a\u{202e}b\u{2066}c\u{61c}d\u{2028}e", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }

    #[test]
    fn programs_get_what_is_there() {
        let value = serde_json::json!({ "a\u{9b}": "b\u{202e}\u{1b}\u{7f}ü\"\\" });
        let text = by_number(&value.to_string()).into_owned();
        assert!(text.chars().all(|sign| !is_harmful(sign)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON still"), value);
    }
}
