//! What is stored: fields, prepending, preview, attachments, the stored form.

use postroad_message::{Error, HeaderDate, Parser, Part, SectionKind, Summary, SummaryView};

const MESSAGE: &[u8] = b"Received: from x\r\n by y\r\nFrom: A <a@b>\r\nTO: c@d\r\nSubject: hello\r\n  there\r\nX-Odd: 1\r\nTo: e@f\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\nReferences: <1@x>\r\n <2@x>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nThe text.\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n--b--\r\n";
const HEAD: &[u8] =
    b"Return-Path: <a@b>\r\nDelivered-To: c@d\r\nReceived: from z\r\n by w\r\nReceived-SPF: pass\r\nX-New: 1\r\n";

#[test]
fn fields_are_answered_only_if_they_are_covered() {
    let fields = Parser::parse(MESSAGE).fields;
    assert_eq!(
        fields.select(&["to", "Subject"]).as_deref(),
        Some(&b"TO: c@d\r\nSubject: hello\r\n  there\r\nTo: e@f\r\n\r\n"[..])
    );
    assert_eq!(fields.select(&["Cc", "X-Not-There"]).as_deref(), Some(&b"\r\n"[..]));
    // There are such fields, but they are not kept.
    for name in ["Received", "x-odd", "X-ODD"] {
        assert!(!fields.covers(name));
        assert_eq!(fields.select(&["From", name]), None);
    }
    assert_eq!(fields.value("subject"), Some(&b" hello\r\n  there"[..]));
    assert_eq!(fields.values("To"), [b" c@d", b" e@f"]);
    assert_eq!(fields.value("Received"), None);
}

#[test]
fn kept_fields_equal_those_of_the_message() {
    let summary = Parser::parse(MESSAGE);
    for names in [&["From"][..], &["To", "Date"], &["References", "Subject", "Cc"], &[]] {
        assert_eq!(
            summary.fields.select(names).as_deref(),
            Some(&postroad_message::header::select(MESSAGE, names)[..])
        );
    }
}

#[test]
fn long_fields_are_not_kept_and_not_covered() {
    let message = format!("From: a@b\r\nReferences: {}\r\n\r\n", "<a@b> ".repeat(5000));
    let fields = Parser::parse(message.as_bytes()).fields;
    assert!(fields.covers("From") && !fields.covers("References"));
    let bulky = format!("{}To: a@b\r\n\r\n", format!("DKIM-Signature: {}\r\n", "x".repeat(3000)).repeat(4));
    let fields = Parser::parse(bulky.as_bytes()).fields;
    assert!(fields.covers("To") && !fields.covers("DKIM-Signature"));
    assert_eq!(fields.values("DKIM-Signature").len(), 2);
}

#[test]
fn prepending_is_the_same_as_parsing_the_whole() {
    for (head, message) in
        [(HEAD, MESSAGE), (&b"A: b\r\n"[..], b""), (b"", MESSAGE), (HEAD, b"\r\nbody"), (HEAD, b"Subject: only\r\n")]
    {
        let whole = Parser::parse(&[head, message].concat());
        let mut later = Parser::parse(message);
        later.prepend(head);
        assert_eq!(later, whole);
    }
    let mut summary = Parser::parse(MESSAGE);
    summary.prepend(HEAD);
    let range = summary.section(&[2], SectionKind::Header).expect("a nested message");
    let whole = [HEAD, MESSAGE].concat();
    assert_eq!(&whole[range.start as usize..range.end as usize], b"Subject: in\r\n\r\n");
    assert_eq!(summary.section(&[], SectionKind::Body), Some(0..whole.len() as u64));
}

#[test]
fn the_stored_form_is_read_back_whole_and_in_pieces() {
    let summary = Parser::parse(MESSAGE);
    let stored = summary.encode();
    assert_eq!(Summary::decode(&stored).as_ref(), Ok(&summary));
    let view = SummaryView::new(&stored).expect("stored by us");
    assert_eq!(view.envelope().as_ref(), Ok(&summary.envelope));
    assert_eq!(view.structure().as_ref(), Ok(&summary.structure));
    assert_eq!(view.fields().as_ref(), Ok(&summary.fields));
    assert_eq!(view.preview(), Ok("The text."));
    assert_eq!((view.size, view.lines, view.date), (summary.size, summary.lines, summary.date));
    assert_eq!(view.body_start, summary.structure.body_start);
    assert!(matches!(view.date, HeaderDate::Valid(_)) && view.has_attachment);
    assert!(stored.len() < 700, "{}", stored.len());
}

#[test]
fn damaged_stored_forms_are_errors() {
    let stored = Parser::parse(MESSAGE).encode();
    for length in 0..stored.len() {
        assert!(Summary::decode(&stored[..length]).is_err(), "cut at {length}");
    }
    assert_eq!(Summary::decode(b"\x02rest"), Err(Error::SummaryVersion(2)));
    // Any octet changed: a value or an error, never a panic, and what comes out can be stored again.
    for at in 0..stored.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = stored.clone();
            damaged[at] ^= flip;
            if let Ok(summary) = Summary::decode(&damaged) {
                assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
            }
        }
    }
}

