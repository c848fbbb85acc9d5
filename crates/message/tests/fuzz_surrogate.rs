//! Headers in ASCII, of any octets.

use postroad_fuzz::check;
use postroad_message::{header, surrogate};

/// Pieces that the fields are made of.
const WORDS: &[&str] = &[
    "From:",
    "Subject:",
    "Content-Type:",
    "Content-Disposition: a;",
    "Message-ID:",
    "X-A:",
    ": ",
    "\r\n",
    "\n",
    "\r\n ",
    "é",
    "日本",
    "a@b",
    "<",
    ">",
    "\"",
    "\\",
    ",",
    ";",
    "=",
    "name=",
    "filename*=",
    "*0*=",
    "=?utf-8?q?",
    "?=",
    "\0",
    "text/plain;",
    "group:",
    "\r\n\r\n",
];

#[test]
fn fuzz_headers_become_ascii_and_stay_headers() {
    check!(2_000).with_type::<Vec<u8>>().for_each(|picks| {
        let block: String = picks.iter().map(|pick| WORDS[usize::from(*pick) % WORDS.len()]).collect();
        let Some(made) = surrogate::header(block.as_bytes()) else {
            assert!(block.is_ascii());
            return;
        };
        assert!(made.is_ascii(), "{block:?}");
        // No field is made of what was in another one, and the body does not begin earlier.
        let before: Vec<_> = header::fields(block.as_bytes()).map(|field| field.name.to_ascii_lowercase()).collect();
        let mut left = before.iter();
        for field in header::fields(&made) {
            let name = field.name.to_ascii_lowercase();
            assert!(left.any(|old| *old == name), "{block:?} {made:?}");
        }
        assert_eq!(surrogate::header(&made), None);
    });
}
