//! Replays `tests/transcripts/*.smtp`. Lines:
//! `!` settings · `C:` a line of the client, CR LF added · `R:` raw bytes with `\r \n \0 \xNN` escapes,
//! `{n*c}` repeats · `S:` a line of the server, exactly (`*` at its end: any rest) · `T:` TLS is there ·
//! `E:` the server closed · `W:` what the world saw next · `#` a comment.
//!
//! Each file is replayed line by line, in one piece, octet by octet, and in pieces of seven octets: the
//! server's bytes and the world's view must be the same.

mod common;
mod escapes;

use std::path::Path;

use common::{Drive, offer, peer, settings, tls};
use escapes::unescape;

#[derive(Debug)]
enum Line {
    Client(Vec<u8>),
    Server(String),
    Tls,
    End,
    World(String),
}

#[test]
fn every_transcript_replays_in_every_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("a text file");
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        check(&name, &text);
        count += 1;
    }
    assert!(count >= 12, "transcripts are missing: {count}");
}

fn check(name: &str, text: &str) {
    let (words, lines) = parse(name, text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let expected = replay(name, &words, &lines);
    for size in [usize::MAX, 1, 7] {
        let mut drive = open(&words);
        for piece in pieces(&lines, size) {
            match piece {
                Some(bytes) => drive.feed(&bytes),
                None => drive.secured(),
            }
        }
        let got = (drive.output.escape_ascii().to_string(), drive.session.world.log);
        assert_eq!(got, expected, "{name} in pieces of {size}");
    }
}

fn open(words: &[&str]) -> Drive {
    let implicit = words.contains(&"tls").then(tls);
    Drive::offering(settings(words), peer("203.0.113.9:4711"), implicit, offer(words))
}

/// Line by line, compared with what the transcript says.
fn replay(name: &str, words: &[&str], lines: &[Line]) -> (String, Vec<String>) {
    let mut drive = open(words);
    let (mut read, mut seen) = (0, 0);
    for (number, line) in lines.iter().enumerate() {
        match line {
            Line::Client(bytes) => drive.feed(bytes),
            Line::Tls => drive.secured(),
            Line::End => assert!(drive.closed, "{name}: entry {number}: still open"),
            Line::World(expect) => {
                let log = &drive.session.world.log;
                assert_eq!(log.get(seen), Some(expect), "{name}: entry {number}");
                seen += 1;
            }
            Line::Server(expect) => {
                let rest = String::from_utf8_lossy(&drive.output[read..]).into_owned();
                let got = rest.split("\r\n").next().unwrap_or_default();
                read += got.len() + 2;
                let fits = match expect.strip_suffix('*') {
                    Some(prefix) => got.starts_with(prefix),
                    None => got == expect,
                };
                assert!(fits, "{name}: entry {number}: expected {expect:?}, got {got:?}");
            }
        }
    }
    assert_eq!(
        read,
        drive.output.len(),
        "{name}: unexpected {:?}",
        drive.output[read.min(drive.output.len())..].escape_ascii().to_string()
    );
    assert_eq!(seen, drive.session.world.log.len(), "{name}: {:?}", drive.session.world.log);
    (drive.output.escape_ascii().to_string(), drive.session.world.log)
}

/// All that the client sends, cut anew; `None` where TLS begins.
fn pieces(lines: &[Line], size: usize) -> Vec<Option<Vec<u8>>> {
    let mut pieces = Vec::new();
    for stretch in lines.split(|line| matches!(line, Line::Tls)) {
        let mut bytes = Vec::new();
        for line in stretch {
            if let Line::Client(more) = line {
                bytes.extend_from_slice(more);
            }
        }
        pieces.extend(bytes.chunks(size).map(|piece| Some(piece.to_vec())));
        pieces.push(None);
    }
    pieces.pop();
    pieces
}

fn parse(name: &str, text: &str) -> (Vec<String>, Vec<Line>) {
    let mut words = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match mark {
            "" => {}
            _ if line.starts_with('#') => {}
            _ if line.starts_with('!') => words.extend(line[1..].split_whitespace().map(str::to_owned)),
            "C:" => lines.push(Line::Client(format!("{rest}\r\n").into_bytes())),
            "R:" => lines.push(Line::Client(unescape(rest))),
            "S:" => lines.push(Line::Server(rest.to_owned())),
            "W:" => lines.push(Line::World(rest.to_owned())),
            "T:" => lines.push(Line::Tls),
            "E:" => lines.push(Line::End),
            _ => panic!("{name}: what is {line:?}?"),
        }
    }
    (words, lines)
}
