//! Raw octets in transcripts.

#![allow(unreachable_pub)] // Test binaries share it.

/// Octets as they are written: `\r \n \0 \xNN`, and `{n*text}` for a text so many times.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('r') => bytes.push(b'\r'),
                Some('n') => bytes.push(b'\n'),
                Some('0') => bytes.push(0),
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).expect("two hex digits"));
                }
                other => panic!("unknown escape {other:?}"),
            },
            '{' => {
                let inside: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let (count, what) = inside.split_once('*').expect("{n*text}");
                let count = count.parse().expect("a number");
                bytes.extend(unescape(what).repeat(count));
            }
            other => bytes.extend_from_slice(other.to_string().as_bytes()),
        }
    }
    bytes
}
