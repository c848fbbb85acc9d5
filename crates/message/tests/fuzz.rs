//! Properties that hold for any octets.

use std::sync::atomic::{AtomicUsize, Ordering};

use postroad_fuzz::check;
use postroad_message::address::Address;
use postroad_message::date::{Date, DateTime};
use postroad_message::decode::{Decoder, Encoding, charset, html_to_text, html_to_text_limited, transfer};
use postroad_message::downgrade::Survey;
use postroad_message::{
    Content, Envelope, EnvelopeReader, Error, Inside, Limits, Param, Parser, Part, SectionKind, StructureReader,
    Summary, SummaryView, address, header, thread,
};

const INPUTS: u64 = 2000;

/// Pieces that parsers care about: random octets alone never make a multipart.
const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "--",
    "--b",
    "--b\r\n",
    "\r\n--b\r\n",
    "\r\n--b\r\n\r\n",
    "\n--c\n",
    "\r\n--",
    "--b--\r\n",
    "--c\r\n",
    "\r\n--c--",
    " ",
    "\t",
    ":",
    ";",
    "=",
    "\"",
    "<",
    ">",
    "(",
    ")",
    ",",
    "@",
    "Content-Type: ",
    "multipart/mixed; boundary=b",
    "multipart/digest; boundary=c",
    "multipart/alternative; boundary=\"b\"",
    "message/rfc822",
    "text/html",
    "text/plain",
    "Content-Transfer-Encoding: base64\r\n",
    "quoted-printable",
    "Content-Transfer-Encoding: 8bit\r\n",
    "\nContent-Transfer-Encoding : binary (x)\r\n y\r\n",
    "MIME-Version: 1.0\r\n",
    "multipart/signed; boundary=c",
    "message/global",
    "\r\n.\r\nFrom ",
    "-- \r\n",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "Subject: ",
    "From: a@b\r\n",
    "To: ",
    "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n",
    "References: <1@x>\r\n",
    "=?utf-8?q?",
    "=?iso-2022-jp?B?",
    "?=",
    "name*0*=utf-8''",
    "%41",
    "=41",
    "é",
    "\0",
    "<style>",
    "&amp;",
    "Re: ",
    "[x]",
    "x",
    "\u{feff}",
];

/// What messages begin with, so that most of them have parts.
const HEADS: &[&str] = &[
    "",
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    "Content-Type: multipart/digest; boundary=c\r\n\r\n--c\r\n\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nx",
    "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n",
];

/// One of the heads, then words (most octets pick one) and raw octets.
fn message(seed: &[u8]) -> Vec<u8> {
    let head = seed.first().map_or(0, |&byte| usize::from(byte) % HEADS.len());
    let mut out = HEADS[head].as_bytes().to_vec();
    for &byte in seed.iter().skip(1) {
        match byte {
            0..230 => out.extend_from_slice(WORDS[usize::from(byte) % WORDS.len()].as_bytes()),
            _ => out.push(byte),
        }
    }
    out
}

fn check_part(part: &Part, end: u64) {
    assert!(part.header_start <= part.body_start && part.body_start <= part.body_end && part.body_end <= end);
    assert!(part.lines <= part.body_size());
    let mut at = part.body_start;
    for child in part.children() {
        assert!(child.header_start >= at);
        check_part(child, part.body_end);
        at = child.body_end;
    }
    assert_eq!(part.content_type == "multipart", matches!(part.content, Content::Multipart(_)));
    assert!(matches!(part.content, Content::Leaf) || !part.children().is_empty());
}

fn check_sections(summary: &Summary) {
    for path in [&[][..], &[1], &[2], &[1, 1], &[1, 2], &[2, 1], &[1, 1, 1], &[u32::MAX], &[0]] {
        for kind in [SectionKind::Body, SectionKind::Header, SectionKind::Text, SectionKind::Mime] {
            if let Some(range) = summary.section(path, kind) {
                assert!(range.start <= range.end && range.end <= summary.size);
            }
        }
    }
}

