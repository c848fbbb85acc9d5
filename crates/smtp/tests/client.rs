//! Replays `tests/client_transcripts/*.smtp`, in which the script is the server. Lines:
//! `!` settings · `S:` a line of the server, CR LF added · `R:` raw bytes with `\r \n \0 \xNN` escapes, `{n*c}` repeats ·
//! `C:` a line of the client, exactly (`*` at its end: any rest) · `T:` TLS is there · `>` the caller sends a message, whose
//! text is the `B:` line after it (escapes as in `R:`) · `U:` … and hears why it cannot · `X:` closed, timeout, abandon, quit ·
//! `D:` `E:` what the caller is told of a transaction and of the end · `P:` how many seconds the client waits · `#` a comment.
//!
//! Each file is replayed with the server's bytes and the message whole, octet by octet, and in pieces of seven octets: the
//! client's bytes and what it tells must be the same. A transcript ends when all of both was seen.

mod escapes;
mod remote;

use std::path::Path;

use escapes::unescape;
use remote::{Drive, settings, transaction};

#[derive(Debug)]
enum Line {
    Server(Vec<u8>),
    Client(String),
    Tls,
    Send { words: String, body: Vec<u8> },
    Unsuited { words: String, why: String },
    Caller(String),
    Event(String),
    Patience(u64),
}

#[test]
fn every_transcript_replays_in_every_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client_transcripts");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("a text file");
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let (words, lines) = parse(&name, &text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for cut in [usize::MAX, 1, 7] {
            replay(&format!("{name} in pieces of {cut}"), &words, &lines, cut);
        }
        count += 1;
    }
    assert!(count >= 20, "transcripts are missing: {count}");
}

fn replay(name: &str, words: &[&str], lines: &[Line], cut: usize) {
    let mut drive = Drive::new(settings(words), cut);
    let (mut read, mut told) = (0, 0);
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        match line {
            Line::Server(bytes) => {
                // What the server says without waiting for the client comes in one piece.
                let mut said = bytes.clone();
                while let Some(Line::Server(more)) = lines.get(at) {
                    said.extend_from_slice(more);
                    at += 1;
                }
                drive.feed(&said);
            }
            Line::Tls => drive.secured(),
            Line::Send { words, body } => {
                assert!(drive.ready, "{name}: entry {at}: not ready");
                assert_eq!(drive.send(transaction(words), body.clone()), Ok(()), "{name}: entry {at}");
            }
            Line::Unsuited { words, why } => {
                let got = drive.send(transaction(words), Vec::new()).map_err(|why| why.to_string());
                assert_eq!(got.as_ref(), Err(why), "{name}: entry {at}");
            }
            Line::Caller(what) => {
                match what.as_str() {
                    "closed" => drive.client.closed(),
                    "timeout" => drive.client.timed_out(),
                    "abandon" => drive.client.abandon(),
                    "quit" => drive.client.quit(),
                    other => panic!("{name}: what is {other:?}?"),
                }
                drive.run();
            }
            Line::Event(expect) => {
                assert_eq!(drive.events.get(told), Some(expect), "{name}: entry {at}");
                told += 1;
            }
            Line::Patience(seconds) => assert_eq!(drive.client.patience().as_secs(), *seconds, "{name}: entry {at}"),
            Line::Client(expect) => {
                let rest = drive.output[read.min(drive.output.len())..].escape_ascii().to_string();
                let got = rest.split("\\r\\n").next().unwrap_or_default();
                let length = drive.output[read.min(drive.output.len())..]
                    .windows(2)
                    .position(|window| window == b"\r\n")
                    .map_or(usize::MAX / 2, |end| end + 2);
                read += length;
                let fits = match expect.strip_suffix('*') {
                    Some(prefix) => got.starts_with(prefix),
                    None => got == expect,
                };
                assert!(fits && read <= drive.output.len(), "{name}: entry {at}: expected {expect:?}, got {got:?}");
            }
        }
    }
    let rest = drive.output[read..].escape_ascii().to_string();
    assert_eq!(rest, "", "{name}: the client said more");
    assert_eq!(told, drive.events.len(), "{name}: more was told: {:?}", &drive.events[told..]);
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
            "> " => lines.push(Line::Send { words: line[2..].to_owned(), body: Vec::new() }),
            "B:" => match lines.last_mut() {
                Some(Line::Send { body, .. }) => body.extend(unescape(rest)),
                _ => panic!("{name}: a message without envelope"),
            },
            "U:" => match lines.pop() {
                Some(Line::Send { words, .. }) => lines.push(Line::Unsuited { words, why: rest.to_owned() }),
                _ => panic!("{name}: nothing was sent"),
            },
            "S:" => lines.push(Line::Server(format!("{rest}\r\n").into_bytes())),
            "R:" => lines.push(Line::Server(unescape(rest))),
            "C:" => lines.push(Line::Client(rest.to_owned())),
            "T:" => lines.push(Line::Tls),
            "X:" => lines.push(Line::Caller(rest.to_owned())),
            "D:" | "E:" => lines.push(Line::Event(line.to_owned())),
            "P:" => lines.push(Line::Patience(rest.parse().expect("seconds"))),
            _ => panic!("{name}: what is {line:?}?"),
        }
    }
    (words, lines)
}
