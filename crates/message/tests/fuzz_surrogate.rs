//! Headers in ASCII, of any octets.

use postroad_fuzz::check;
use std::ops::Range;

use postroad_message::surrogate::{self, Piece, Told};
use postroad_message::{Parser, Part, header};

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

/// Pieces of messages with parts and messages within.
const LINES: &[&str] = &[
    "Content-Type: multipart/mixed; boundary=a\r\n",
    "Content-Type: multipart/digest; boundary=b\r\n",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: message/global\n",
    "Content-Type: application/pdf; name=\"Gr\u{fc}\u{df}e.pdf\"\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "Subject: Gr\u{fc}\u{df}e\r\n",
    "From: J\u{f6}rg <j\u{f6}rg@b\u{fc}cher.example>\n",
    "Content-ID: <\u{e9}@x>\r\n",
    "X-A: ascii\r\n",
    "\r\n",
    "\r\n",
    "\n",
    "--a\r\n",
    "--a\r\n",
    "--b\r\n",
    "--a--\r\n",
    "--b--\n",
    "text \u{e9}\r\n",
    "text",
    " fold \u{e9}\r\n",
    "\0",
];

fn message(picks: &[u8]) -> String {
    picks.iter().map(|pick| LINES[usize::from(*pick) % LINES.len()]).collect()
}

fn octets(told: &Told, message: &[u8], section: &Range<u64>, wanted: Range<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in told.pieces(section, wanted) {
        match piece {
            Piece::Stored(range) => out.extend_from_slice(&message[range.start as usize..range.end as usize]),
            Piece::Made(index, range) => out.extend_from_slice(told.made(index, range)),
        }
    }
    out
}

fn inner(part: &Part, all: &mut Vec<Range<u64>>) {
    for child in part.children() {
        all.extend([child.header_start..child.body_start, child.body_start..child.body_end]);
        inner(child, all);
    }
}

/// Sizes, ranges and pieces of any message are those of one text, and no header in it is UTF-8.
#[test]
fn fuzz_what_is_told_fits_together() {
    check!(2_000).with_type::<(Vec<u8>, u8, u8)>().for_each(|(picks, from, length)| {
        let text = message(picks);
        let stored = text.as_bytes();
        let summary = Parser::parse(stored);
        let told = Told::of(stored);
        let whole = 0..stored.len() as u64;
        let all = octets(&told, stored, &whole, 0..u64::MAX);
        assert_eq!(told.size(&whole), all.len() as u64);
        assert_eq!(told.rewrite(0, stored), all.as_slice());
        let by_one: Vec<u8> =
            stored.iter().enumerate().flat_map(|(at, byte)| told.rewrite(at as u64, &[*byte]).into_owned()).collect();
        assert_eq!(by_one, all, "in every cut");
        let mut sections =
            vec![whole.clone(), 0..summary.structure.body_start, summary.structure.body_start..whole.end];
        inner(&summary.structure, &mut sections);
        for section in sections {
            let alone = octets(&told, stored, &section, 0..u64::MAX);
            assert_eq!(alone.len() as u64, told.size(&section));
            let at = told.at(section.start) as usize;
            assert_eq!(alone, all[at..at + alone.len()]);
            let (from, until) = (usize::from(*from).min(alone.len()), usize::from(*from) + usize::from(*length));
            let range = from as u64..until as u64;
            assert_eq!(octets(&told, stored, &section, range), alone[from..until.min(alone.len())]);
        }
        // As it is told, no header has UTF-8: unless a damaged encoding is left out, and what was opaque has parts then.
        if !text.contains("Encoding") {
            let again = Parser::parse(&all);
            assert!(!again.facts.eight_bit_header && !again.facts.has_eight_bit_parts(), "{text:?}");
            assert_eq!(Told::of(&all), Told::default());
        }
        if !summary.facts.limited {
            let mut blocks = Vec::new();
            inner(&summary.structure, &mut blocks);
            let ascii = |block: &Range<u64>| stored[block.start as usize..block.end as usize].is_ascii();
            let headers = blocks.iter().step_by(2);
            assert!(!summary.facts.ascii_parts || headers.clone().all(ascii), "{text:?}");
        }
    });
}