#[test]
fn fuzz_parser() {
    check!(INPUTS).with_type::<(Vec<u8>, u8, u8)>().for_each(|(seed, size, few)| {
        let message = message(seed);
        let limits = match few {
            0..200 => Limits::default(),
            _ => Limits {
                parts: 3,
                depth: 2,
                header_bytes: 100,
                field_bytes: 20,
                kept_bytes: 50,
                text_bytes: 60,
                preview_chars: 5,
            },
        };
        let mut whole = Parser::new(limits);
        whole.feed(&message);
        let whole = whole.finish().summary;
        let mut pieces = Parser::new(limits);
        message.chunks(usize::from(*size).max(1)).for_each(|piece| pieces.feed(piece));
        assert_eq!(pieces.finish().summary, whole);

        assert_eq!(whole.size, message.len() as u64);
        assert_eq!(whole.lines, message.iter().filter(|b| **b == b'\n').count() as u64);
        assert_eq!((whole.structure.header_start, whole.structure.body_end), (0, whole.size));
        assert_eq!(whole.facts.eight_bit_header || whole.facts.eight_bit_body, !message.is_ascii());
        check_part(&whole.structure, whole.size);
        check_sections(&whole);
        let _keys = whole.thread_keys();
        let stored = whole.encode();
        assert_eq!(Summary::decode(&stored), Ok(whole));
    });
}

#[test]
fn fuzz_kept_fields_equal_the_block() {
    check!(INPUTS).with_type::<Vec<u8>>().for_each(|seed| {
        let message = message(seed);
        let fields = Parser::parse(&message).fields;
        for names in [&["Subject"][..], &["Content-Type", "To", "From"], &["x", "Nothing"]] {
            if let Some(selected) = fields.select(names) {
                assert_eq!(selected, header::select(&message, names));
            }
        }
    });
}

#[test]
fn fuzz_prepend() {
    const HEAD: &[u8] = b"Return-Path: <a@b>\r\nReceived: from x\r\n by y\r\nX-Other: z\r\n";
    check!(INPUTS).with_type::<Vec<u8>>().for_each(|seed| {
        let message = message(seed);
        // A message that begins with a fold continues the last field before it.
        if matches!(message.first(), Some(b' ' | b'\t')) {
            return;
        }
        let mut later = Parser::parse(&message);
        later.prepend(HEAD);
        assert_eq!(later, Parser::parse(&[HEAD, &message].concat()));
    });
}

#[test]
fn fuzz_stored_form() {
    check!(INPUTS).with_type::<Vec<u8>>().for_each(|bytes| {
        let mut stored = vec![1];
        stored.extend_from_slice(bytes);
        for bytes in [&bytes[..], &stored[..]] {
            check_readers(bytes);
            if let Ok(summary) = Summary::decode(bytes) {
                assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
            }
        }
    });
}

#[test]
fn fuzz_damaged_stored_form() {
    let base = b"From: A <a@b>\r\nTo: g:c@d;\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n";
    let stored = Parser::parse(base).encode();
    check!(INPUTS).with_type::<Vec<(u16, u8)>>().for_each(|changes| {
        let mut damaged = stored.clone();
        for (at, byte) in changes {
            let at = usize::from(*at) % damaged.len();
            damaged[at] = *byte;
        }
        check_readers(&damaged);
        if let Ok(summary) = Summary::decode(&damaged) {
            check_sections_total(&summary);
            assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
        }
    });
}

/// What is read without copying is what is decoded, and an error where that is one.
fn check_readers(stored: &[u8]) {
    let Ok(view) = SummaryView::new(stored) else { return };
    let read = view.read_envelope(|read| {
        let list = |read: &mut EnvelopeReader<'_, '_>| {
            let mut all = Vec::new();
            let count = read.addresses(|address| all.push(Address::from(address)))?;
            assert_eq!(count, all.len());
            Ok(all)
        };
        let text = |read: &mut EnvelopeReader<'_, '_>| read.text().map(|text| text.map(str::to_owned));
        Ok(Envelope {
            date: text(read)?,
            subject: text(read)?,
            from: list(read)?,
            sender: list(read)?,
            reply_to: list(read)?,
            to: list(read)?,
            cc: list(read)?,
            bcc: list(read)?,
            in_reply_to: text(read)?,
            message_id: text(read)?,
        })
    });
    assert_eq!(read, view.envelope());
    let mut structure = view.read_structure();
    let read = words(&mut structure, 0).and_then(|words| structure.end().map(|()| words));
    assert_eq!(read, view.structure().map(|part| words_of(&part)));
    if let Ok(part) = view.structure() {
        let stored = part.encode();
        assert_eq!(words(&mut StructureReader::of(&stored), 0), Ok(words_of(&part)));
    }
}

