//! Header blocks, encoded words, parameters: tables of what is written and what it means.

use postroad_message::Param;
use postroad_message::header::{
    EndFinder, content_type, decode, encode_field, fields, has, param, remove, select, select_not, text, unfold,
};

const BLOCK: &[u8] = b"From x Mon Jan  1 00:00:00 2001\r\nSubject: a\r\n b\r\nbcc : x@y\r\nno colon here\r\nTo: c@d\r\nBCC: z\r\n w\r\n\r\nbody: no\r\n";

#[test]
fn fields_are_split_and_put_together_again() {
    let all: Vec<_> = fields(BLOCK).collect();
    let names: Vec<&[u8]> = all.iter().map(|f| f.name).collect();
    assert_eq!(names, [&b""[..], b"Subject", b"bcc", b"", b"To", b"BCC"]);
    assert_eq!(all[1].value, b" a\r\n b");
    let raw: Vec<u8> = all.iter().flat_map(|f| f.raw.to_vec()).collect();
    assert_eq!([&raw[..], b"\r\nbody: no\r\n"].concat(), BLOCK);
}

#[test]
fn bcc_is_removed_and_all_else_kept() {
    let expected =
        b"From x Mon Jan  1 00:00:00 2001\r\nSubject: a\r\n b\r\nno colon here\r\nTo: c@d\r\n\r\nbody: no\r\n";
    assert_eq!(remove(BLOCK, &["Bcc"]), expected);
    assert!(has(BLOCK, "BCC"));
    assert!(!has(BLOCK, "body"));
    assert_eq!(remove(BLOCK, &["Cc"]), BLOCK);
}

#[test]
fn selections_end_with_a_blank_line() {
    assert_eq!(select(BLOCK, &["TO", "subject"]), b"Subject: a\r\n b\r\nTo: c@d\r\n\r\n");
    assert_eq!(select_not(BLOCK, &["TO", "bcc"]), b"Subject: a\r\n b\r\n\r\n");
    assert_eq!(select(BLOCK, &["x"]), b"\r\n");
    assert_eq!(select(b"To: a", &["to"]), b"To: a\r\n\r\n");
}

#[test]
fn the_end_of_the_header_is_found_in_any_pieces() {
    for (message, end) in [
        (&b"a: b\r\n\r\nx"[..], Some(8)),
        (b"a: b\n\nx", Some(6)),
        (b"\r\nx", Some(2)),
        (b"\nx", Some(1)),
        (b"a: b\r\n", None),
        (b"a: b\r\n\rx\r\n\r\n", Some(12)),
        (b"a\r\r\n\r\n", Some(6)),
    ] {
        for cut in 0..=message.len() {
            let mut finder = EndFinder::new();
            let first = finder.feed(&message[..cut]);
            let found = first.or_else(|| finder.feed(&message[cut..]).map(|n| n + cut));
            assert_eq!(found, end, "{message:?} cut at {cut}");
        }
    }
}

#[test]
fn folding_is_undone() {
    for (folded, plain) in [
        (&b" a\r\n b"[..], &b"a b"[..]),
        (b" a\n\tb ", b"a\tb"),
        (b"a\nb", b"a b"),
        (b"a\r\n  b\r\n", b"a  b"),
        (b"", b""),
    ] {
        assert_eq!(unfold(folded).as_ref(), plain);
    }
    assert_eq!(text(b" caf\xe9"), "café");
    assert_eq!(text("café".as_bytes()), "café");
    assert_eq!(text(b"a\0b"), "a b");
}

