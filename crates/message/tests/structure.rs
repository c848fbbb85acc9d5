//! Structure, offsets, sections: messages and what was found in them.

use postroad_message::{Content, HeaderDate, Limits, Parser, Part, SectionKind, Summary};

/// A part per line: indentation, type, `header..body..end`, lines.
fn shown(part: &Part, depth: usize, out: &mut String) {
    let Part { content_type, subtype, header_start, body_start, body_end, lines, .. } = part;
    let indent = "  ".repeat(depth);
    out.push_str(&format!("{indent}{content_type}/{subtype} {header_start}..{body_start}..{body_end} {lines}\n"));
    for child in part.children() {
        shown(child, depth + 1, out);
    }
}

/// Parses, and checks that pieces of any size give the same.
fn parse(message: &[u8]) -> Summary {
    let whole = Parser::parse(message);
    for size in [1, 2, 3, 7, 64] {
        let mut parser = Parser::new(Limits::default());
        message.chunks(size).for_each(|piece| parser.feed(piece));
        assert_eq!(parser.finish().summary, whole, "in pieces of {size}");
    }
    assert_eq!(Summary::decode(&whole.encode()).as_ref(), Ok(&whole));
    whole
}

fn check(message: &str, expected: &str) -> Summary {
    let summary = parse(message.as_bytes());
    let mut found = String::new();
    shown(&summary.structure, 0, &mut found);
    let expected: String =
        expected.lines().map(|l| l.strip_prefix("        ").unwrap_or(l)).map(|l| format!("{l}\n")).collect();
    assert_eq!(found.trim(), expected.trim(), "{message}");
    summary
}

fn slice(message: &str, summary: &Summary, path: &[u32], kind: SectionKind) -> Option<String> {
    let range = summary.section(path, kind)?;
    Some(message[range.start as usize..range.end as usize].to_owned())
}

#[test]
fn simple_messages() {
    let summary = check("Subject: x\r\n\r\nline one\r\nline two\r\n", "text/plain 0..14..34 2");
    assert_eq!((summary.size, summary.lines), (34, 4));
    assert_eq!(summary.preview, "line one line two");
    check("", "text/plain 0..0..0 0");
    check("\r\n", "text/plain 0..2..2 0");
    check("\n\n", "text/plain 0..1..2 1");
    check("Subject: x", "text/plain 0..10..10 0");
    check("Subject: x\r\n", "text/plain 0..12..12 0");
    check("Subject: x\n\nbare\nlines\n", "text/plain 0..12..23 2");
    check("no header at all\r\njust text\r\n", "text/plain 0..29..29 0");
    check("From a@b Mon Jan  1\r\nSubject: x\r\n\r\ny", "text/plain 0..35..36 0");
    check("Content-Type: nonsense\r\n\r\nx", "text/plain 0..26..27 0");
    check("\r\nno header\r\n", "text/plain 0..2..13 1");
}

/// RFC 2046 §5.1.1
const SIMPLE_MULTIPART: &str = "From: Nathaniel Borenstein <nsb@bellcore.com>\r\n\
    To: Ned Freed <ned@innosoft.com>\r\n\
    Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)\r\n\
    Subject: Sample message\r\n\
    MIME-Version: 1.0\r\n\
    Content-type: multipart/mixed; boundary=\"simple boundary\"\r\n\
    \r\n\
    This is the preamble.  It is to be ignored, though it\r\n\
    is a handy place for composition agents to include an\r\n\
    explanatory note to non-MIME conformant readers.\r\n\
    \r\n\
    --simple boundary\r\n\
    \r\n\
    This is implicitly typed plain US-ASCII text.\r\n\
    It does NOT end with a linebreak.\r\n\
    --simple boundary\r\n\
    Content-type: text/plain; charset=us-ascii\r\n\
    \r\n\
    This is explicitly typed plain US-ASCII text.\r\n\
    It DOES end with a linebreak.\r\n\
    \r\n\
    --simple boundary--\r\n\
    \r\n\
    This is the epilogue.  It is also to be ignored.\r\n";

