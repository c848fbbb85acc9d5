//! Hostile and huge messages: the result is bounded, valid and quick to come by.

use postroad_message::{Content, Limits, Parser, Part, Summary};

fn parse_with(limits: Limits, pieces: impl IntoIterator<Item = Vec<u8>>) -> Summary {
    let mut parser = Parser::new(limits);
    pieces.into_iter().for_each(|piece| parser.feed(&piece));
    parser.finish().summary
}

/// Checks the invariants of `Part`; gives the number of parts.
fn check(part: &Part) -> usize {
    assert!(part.header_start <= part.body_start && part.body_start <= part.body_end, "{part:?}");
    let mut at = part.body_start;
    let mut count = 1;
    for child in part.children() {
        assert!(child.header_start >= at && child.body_end <= part.body_end, "{child:?} in {part:?}");
        at = child.body_end;
        count += check(child);
    }
    let message = part.is("message", "rfc822") || part.is("message", "global");
    assert_eq!(message, matches!(part.content, Content::Message(_)));
    assert_eq!(part.content_type == "multipart", matches!(part.content, Content::Multipart(_)));
    assert!(matches!(part.content, Content::Leaf) || !part.children().is_empty());
    count
}

fn depth(part: &Part) -> usize {
    1 + part.children().iter().map(depth).max().unwrap_or(0)
}

#[test]
fn a_hundred_thousand_parts() {
    let head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    let parts = (0..100_000).map(|i| format!("--b\r\nContent-ID: <{i}@x>\r\n\r\ntext {i}\r\n").into_bytes());
    let summary = parse_with(Limits::default(), std::iter::once(head).chain(parts));
    assert_eq!(check(&summary.structure), Limits::default().parts + 1);
    assert!(summary.facts.limited);
    let last = summary.structure.children().last().expect("parts");
    assert!(last.is("application", "octet-stream"));
    assert_eq!(last.body_end, summary.size);
}

#[test]
fn a_thousand_levels() {
    for kind in ["multipart/mixed; boundary=", "message/rfc822; x="] {
        let levels = (0..1000).flat_map(|i| {
            let open = if kind.starts_with("multi") { format!("--b{i}\r\n") } else { String::new() };
            format!("Content-Type: {kind}b{i}\r\n\r\n{open}").into_bytes().into_iter().map(|b| vec![b])
        });
        let summary = parse_with(Limits { depth: 1000, ..Limits::default() }, levels);
        check(&summary.structure);
        assert!(depth(&summary.structure) <= 66, "{}", depth(&summary.structure));
        assert!(summary.facts.limited);
        assert_eq!(Summary::decode(&summary.encode()).as_ref(), Ok(&summary));
    }
}

#[test]
fn ten_megabytes_of_header() {
    let many = (0..400_000).map(|i| format!("X-Field-{i}: value\r\n").into_bytes());
    let summary = parse_with(Limits::default(), many.chain([b"Subject: late\r\n\r\nbody\r\n".to_vec()]));
    assert!(summary.facts.header_cut);
    assert_eq!(summary.envelope.subject, None);
    assert!(!summary.fields.covers("Subject") && !summary.fields.covers("X-Unknown"));
    assert_eq!(summary.preview, "body");

    let long = std::iter::once(b"Subject: ".to_vec()).chain((0..10_000).map(|_| vec![b'x'; 1000]));
    let summary = parse_with(Limits::default(), long.chain([b"\r\nFrom: a@b\r\n\r\n".to_vec()]));
    assert!(summary.facts.header_cut);
    assert!(summary.envelope.subject.is_some_and(|s| s.len() == 8192));
    assert_eq!(summary.envelope.from.len(), 1);

    let folds = std::iter::once(b"To: ".to_vec()).chain((0..500_000).map(|i| format!(" a{i}@b,\r\n").into_bytes()));
    let summary = parse_with(Limits::default(), folds);
    assert!(summary.envelope.to.len() <= 2048);
    assert!(summary.encode().len() < 1 << 20);
}

#[test]
fn many_recipients_of_one_name() {
    let many = (0..50_000).map(|i| format!("To: a{i}@b\r\n").into_bytes());
    let summary = parse_with(Limits::default(), many);
    assert!(!summary.fields.covers("To"));
    assert!(summary.fields.covers("From"));
    assert!(summary.envelope.to.len() <= 2048);
}

#[test]
fn texts_share_one_budget() {
    let head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    let long = "x".repeat(4000);
    let part =
        format!("--b\r\nContent-Type: a/b; c=\"{long}\"; d=\"{long}\"\r\nContent-Description: {long}\r\n\r\n\r\n");
    let parts = (0..1500).map(|_| part.clone().into_bytes());
    let summary = parse_with(Limits::default(), std::iter::once(head).chain(parts));
    check(&summary.structure);
    assert!(summary.encode().len() < 700 << 10, "{}", summary.encode().len());
}

#[test]
fn lines_that_are_nearly_boundaries_cost_no_more() {
    let mut head = String::new();
    for i in 0..30 {
        let boundary = format!("{}{i}", "b".repeat(200));
        head.push_str(&format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n"));
    }
    let line = format!("--{}x\r\n", "b".repeat(200)).into_bytes();
    let summary =
        parse_with(Limits::default(), std::iter::once(head.into_bytes()).chain((0..20_000).map(|_| line.clone())));
    check(&summary.structure);
}

#[test]
fn a_long_dash_line_is_no_boundary_in_any_pieces() {
    let message =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b{}\r\n--b--\r\n", " ".repeat(5000));
    let whole = Parser::parse(message.as_bytes());
    let pieces = parse_with(Limits::default(), message.bytes().map(|b| vec![b]));
    assert_eq!(whole, pieces);
    assert_eq!(check(&whole.structure), 2);
}
