//! Built messages are what was asked for when they are parsed again.

use postroad_message::build::Builder;
use postroad_message::decode::text_of;
use postroad_message::{Parser, SectionKind, Summary};

fn text(message: &[u8], summary: &Summary, path: &[u32]) -> String {
    let range = summary.section(path, SectionKind::Body).expect("a part");
    text_of(summary.part(path).expect("a part"), &message[range.start as usize..range.end as usize])
}

#[test]
fn text_messages() {
    let long = "word ".repeat(400);
    let umlauts = "größer ".repeat(60);
    for (body, encoding, expected) in [
        ("Hello\nWorld\n", "7BIT", "Hello\r\nWorld\r\n"),
        ("no end", "7BIT", "no end\r\n"),
        ("", "7BIT", ""),
        (
            "Grüße = 1\n.dot\nFrom here\ntrailing \n",
            "QUOTED-PRINTABLE",
            "Grüße = 1\r\n.dot\r\nFrom here\r\ntrailing \r\n",
        ),
        ("日本語のテキスト", "BASE64", "日本語のテキスト\r\n"),
        (&long, "QUOTED-PRINTABLE", &format!("{long}\r\n")),
        (&umlauts, "BASE64", &format!("{umlauts}\r\n")),
        ("a\rb", "7BIT", "a b\r\n"),
    ] {
        let message = Builder::message().field("Subject", "Grüße").text("plain", body).build();
        let summary = Parser::parse(&message);
        assert_eq!(summary.structure.encoding.as_str(), encoding, "{body}");
        assert_eq!(text(&message, &summary, &[1]), expected);
        assert_eq!(summary.envelope.subject_text(), "Grüße");
        assert!(!summary.facts.bare_lf && !summary.facts.eight_bit_body && !summary.facts.eight_bit_header);
        assert!(String::from_utf8_lossy(&message).lines().all(|l| l.len() <= 998));
    }
}

#[test]
fn a_delivery_report() {
    let original = b"Subject: lost\r\nFrom: a@b\r\n\r\n";
    let message = Builder::message()
        .addresses("From", &[(Some("Mail Delivery System"), "postmaster@example.test")])
        .addresses("To", &[(None, "a@b"), (Some("Jörg"), "j@example.test")])
        .field("Subject", "Undelivered mail")
        .raw("Auto-Submitted", "auto-replied")
        .multipart(
            "multipart/report; report-type=delivery-status",
            vec![
                Builder::part().text("plain", "It could not be delivered.\n"),
                Builder::part().body("message/delivery-status", b"Reporting-MTA: dns; x\r\n\r\nAction: failed\r\n"),
                Builder::part().body("text/rfc822-headers", original),
            ],
        )
        .build();
    let summary = Parser::parse(&message);
    assert!(summary.structure.is("multipart", "report"));
    assert_eq!(summary.structure.param("report-type").as_deref(), Some("delivery-status"));
    let kinds: Vec<String> =
        summary.structure.children().iter().map(|p| format!("{}/{}", p.content_type, p.subtype)).collect();
    assert_eq!(kinds, ["text/plain", "message/delivery-status", "text/rfc822-headers"]);
    assert_eq!(text(&message, &summary, &[1]), "It could not be delivered.\r\n");
    assert_eq!(text(&message, &summary, &[3]).as_bytes(), original);
    assert_eq!(summary.envelope.to.len(), 2);
    assert_eq!(summary.preview, "It could not be delivered.");
    assert!(!summary.has_attachment);
}

#[test]
fn nothing_adds_a_field_or_a_part() {
    let evil = "x\r\nBcc: victim@example.test\r\n\r\nbody";
    let message = Builder::message()
        .field("Subject", evil)
        .raw("X-Raw", evil)
        .addresses("To", &[(Some(evil), "a@b")])
        .text("plain", "--=_0000000000000000--\n")
        .build();
    let summary = Parser::parse(&message);
    assert!(summary.envelope.bcc.is_empty());
    assert!(!postroad_message::header::has(&message, "Bcc"));
}

#[test]
fn attachments_carry_names() {
    for name in ["a.pdf", "quo\"te.pdf", "übung.pdf", "日本.pdf"] {
        let message = Builder::message().attachment("application/pdf", Some(name), b"\0\xff").build();
        let summary = Parser::parse(&message);
        assert_eq!(summary.structure.file_name().as_deref(), Some(name));
        assert!(summary.has_attachment);
    }
}