#[test]
fn rfc_2046_example() {
    let summary = parse(SIMPLE_MULTIPART.as_bytes());
    let text = |path: &[u32], kind| slice(SIMPLE_MULTIPART, &summary, path, kind);
    let first = "This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak.";
    let second = "This is explicitly typed plain US-ASCII text.\r\nIt DOES end with a linebreak.\r\n";
    assert_eq!(text(&[1], SectionKind::Body).as_deref(), Some(first));
    assert_eq!(text(&[2], SectionKind::Body).as_deref(), Some(second));
    assert_eq!(text(&[1], SectionKind::Mime).as_deref(), Some("\r\n"));
    assert_eq!(text(&[2], SectionKind::Mime).as_deref(), Some("Content-type: text/plain; charset=us-ascii\r\n\r\n"));
    assert_eq!(text(&[3], SectionKind::Body), None);
    assert_eq!(text(&[1, 1], SectionKind::Body), None);
    assert_eq!(text(&[1], SectionKind::Header), None);
    assert_eq!(text(&[1], SectionKind::Text), None);
    assert_eq!(text(&[], SectionKind::Mime), None);
    assert_eq!(text(&[0], SectionKind::Body), None);
    assert_eq!(summary.part(&[1]).map(|p| p.lines), Some(1));
    assert_eq!(summary.part(&[2]).map(|p| p.lines), Some(2));
    assert_eq!(summary.date.time().map(|d| d.format()).as_deref(), Some("Sun, 21 Mar 1993 23:56:48 -0800"));
    assert!(summary.preview.starts_with("This is implicitly typed"));
    assert!(!summary.has_attachment);
}

#[test]
fn boundaries_in_all_conditions() {
    let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    assert_eq!(head.len(), 45);
    let with = |body: &str, expected: &str| check(&format!("{head}{body}"), expected);
    // well formed, empty body part
    with("--b\r\n\r\n--b--", "multipart/mixed 0..45..57 2\n  text/plain 50..52..52 0");
    // no closing delimiter
    with("--b\r\n\r\nx\r\n", "multipart/mixed 0..45..55 3\n  text/plain 50..52..55 1");
    // padding, and what is no boundary
    with(
        "--b \t\r\n\r\nx\r\n--bb\r\n--b-\r\n--b x\r\n--b--\r\n",
        "multipart/mixed 0..45..83 7\n  text/plain 52..54..74 3",
    );
    // boundary in the header: the blank line is missing
    with("--b\r\nX: y\r\n--b--\r\n", "multipart/mixed 0..45..63 3\n  text/plain 50..56..56 0");
    // bare line feeds
    with("--b\n\nx\n\n--b--\n", "multipart/mixed 0..45..59 5\n  text/plain 49..50..52 1");
    // after the close, another boundary is epilogue
    with("--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n", "multipart/mixed 0..45..72 7\n  text/plain 50..52..53 0");
    // no parts at all
    with("", "multipart/mixed 0..45..45 0\n  text/plain 45..45..45 0");
    with("text\r\n", "multipart/mixed 0..45..51 1\n  text/plain 45..45..51 1");
    with("--b--\r\n", "multipart/mixed 0..45..52 1\n  text/plain 45..45..52 1");
    // the message ends in the boundary line, or just after it
    with("--b", "multipart/mixed 0..45..48 0\n  text/plain 48..48..48 0");
    with("--b\r\n", "multipart/mixed 0..45..50 1\n  text/plain 50..50..50 0");
    with("--b\r\nA: b", "multipart/mixed 0..45..54 1\n  text/plain 50..54..54 0");
    check(
        "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n",
        "multipart/mixed 0..33..43 3\n  text/plain 33..33..43 3",
    );
    check(
        "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\nx",
        "multipart/mixed 0..46..53 2\n  text/plain 46..46..53 2",
    );
}

#[test]
fn an_outer_boundary_ends_inner_parts() {
    check(
        "Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\nContent-Type: multipart/alternative; boundary=abc\r\n\r\n--abc\r\n\r\none\r\n--ab\r\n\r\ntwo\r\n--abc\r\nthree\r\n--ab--\r\n",
        "multipart/mixed 0..46..154 12
          multipart/alternative 52..105..117 2
            text/plain 112..114..117 0
          text/plain 125..127..144 2",
    );
}

