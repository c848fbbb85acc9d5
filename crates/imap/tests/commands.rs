//! The grammar by examples: `commands.txt` has those of the RFCs, and what clients make of them.
//!
//! An entry is a command (with `\r\n` and other escapes written out) and, indented below it, what was
//! understood. `UPDATE_EXPECT=1` rewrites the file. Entries after `# utf8` are read with UTF-8 enabled.

use postroad_imap::{Limits, Syntax, parse};

#[test]
fn commands_are_understood() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands.txt");
    let table = std::fs::read_to_string(path).expect("the table of commands");
    let mut syntax = Syntax { utf8: false, limits: Limits::default() };
    let mut found = String::new();
    for line in table.lines() {
        if line.starts_with("    ") {
            continue;
        }
        found.push_str(line);
        found.push('\n');
        if line == "# utf8" {
            syntax.utf8 = true;
        }
        if !line.is_empty() && !line.starts_with('#') {
            let understood = match parse(&unescape(line), &syntax) {
                Ok(command) => format!("{:?}", command.body),
                Err(error) => {
                    let tag = error.tag.as_ref().map_or("*", |tag| tag.as_str());
                    format!("{tag} BAD {error}")
                }
            };
            found.push_str(&format!("    {understood}\n"));
        }
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &found).expect("the table written");
    }
    for (line, (expected, found)) in table.lines().zip(found.lines()).enumerate() {
        assert_eq!(expected, found, "commands.txt, line {}", line + 1);
    }
    assert_eq!(table.len(), found.len());
}

/// `\r`, `\n`, `\0`, `\xff`; a backslash before anything else is itself.
fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, length) = match after.as_bytes() {
            [b'r', b'\\', b'n', ..] => (b'\r', 1),
            [b'n', ..] if bytes.last() == Some(&b'\r') => (b'\n', 1),
            [b'0', ..] => (0, 1),
            [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (u8::from_str_radix(&after[1..3], 16).expect("hexadecimal"), 3)
            }
            _ => (b'\\', 0),
        };
        bytes.push(byte);
        rest = &after[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