/// All that a structure's reader tells.
fn words(structure: &mut StructureReader<'_>, depth: usize) -> Result<String, Error> {
    let part = structure.part(depth)?;
    let params: Vec<&str> = part.params.into_iter().collect();
    let disposition = part.disposition.map(|(kind, params)| (kind, params.into_iter().collect::<Vec<_>>()));
    let language: Vec<&str> = part.language.into_iter().collect();
    assert_eq!((params.len(), language.len()), (part.params.len(), part.language.len()));
    let texts = (part.id, part.description, part.md5, part.location);
    let mut said = format!(
        "{} {} {} {} {params:?} {} {texts:?} {disposition:?} {language:?};",
        part.body_size, part.lines, part.content_type, part.subtype, part.encoding
    );
    match part.inside {
        Inside::Nothing => {}
        Inside::Parts(count) => {
            for _ in 0..count {
                said += &words(structure, depth + 1)?;
            }
        }
        Inside::Message => {
            let mut envelope = structure.envelope();
            said += &format!("{:?} {:?}", envelope.text()?, envelope.text()?);
            for _ in 0..6 {
                envelope.addresses(|_| {})?;
            }
            envelope.text()?;
            envelope.text()?;
            said += &words(structure, depth + 1)?;
        }
    }
    Ok(said)
}

/// The same of a part.
fn words_of(part: &Part) -> String {
    let both = |params: &[Param]| -> Vec<String> {
        params.iter().flat_map(|param| [param.name.clone(), param.value.clone()]).collect()
    };
    let disposition = part.disposition.as_ref().map(|known| (known.kind.as_str(), both(&known.params)));
    let texts = (&part.id, &part.description, &part.md5, &part.location);
    let mut said = format!(
        "{} {} {} {} {:?} {} {texts:?} {disposition:?} {:?};",
        part.body_size(),
        part.lines,
        part.content_type,
        part.subtype,
        both(&part.params),
        part.encoding.as_str(),
        part.language
    );
    if let Content::Message(nested) = &part.content {
        said += &format!("{:?} {:?}", nested.envelope.date, nested.envelope.subject);
    }
    said + &part.children().iter().map(words_of).collect::<String>()
}

fn check_sections_total(summary: &Summary) {
    for path in [&[][..], &[1], &[1, 1]] {
        for kind in [SectionKind::Body, SectionKind::Header, SectionKind::Text, SectionKind::Mime] {
            assert!(summary.section(path, kind).is_none_or(|range| range.start <= range.end));
        }
    }
}

#[test]
fn fuzz_header() {
    check!(INPUTS).with_type::<Vec<u8>>().for_each(|seed| {
        let block = message(seed);
        let raw: Vec<u8> = header::fields(&block).flat_map(|f| f.raw.to_vec()).collect();
        assert!(block.starts_with(&raw));
        assert_eq!(header::remove(&block, &["no-such-name"]), block);
        assert!(!header::has(&header::remove(&block, &["Subject"]), "Subject"));
        let end = header::EndFinder::new().feed(&block);
        assert!(end.is_none_or(|end| end <= block.len() && end > raw.len()));
        let text = header::decode(&block);
        assert!(!text.contains(['\0', '\n', '\r']));
        let _type = header::content_type(&block);
        let _disposition = header::content_disposition(&block);
    });
}

#[test]
fn fuzz_encode_field() {
    check!(INPUTS).with_type::<String>().for_each(|value| {
        let line = header::encode_field("Subject", value);
        assert!(line.is_ascii() && line.ends_with("\r\n"));
        assert_eq!(header::fields(line.as_bytes()).count(), 1);
        let clean: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let words = |text: &str| text.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&header::decode(&line.as_bytes()[8..])), words(&clean));
    });
}

#[test]
fn fuzz_address() {
    check!(INPUTS).with_type::<Vec<u8>>().for_each(|seed| {
        let value = message(seed);
        let list = address::parse(&value);
        let starts = list.iter().filter(|a| matches!(a, address::Address::GroupStart(_))).count();
        let ends = list.iter().filter(|a| matches!(a, address::Address::GroupEnd)).count();
        assert_eq!(starts, ends);
        let _formatted = address::format(&list);
        let _hosts: Vec<_> = address::mailboxes(&list).map(|m| m.host_ascii()).collect();
    });
}

#[test]
fn fuzz_decoders_take_any_pieces() {
    check!(INPUTS).with_type::<(Vec<u8>, u8)>().for_each(|(seed, size)| {
        let body = message(seed);
        for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::Uuencode, Encoding::Binary] {
            let mut out = Vec::new();
            let mut decoder = Decoder::new(&encoding);
            body.chunks(usize::from(*size).max(1)).for_each(|piece| decoder.feed(piece, &mut out));
            decoder.finish(&mut out);
            assert_eq!(out, postroad_message::decode::transfer(&encoding, &body));
        }
    });
}