#[test]
fn nested_messages() {
    let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: a@b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nhello\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>\r\n--c--\r\n--b\r\n\r\nlast\r\n--b--\r\n";
    let summary = check(
        message,
        "multipart/mixed 0..45..232 19
          message/rfc822 50..82..210 11
            multipart/mixed 82..154..210 7
              text/plain 159..161..166 0
              text/html 173..200..203 0
          text/plain 217..219..223 0",
    );
    let text = |path: &[u32], kind| slice(message, &summary, path, kind);
    assert_eq!(
        text(&[1], SectionKind::Header).as_deref(),
        Some("Subject: inner\r\nFrom: a@b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n")
    );
    assert!(text(&[1], SectionKind::Text).is_some_and(|t| t.starts_with("--c\r\n") && t.ends_with("--c--")));
    assert_eq!(text(&[1, 1], SectionKind::Body).as_deref(), Some("hello"));
    assert_eq!(text(&[1, 2], SectionKind::Body).as_deref(), Some("<p>"));
    assert_eq!(text(&[1, 2], SectionKind::Mime).as_deref(), Some("Content-Type: text/html\r\n\r\n"));
    assert_eq!(text(&[1, 3], SectionKind::Body), None);
    assert_eq!(text(&[2], SectionKind::Body).as_deref(), Some("last"));
    let Some(Part { content: Content::Message(nested), .. }) = summary.part(&[1]) else {
        panic!("part 1 is a message")
    };
    assert_eq!(nested.envelope.subject.as_deref(), Some("inner"));
    assert_eq!(nested.envelope.from.len(), 1);
    assert!(summary.has_attachment);
}

#[test]
fn a_message_in_a_message_without_multiparts() {
    let message = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n";
    let summary = check(message, "message/rfc822 0..32..53 3\n  text/plain 32..47..53 1");
    let text = |path: &[u32], kind| slice(message, &summary, path, kind);
    assert_eq!(text(&[1], SectionKind::Body).as_deref(), Some("Subject: in\r\n\r\nbody\r\n"));
    assert_eq!(text(&[1, 1], SectionKind::Body).as_deref(), Some("body\r\n"));
    assert_eq!(text(&[1], SectionKind::Header).as_deref(), Some("Subject: in\r\n\r\n"));
    assert_eq!(text(&[1], SectionKind::Text).as_deref(), Some("body\r\n"));
    assert_eq!(text(&[1, 1, 1], SectionKind::Body), None);
}

/// RFC 9051 §6.4.5.1 gives the numbers of this shape.
#[test]
fn rfc_9051_section_numbers() {
    let leaf = |kind: &str| format!("Content-Type: {kind}\r\n\r\n{kind}\r\n");
    let inner = format!(
        "Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n{}--i\r\n{}--i--\r\n",
        leaf("text/plain"),
        leaf("application/octet-stream")
    );
    let image_message = format!(
        "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n{}--m\r\nContent-Type: message/rfc822\r\n\r\n{}--m--\r\n",
        leaf("image/gif"),
        inner.replace("boundary=i", "boundary=j").replace("--i", "--j")
    );
    let message = format!(
        "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n{}--o\r\n{}--o\r\nContent-Type: message/rfc822\r\n\r\n{inner}--o\r\n{image_message}--o--\r\n",
        leaf("text/plain"),
        leaf("application/octet-stream")
    );
    let summary = parse(message.as_bytes());
    for (path, kind) in [
        (&[1][..], "text/plain"),
        (&[2], "application/octet-stream"),
        (&[3], "message/rfc822"),
        (&[3, 1], "text/plain"),
        (&[3, 2], "application/octet-stream"),
        (&[4], "multipart/mixed"),
        (&[4, 1], "image/gif"),
        (&[4, 2], "message/rfc822"),
        (&[4, 2, 1], "text/plain"),
        (&[4, 2, 2], "application/octet-stream"),
    ] {
        let part = summary.part(path).unwrap_or_else(|| panic!("{path:?}"));
        assert_eq!(format!("{}/{}", part.content_type, part.subtype), kind, "{path:?}");
        if part.children().is_empty() {
            assert_eq!(slice(&message, &summary, path, SectionKind::Body).as_deref(), Some(kind));
        }
    }
}

