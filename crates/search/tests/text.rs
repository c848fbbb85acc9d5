//! What is text in a message, by example; and what hostile messages may cost.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use postroad_message::{Limits, Parser};
use postroad_search::office::{self, Office};
use postroad_search::{Place, Walk};

/// The text of a document that may be unpacked whole.
fn unpacked(office: Office, archive: &[u8]) -> String {
    office::text(office, archive, &mut { office::UNPACKED_MAX })
}

/// A ZIP archive of these files, deflated or stored.
fn archive(files: &[(&str, &[u8])], deflated: bool) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let data = if deflated {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        } else {
            content.to_vec()
        };
        let offset = out.len() as u32;
        let method = if deflated { 8u16 } else { 0 };
        let common = |to: &mut Vec<u8>| {
            to.extend([20, 0, 0, 0]);
            to.extend(method.to_le_bytes());
            to.extend([0; 8]);
            to.extend((data.len() as u32).to_le_bytes());
            to.extend((content.len() as u32).to_le_bytes());
            to.extend((name.len() as u16).to_le_bytes());
            to.extend([0, 0]);
        };
        out.extend(b"PK\x03\x04");
        common(&mut out);
        out.extend(name.as_bytes());
        out.extend(&data);
        directory.extend(b"PK\x01\x02\x14\x00");
        common(&mut directory);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, length) = (out.len() as u32, directory.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0\0\0\0\0");
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

#[test]
fn documents_have_text() {
    let word = br#"<?xml version="1.0"?><w:document xmlns:w="x"><w:body><w:p><w:r><w:t>Hel</w:t></w:r><w:r><w:t>lo &amp; K&#xF6;ln</w:t></w:r></w:p>
        <w:p><w:r><w:instrText>HIDDEN</w:instrText><w:tab/><w:t>next</w:t></w:r></w:p></w:body></w:document>"#;
    let open = "<office:text xmlns:office='x' xmlns:text='y'><text:p>Grüße<text:s/>aus <text:span>Wien</text:span></text:p></office:text>";
    for deflated in [true, false] {
        let docx = archive(&[("[Content_Types].xml", b"<x>NOT THIS</x>"), ("word/document.xml", word)], deflated);
        let text = unpacked(Office::Ooxml, &docx);
        assert!(text.contains("Hello & Köln\n") && text.contains("next"), "{text:?}");
        assert!(!text.contains("HIDDEN") && !text.contains("NOT THIS"), "{text:?}");
        let odt = archive(&[("content.xml", open.as_bytes())], deflated);
        assert!(unpacked(Office::OpenDocument, &odt).contains("Grüße aus Wien\n"));
    }
    let sheet = br#"<sst><si><t>Umsatz</t></si><si><r><t>2</t></r><r><t>026</t></r></si></sst>"#;
    let xlsx = archive(&[("xl/sharedStrings.xml", sheet)], true);
    assert_eq!(unpacked(Office::Ooxml, &xlsx), "Umsatz\n2026\n");
}

#[test]
fn archives_that_claim_too_much_cost_little() {
    let bomb = [b"<t>".to_vec(), vec![b'a'; 17 << 20], b"</t>".to_vec()].concat();
    let packed = archive(&[("word/document.xml", &bomb), ("word/footnotes.xml", b"<t>behind it</t>")], true);
    assert!(packed.len() < 1 << 20, "it is a bomb");
    let text = unpacked(Office::Ooxml, &packed);
    assert!(text.len() <= 16 << 20 && !text.contains("behind it"));
    // A directory that leads back into itself, and a document that wants entities expanded.
    let cut = archive(&[("word/document.xml", b"<t>x</t>")], true);
    for length in 0..cut.len() {
        let _ = unpacked(Office::Ooxml, &cut[..length]);
    }
    let laughs = b"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><p><t>&b;&b; end</t></p>";
    assert_eq!(unpacked(Office::Ooxml, &archive(&[("word/document.xml", laughs)], true)), " end\n");
}

/// A document of 20 KB may claim to be 16 MB of text; a message of a few megabytes has hundreds of them.
#[test]
fn many_bombs_in_a_message_cost_no_more_than_one() {
    let bomb = archive(&[("word/document.xml", &[b"<t>".to_vec(), vec![b'a'; 7 << 20]].concat())], true);
    let small = archive(&[("word/document.xml", b"<t>late</t>")], true);
    let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for document in [&bomb, &bomb, &bomb, &bomb, &bomb, &small] {
        message.extend(b"--b\r\nContent-Type: application/x; name=a.docx\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        message.extend(base64(document).into_bytes());
        message.extend(b"\r\n");
    }
    message.extend(b"--b\r\n\r\nwords of people\r\n--b--\r\n");
    let mut parser = Parser::new(Limits::default());
    parser.feed(&message);
    let root = parser.finish().summary.structure;
    let mut walk = Walk::new(&root, true, true, 64);
    let (mut told, mut found) = (0, false);
    while let Some(range) = walk.wants() {
        walk.take(&message[range.start as usize..range.end as usize], &mut |_, text| {
            told += text.len() as u64;
            found |= text.contains("words of people");
        });
    }
    assert!(found, "what is no bomb is told");
    assert_eq!(walk.unpacked(), office::UNPACKED_MAX);
    assert!(told <= office::UNPACKED_MAX + message.len() as u64 * 2, "{told}");
}

/// All texts of a message, with `H` before those of its header.
fn texts(message: &[u8]) -> Vec<String> {
    let mut parser = Parser::new(Limits::default());
    parser.feed(message);
    let root = parser.finish().summary.structure;
    let mut walk = Walk::new(&root, true, true, 64);
    let mut all = Vec::new();
    while let Some(range) = walk.wants() {
        let octets = &message[range.start as usize..range.end as usize];
        walk.take(octets, &mut |place, text| {
            let mark = if matches!(place, Place::Header(_)) { "H" } else { "B" };
            all.push(format!("{mark} {text}"));
        });
    }
    all
}

#[test]
fn texts_of_parts() {
    let head = "Subject: =?utf-8?q?gr=C3=BCn?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    let parts = [
        (
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            "K=F6ln=\r\n am Rhein",
            "Köln am Rhein",
        ),
        ("Content-Type: text/html\r\n", "<meta charset=koi8-r><p>\u{d0}\u{d2}", "meta"),
        ("Content-Type: message/delivery-status\r\n", "Final-Recipient: rfc822; x@y\r\n", "Final-Recipient"),
        ("Content-Type: application/json\r\n", "{\"key\": 1}", "{\"key\""),
        ("Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n", "aABpAA==", "hi"),
        ("Content-Type: message/rfc822\r\n", "Subject: inner\r\n\r\nwithin", "inner"),
        ("Content-Type: image/png; name=\"holiday.png\"\r\n", "secret", "holiday.png"),
    ];
    let mut message = head.to_owned();
    for (fields, body, _) in parts {
        message.push_str(&format!("--b\r\n{fields}\r\n{body}\r\n"));
    }
    message.push_str("--b--\r\n");
    let found = texts(message.as_bytes());
    assert!(found[0].starts_with("H Subject:") && found[0].contains("grün"));
    for (_, _, text) in parts {
        assert!(found.iter().any(|found| found.starts_with('B') && found.contains(text)), "{text} in {found:?}");
    }
    assert!(!found.iter().any(|found| found.contains("secret")));
}

#[test]
fn texts_across_pieces_are_whole() {
    let words = "0123456789 Köln ".repeat(60_000);
    let found = texts(format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{words}").as_bytes());
    assert!(found.len() > 3);
    assert!(!found.iter().any(|text| text.contains('\u{fffd}') || text.contains('Ã')), "a character was cut");
    for pair in found[1..].windows(2) {
        let kept: String = pair[1].chars().skip(2).take(32).collect();
        let end: String = pair[0].chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
        assert!(end.contains(&kept), "what is kept comes again");
    }
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in octets.chunks(3) {
        let number =
            three.iter().fold(0u32, |number, octet| number << 8 | u32::from(*octet)) << (8 * (3 - three.len()));
        let digits = (0..=three.len()).map(|at| char::from(DIGITS[(number >> (18 - 6 * at) & 63) as usize]));
        out.extend(digits);
        out.extend(std::iter::repeat_n('=', 3 - three.len()));
    }
    out
}