#[test]
fn fuzz_text() {
    check!(INPUTS).with_type::<Vec<u8>>().for_each(|seed| {
        let octets = message(seed);
        for label in [None, Some("utf-7"), Some("iso-2022-jp"), Some("gb18030"), Some("utf-16be")] {
            let _text = charset(label, &octets);
        }
        let text = String::from_utf8_lossy(&octets);
        let visible = html_to_text(&text);
        assert!(visible.starts_with(html_to_text_limited(&text, 10).trim_end()));
        let base = thread::base_subject(&text);
        assert_eq!(base.text.trim(), base.text);
        let _ids = thread::message_ids(&octets, 5);
    });
}

#[test]
fn fuzz_dates() {
    check!(INPUTS).with_type::<(Vec<u8>, i64, i16)>().for_each(|(seed, micros, offset)| {
        if let Some(date) = DateTime::parse(seed) {
            assert_eq!(DateTime::parse(date.format().as_bytes()), Some(date));
        }
        let _imap = (DateTime::parse_imap(seed), Date::parse_imap(seed));
        // Whole seconds of the years 1900 to 9999 and zones of less than a day are written and read back.
        let seconds = micros.rem_euclid(200_000_000_000) - 2_000_000_000;
        let date = DateTime { micros: seconds * 1_000_000, offset_minutes: offset % 1440 };
        assert_eq!(DateTime::parse(date.format().as_bytes()), Some(date));
        assert_eq!(DateTime::parse_imap(date.format_imap().as_bytes()), Some(date));
        let any = DateTime { micros: *micros, offset_minutes: *offset };
        let _formatted = (any.format(), any.format_imap(), any.local_date());
    });
}

/// What was converted is seven bits, and decoded it is what it was.
#[test]
fn fuzz_downgrade_keeps_every_part() {
    let reached = [const { AtomicUsize::new(0) }; 3];
    check!(INPUTS).with_type::<(Vec<u8>, u8, bool)>().for_each(|(seed, cut, lines)| {
        let message = message(seed);
        let survey = |size: usize| {
            let mut survey = if *lines { Survey::for_lines() } else { Survey::new() };
            message.chunks(size).for_each(|piece| survey.feed(piece));
            survey.finish()
        };
        let plan = survey(usize::MAX);
        let cut = usize::from(*cut).max(1);
        assert_eq!(survey(cut), plan, "the cut changes the plan");
        let reach = |number: usize, yes: bool| reached[number].fetch_add(usize::from(yes), Ordering::Relaxed);
        let Ok(plan) = plan else { return };
        let convert = |size: usize| {
            let (mut converter, mut out) = (plan.converter(), Vec::new());
            message.chunks(size).for_each(|piece| converter.feed(piece, &mut out));
            converter.finish(&mut out);
            out
        };
        let out = convert(usize::MAX);
        assert!(convert(cut) == out, "the cut changes the result");
        assert!(out.iter().all(|&byte| byte != 0 && (*lines || byte < 0x80)), "not converted");
        assert_eq!(plan.is_empty(), out == message);
        let count = |bytes: &[u8], word: &str| memchr::memmem::find_iter(bytes, word).count();
        let more = |word: &str| count(&out, word) > count(&message, word);
        reach(0, more("Encoding: quoted-printable\r\n"));
        reach(1, more("Encoding: base64\r\n"));
        reach(2, more("?"));
        let (before, after) = (Parser::parse(&message), Parser::parse(&out));
        same_part(&before.structure, &message, &after.structure, &out);
    });
    assert!(reached.iter().all(|reached| reached.load(Ordering::Relaxed) > 0), "{reached:?}");
}

fn same_part(before: &Part, message: &[u8], after: &Part, converted: &[u8]) {
    assert_eq!((&before.content_type, &before.subtype), (&after.content_type, &after.subtype));
    assert_eq!((&before.disposition, &before.id), (&after.disposition, &after.id));
    let body = |part: &Part, bytes: &[u8]| {
        let range = usize::try_from(part.body_start).expect("small")..usize::try_from(part.body_end).expect("small");
        transfer(&part.encoding, &bytes[range])
    };
    match (&before.content, &after.content) {
        (Content::Multipart(before), Content::Multipart(after)) => {
            assert_eq!(before.len(), after.len());
            before.iter().zip(after).for_each(|(before, after)| same_part(before, message, after, converted));
        }
        (Content::Message(one), Content::Message(other))
            if before.subtype != "global" && after.encoding.is_identity() =>
        {
            same_part(&one.child, message, &other.child, converted);
        }
        (Content::Leaf, Content::Leaf) | (Content::Message(_), Content::Message(_)) => {
            let (before, after) = (body(before, message), body(after, converted));
            assert_eq!(before.escape_ascii().to_string(), after.escape_ascii().to_string());
        }
        _ => panic!("another structure"),
    }
}