#[test]
fn digests_hold_messages() {
    check(
        "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: one\r\n\r\nx\r\n--b\r\nContent-Type: text/plain\r\n\r\ny\r\n--b--\r\n",
        "multipart/digest 0..46..115 10
          message/rfc822 51..53..70 2
            text/plain 53..69..70 0
          text/plain 77..105..106 0",
    );
}

#[test]
fn an_encoded_message_is_not_looked_into() {
    let summary = check(
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQo=\r\n",
        "message/rfc822 0..67..89 1\n  text/plain 67..67..67 0",
    );
    assert_eq!(summary.structure.encoding.as_str(), "BASE64");
}

#[test]
fn part_fields() {
    let summary = parse(b"Content-Type: image/png; name=\"a.png\"\r\nContent-ID: <id@x>\r\nContent-Description: a\r\n picture\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Disposition: ATTACHMENT; filename*=utf-8''%C3%A4.png; size=3\r\nContent-Language: de, en\r\nContent-Location: http://x/\r\nContent-Transfer-Encoding: Base64\r\n\r\nAAAA");
    let part = &summary.structure;
    assert!(part.is("image", "png"));
    assert_eq!(part.id.as_deref(), Some("<id@x>"));
    assert_eq!(part.description.as_deref(), Some("a picture"));
    assert_eq!(part.md5.as_deref(), Some("Q2hlY2sgSW50ZWdyaXR5IQ=="));
    assert_eq!(part.disposition.as_ref().map(|d| d.kind.as_str()), Some("attachment"));
    assert_eq!(part.file_name().as_deref(), Some("ä.png"));
    assert_eq!(part.language, ["de", "en"]);
    assert_eq!(part.location.as_deref(), Some("http://x/"));
    assert_eq!(part.encoding.as_str(), "BASE64");
    assert!(summary.has_attachment);
}

#[test]
fn envelopes() {
    let summary = parse(b"date: nonsense\r\nSubject: =?utf-8?q?=C3=A4?=\r\n b\r\nFROM: A <a@b>\r\nFrom: second <s@t>\r\nTo: c@d\r\nTo: e@f\r\nMessage-ID: <1@x>\r\nIn-Reply-To: <0@x>\r\n\r\n");
    let envelope = &summary.envelope;
    assert_eq!(summary.date, HeaderDate::Invalid);
    assert_eq!(envelope.date.as_deref(), Some("nonsense"));
    assert_eq!(envelope.subject.as_deref(), Some("=?utf-8?q?=C3=A4?= b"));
    assert_eq!(envelope.subject_text(), "ä b");
    assert_eq!((envelope.from.len(), envelope.to.len()), (1, 2));
    assert_eq!(envelope.sender_or_from(), envelope.from);
    assert_eq!(envelope.reply_to_or_from(), envelope.from);
    assert_eq!(summary.message_id().as_deref(), Some("1@x"));
}

#[test]
fn facts_about_the_octets() {
    let facts = |bytes: &[u8]| {
        let f = parse(bytes).facts;
        (f.eight_bit_header, f.eight_bit_body, f.nul, f.bare_lf)
    };
    assert_eq!(facts(b"A: b\r\n\r\nc\r\n"), (false, false, false, false));
    assert_eq!(facts(b"A: \xe4\r\n\r\nc\r\n"), (true, false, false, false));
    assert_eq!(facts(b"A: b\r\n\r\n\xe4\r\n"), (false, true, false, false));
    assert_eq!(facts(b"A: b\r\n\r\n\0\r\n"), (false, false, true, false));
    assert_eq!(facts(b"A: b\r\n\r\nc\nd\r\n"), (false, false, false, true));
    assert_eq!(facts(b"\nA"), (false, false, false, true));
    assert_eq!(facts(b"A: \xe4"), (true, false, false, false));
}
