//! Records as lines of a zone file, and keys as PEM.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A TXT record: its text in strings of at most 255 octets (RFC 1035 §3.3.14).
pub(crate) fn txt(name: &str, text: &str) -> String {
    let mut strings = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.floor_char_boundary(STRING_MAX.min(rest.len()));
        let (string, after) = rest.split_at(end);
        strings.push(format!("\"{}\"", string.replace('\\', "\\\\").replace('"', "\\\"")));
        rest = after;
    }
    match strings.as_slice() {
        [] => format!("{name}. IN TXT \"\"\n"),
        [one] => format!("{name}. IN TXT {one}\n"),
        [..] => format!("{name}. IN TXT ( {} )\n", strings.join("\n    ")),
    }
}

/// DER between lines that say what it is (RFC 7468).
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

const STRING_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_several_strings() {
        assert_eq!(txt("a.test", "v=\"x\\"), "a.test. IN TXT \"v=\\\"x\\\\\"\n");
        let long = txt("a.test", &"x".repeat(300));
        assert_eq!(long, format!("a.test. IN TXT ( \"{}\"\n    \"{}\" )\n", "x".repeat(255), "x".repeat(45)));
    }

    #[test]
    fn keys_are_in_lines() {
        let pem = pem("PRIVATE KEY", &[0; 60]);
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\nAAAA") && pem.ends_with("\n-----END PRIVATE KEY-----\n"));
        assert!(pem.lines().all(|line| line.len() <= 64));
    }
}