/// On-disk format, version 1: a summary stored then must be read for ever.
#[test]
fn version_one_is_stable() {
    let stored = concat!(
        "01 11 03 00 00 00 0e 0b 29 22 01 ",
        // envelope: no date, subject "x", six empty lists, no ids
        "00 02 78 00 00 00 00 00 00 00 00 ",
        // structure: offsets, lines, type, subtype, parameter, encoding, nothing else, leaf
        "00 0e 03 01 04 74657874 05 706c61696e 01 07 63686172736574 08 75732d6173636969 00 00 00 00 00 00 00 00 ",
        // fields: 76 names known, all complete, no others, one kept
        "4c 00 00000000000000000000000000000000 00 01 06 0c 5375626a6563743a20780d0a ",
        // preview
        "79"
    )
    .replace(' ', "");
    let octet = |at: usize| u8::from_str_radix(&stored[at..at + 2], 16).expect("hexadecimal");
    let stored: Vec<u8> = (0..stored.len()).step_by(2).map(octet).collect();
    let summary = Summary::decode(&stored).expect("version 1");
    let parsed = Parser::parse(b"Subject: x\r\n\r\ny\r\n");
    assert_eq!((&summary.envelope, &summary.structure), (&parsed.envelope, &parsed.structure));
    assert_eq!((summary.size, summary.lines, summary.preview.as_str()), (17, 3, "y"));
    assert_eq!(summary.fields.select(&["subject", "From"]).as_deref(), Some(&b"Subject: x\r\n\r\n"[..]));
    assert_eq!(parsed.encode()[..11], stored[..11]);
}

fn preview(message: &str) -> String {
    Parser::parse(message.as_bytes()).preview
}

#[test]
fn previews() {
    let long = "word ".repeat(100);
    let cases = [
        ("\r\nHello,\r\n\r\n  World\t!\r\n".to_owned(), "Hello, World !"),
        ("\r\n> quoted\r\nown\r\n".to_owned(), "own"),
        ("\r\n> only quoted\r\n".to_owned(), "> only quoted"),
        ("Content-Type: text/html\r\n\r\n<style>x{}</style><p>Hi&nbsp;<b>you</b>&zwnj;\u{200b}</p>".to_owned(), "Hi you"),
        ("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw6TDtg==\r\n".to_owned(), "äö"),
        ("Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n=E4=\r\n=F6".to_owned(), "äö"),
        ("Content-Type: image/png\r\n\r\nxx".to_owned(), ""),
        ("Content-Disposition: attachment\r\n\r\nxx".to_owned(), ""),
        (
            "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html\r\n--b\r\n\r\nplain\r\n--b--"
                .to_owned(),
            "plain",
        ),
        (
            "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html\r\n--b--"
                .to_owned(),
            "html",
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\r\ninner\r\n--b\r\n\r\nouter\r\n--b--"
                .to_owned(),
            "outer",
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(preview(&message), expected, "{message}");
    }
    let cut = preview(&format!("\r\n{long}"));
    assert!(cut.chars().count() <= 200 && cut.chars().count() >= 195 && cut.ends_with("word"));
    assert_eq!(preview(&format!("\r\n{}", "é".repeat(500))).chars().count(), 200);
}

#[test]
fn attachments() {
    let multipart = |kind: &str, parts: &[&str]| {
        let parts: String = parts.iter().map(|p| format!("--b\r\n{p}\r\n\r\nx\r\n")).collect();
        Parser::parse(format!("Content-Type: multipart/{kind}; boundary=b\r\n\r\n{parts}--b--\r\n").as_bytes())
            .has_attachment
    };
    const TEXT: &str = "Content-Type: text/plain";
    const HTML: &str = "Content-Type: text/html";
    const PDF: &str = "Content-Type: application/pdf";
    const PICTURE: &str = "Content-Type: image/png\r\nContent-ID: <1>\r\nContent-Disposition: inline";
    for (kind, parts, expected) in [
        ("mixed", &[TEXT, PDF][..], true),
        ("mixed", &[TEXT, HTML], false),
        ("alternative", &[TEXT, HTML], false),
        ("related", &[HTML, PICTURE], false),
        ("related", &[HTML, PDF], true),
        ("mixed", &[TEXT, "Content-Type: text/plain\r\nContent-Disposition: attachment"], true),
        ("mixed", &[TEXT, "Content-Type: text/plain\r\nContent-Disposition: inline; filename=a.txt"], true),
        ("signed", &[TEXT, "Content-Type: application/pgp-signature; name=x"], false),
        ("report", &[TEXT, "Content-Type: message/delivery-status", "Content-Type: text/rfc822-headers"], false),
        ("mixed", &[TEXT, "Content-Type: message/rfc822"], true),
    ] {
        assert_eq!(multipart(kind, parts), expected, "{kind} {parts:?}");
    }
}

#[test]
fn text_of_a_part() {
    let part = |content_type: &str| -> Part {
        Parser::parse(
            format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n").as_bytes(),
        )
        .structure
    };
    let text = |content_type: &str, body: &[u8]| postroad_message::decode::text_of(&part(content_type), body);
    assert_eq!(text("text/plain; charset=iso-8859-1", b"caf=E9"), "café");
    assert_eq!(text("text/html; charset=utf-8", b"<p>caf=C3=A9</p>"), "café");
    assert_eq!(text("text/html", b"<meta charset=3Dkoi8-r>=D0=D2=C9"), "при");
    assert_eq!(text("text/html", b"<META content=3D'text/html; charset=3DISO-8859-2'>=B1"), "ą");
    assert_eq!(text("text/html", b"<p charset=3Dkoi8-r>\xe9"), "é");
    assert_eq!(text("image/png", b"x"), "");
}
