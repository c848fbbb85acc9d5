//! Formats under bytes that nobody chose.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;

use postroad_archive::source::{Content, Folder, Format, Found, Problem, Reading, Skipped, Source, Visit};
use postroad_archive::wire::{self, Kind};
use postroad_archive::{Result, export, folder, newline};
use serde_json::json;

#[derive(Default)]
struct All {
    messages: Vec<Vec<u8>>,
    problems: usize,
}

impl Visit for All {
    fn folder(&mut self, _: &Folder, _: bool) -> Result<()> {
        Ok(())
    }
    fn message(&mut self, found: Found) -> Result<()> {
        if let Content::Whole(bytes) = found.content {
            self.messages.push(bytes);
        }
        Ok(())
    }
    fn skipped(&mut self, _: Skipped) {}

    fn problem(&mut self, _: Problem) -> Result<()> {
        self.problems += 1;
        Ok(())
    }
    fn worked(&mut self, _: u64) {}
}

fn read(path: &Path, format: Format) -> All {
    let mut all = All::default();
    if let Ok(source) = Source::find(path, Reading { format: Some(format), ..Reading::default() }) {
        source.visit(&mut all).unwrap();
    }
    all
}

/// What an export of these messages writes.
fn written(path: &Path, format: Format, messages: &[Vec<u8>]) {
    let mut frames = Vec::new();
    let mailbox = json!({ "name": "INBOX", "uidvalidity": 7, "messages": messages.len() });
    wire::write_json(&mut frames, Kind::Folder, &mailbox).unwrap();
    for (uid, bytes) in (1..).zip(messages) {
        let meta = json!({ "uid": uid, "flags": uid % 32, "keywords": ["a"], "received": uid * 1_000_000, "was_crlf": false, "bare_lf": false, "size": 0 });
        wire::write_message(&mut frames, &meta, bytes).unwrap();
    }
    wire::write(&mut frames, Kind::End, &[]).unwrap();
    let sink = std::io::sink();
    let (report, result) = export::write(path, format, export::Newline::Kept, frames.as_slice(), sink, &mut |_| {});
    result.unwrap();
    assert_eq!((report.written, report.problems.len()), (messages.len() as u64, 0));
}

/// Bytes out of a few pieces that mean something in these formats.
fn spelled(choices: &[u8]) -> Vec<u8> {
    const PIECES: [&[u8]; 14] = [
        b"\n",
        b"\r\n",
        b"\r",
        b"From ",
        b">",
        b"From a@b Tue Mar  5 10:10:10 2019",
        b"A: b",
        b"Status: RO",
        b" ",
        b"\0",
        b"X-Postroad: 5 crlf",
        b"Content-Length: 2",
        b"x",
        b"F",
    ];
    choices.iter().flat_map(|choice| PIECES[usize::from(*choice) % PIECES.len()]).copied().collect()
}

#[test]
fn fuzz_messages_survive_an_mbox_and_a_maildir() {
    postroad_fuzz::check!(1_000).with_type::<Vec<Vec<u8>>>().for_each(|choices| {
        let messages: Vec<Vec<u8>> = choices.iter().take(6).map(|choices| spelled(choices)).collect();
        // LF is what both are written with; what has a bare LF stays as it is.
        let expected: Vec<Vec<u8>> =
            messages.iter().map(|bytes| newline::to_lf(bytes).unwrap_or_else(|| bytes.clone())).collect();
        let folder = tempfile::tempdir().unwrap();
        for format in [Format::Mbox, Format::Maildir] {
            let path = folder.path().join(format.name());
            written(&path, format, &messages);
            let all = read(&path, format);
            assert_eq!(all.messages, expected, "{format:?}");
            assert_eq!(all.problems, 0);
        }
    });
}

#[test]
fn fuzz_any_file_is_read_as_an_mbox_or_a_message() {
    let folder = tempfile::tempdir().unwrap();
    postroad_fuzz::check!(1_500).with_type::<(bool, Vec<u8>)>().for_each(|(pieces, bytes)| {
        let bytes = if *pieces { spelled(bytes) } else { bytes.clone() };
        for (name, format) in [("a.mbox", Format::Mbox), ("a.eml", Format::Eml), ("a.emlx", Format::Eml)] {
            let path = folder.path().join(name);
            fs::write(&path, &bytes).unwrap();
            let all = read(&path, format);
            assert!(all.messages.iter().map(Vec::len).sum::<usize>() <= bytes.len());
            fs::remove_file(&path).unwrap();
        }
    });
}

#[test]
fn fuzz_newlines_are_undone() {
    postroad_fuzz::check!(2_000).with_type::<Vec<u8>>().for_each(|choices| {
        let bytes = spelled(choices);
        if newline::of(&bytes) == newline::Newlines::Lf {
            assert_eq!(newline::to_lf(&newline::to_crlf(&bytes)), Some(bytes));
        }
    });
}

#[test]
fn fuzz_every_folder_has_a_mailbox_and_a_way_back() {
    postroad_fuzz::check!(2_000).with_type::<Vec<String>>().for_each(|levels| {
        let levels: Vec<String> = levels.iter().take(30).cloned().collect();
        let (name, changed) = folder::mailbox_name(&levels);
        if changed {
            return;
        }
        let levels: Vec<&str> = name.as_str().split('/').collect();
        for level in &levels {
            assert_eq!(folder::decode_level(folder::encode_level(level).as_bytes()), *level);
            if folder::plain_level(level).len() < 200 {
                let decoded = folder::decode_level(folder::plain_level(level).as_bytes());
                assert_eq!(decoded, *level);
            }
        }
        let file = folder::maildir_name(&levels);
        assert!(file.len() <= 255 && file.is_ascii());
    });
}

#[test]
fn fuzz_frames_end_in_an_error_or_in_order() {
    postroad_fuzz::check!(2_000).with_type::<Vec<u8>>().for_each(|bytes| {
        let mut from = bytes.as_slice();
        while let Ok((kind, frame)) = wire::read(&mut from) {
            let mut again = Vec::new();
            wire::write(&mut again, kind, &[&frame]).unwrap();
            assert_eq!(wire::read(&mut again.as_slice()).unwrap(), (kind, frame));
        }
    });
}