#[test]
fn encoded_words_are_decoded() {
    for (raw, expected) in [
        // RFC 2047 §8
        ("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        ("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
        ("=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
        (
            "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example.",
        ),
        ("(=?ISO-8859-1?Q?a?=)", "(a)"),
        ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
        ("(=?ISO-8859-1?Q?a?=  \r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
        ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        // RFC 2231 §5
        ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        // a character split between words of one charset
        ("=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "€"),
        ("=?utf-8?q?=E2=82?= =?UTF-8?q?=AC?=", "€"),
        // broken in common ways
        ("=?utf-8?Q?spaces in it?=", "spaces in it"),
        ("=?utf-8?B?4oKs", "=?utf-8?B?4oKs"),
        ("=?utf-8?B?4oKs?=", "€"),
        ("=?utf-8?B?4oKsYQ?=", "€a"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?Q?a=ZZ=4?=", "a=ZZ=4"),
        ("=?utf-8?Q?what??=", "what?"),
        ("=?no-such?Q?abc?=", "abc"),
        ("=?utf-8?Q?open =?utf-8?Q?ok?=", "=?utf-8?Q?open ok"),
        ("a=?utf-8?Q?b?=c", "abc"),
        ("=?utf-8?Q??=", ""),
        ("=?utf-8?Q?=00=0D=0Ax?=", "   x"),
        ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        ("=?utf-7?Q?+AOQ-?=", "ä"),
        ("=?utf-8?B?7aC9?=", "\u{fffd}\u{fffd}\u{fffd}"),
        ("=?", "=?"),
        ("=??=", "=??="),
        ("plain", "plain"),
        ("=?utf-8?q?a?= \t", "a"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
    ] {
        assert_eq!(decode(raw.as_bytes()), expected, "{raw}");
    }
    assert_eq!(decode(b"caf\xe9 =?utf-8?q?=C3=A9?="), "café é");
}

#[test]
fn many_unfinished_words_are_read_in_linear_time() {
    for piece in ["=?a?Q?x", "=?", "=?a?Q?", "=?a?Q??", "=?aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let raw = piece.repeat(200_000);
        assert!(decode(raw.as_bytes()).len() <= raw.len() * 3);
    }
}

#[test]
fn what_is_encoded_is_short_and_decodes_to_itself() {
    let long = "Grüße aus Köln und überall sonst auf der weiten Welt, wo es schön ist ".repeat(5);
    for value in [
        "plain words",
        "Grüße",
        "日本語の件名です。これはとても長いので、いくつかの符号化語に分けられます。",
        long.trim(),
        "a literal =?utf-8?q?x?= word",
        "ends with ü",
        "ü begins",
        "one ü two ü three",
        "emoji 👩‍👩‍👧‍👦 family",
    ] {
        let line = encode_field("Subject", value);
        assert!(line.is_ascii());
        assert!(line.ends_with("\r\n"));
        assert!(line.lines().all(|l| l.len() <= 78), "{line}");
        assert_eq!(decode(&line.as_bytes()["Subject:".len()..]), value);
    }
    assert_eq!(encode_field("Subject", "a\r\nBcc: x"), "Subject: a  Bcc: x\r\n".replace("  ", " "));
}

fn check_param(field: &str, name: &str, expected: Option<&str>) {
    let (_, _, params) = content_type(field.as_bytes()).expect("a content type");
    assert_eq!(param(&params, name).as_deref(), expected, "{field}");
}

#[test]
fn parameters_are_read() {
    // RFC 2231 §3 and §4
    check_param(
        "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
        "url",
        Some("ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"),
    );
    check_param(
        "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
        "title",
        Some("This is ***fun***"),
    );
    check_param(
        "application/x-stuff;\r\n title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n title*2=\"isn't it!\"",
        "title",
        Some("This is even more ***fun*** isn't it!"),
    );
    // in the wild
    check_param("text/plain; charset=utf-8 (Unicode)", "charset", Some("utf-8"));
    check_param("text/plain; charset = \"utf-8\"", "CHARSET", Some("utf-8"));
    check_param("text/plain;; charset=utf-8;", "charset", Some("utf-8"));
    check_param("text/plain charset=utf-8", "charset", Some("utf-8"));
    check_param("application/pdf; name=my file.pdf; x=y", "name", Some("my file.pdf"));
    check_param("application/pdf; name=\"a\\\"b.pdf\"", "name", Some("a\"b.pdf"));
    check_param("application/pdf; name=\"C:\\dir\\file\"", "name", Some("C:\\dir\\file"));
    check_param("application/pdf; name=\"=?utf-8?Q?=C3=A4.pdf?=\"", "name", Some("ä.pdf"));
    check_param("application/pdf; name=\"unclosed", "name", Some("unclosed"));
    check_param("application/pdf; name*=ISO-8859-1''%E4.pdf; name=x", "name", Some("ä.pdf"));
    check_param("application/pdf; name*1=b; name*0=a; name*3=lost", "name", Some("ab"));
    check_param("application/pdf; name*=%C3%A4", "name", Some("ä"));
    check_param("application/pdf; (comment; name=no) name=yes", "name", Some("yes"));
    check_param("application/pdf", "name", None);
    assert_eq!(content_type(b"TEXT / Html"), Some(("text".into(), "html".into(), vec![])));
    assert_eq!(content_type(b"text").map(|t| t.1).as_deref(), Some("plain"));
    for broken in [&b""[..], b"/", b"foo", b";charset=x", b"(text/plain", b"\"text/plain\""] {
        assert_eq!(content_type(broken), None, "{broken:?}");
    }
}

#[test]
fn a_hostile_piece_number_is_no_piece() {
    let list =
        [Param { name: "a*99999999999".into(), value: "x".into() }, Param { name: "a*x*".into(), value: "y".into() }];
    assert_eq!(param(&list, "a"), None);
}
