//! Messages and what they become for a next host that takes seven bits only (RFC 6152 §3).

use postroad_message::downgrade::{Survey, Unconvertible, downgrade};

/// `\n` is CR LF in what goes in and comes out.
#[track_caller]
fn check(message: &[u8], expected: &str) {
    let message = crlf(message);
    let got = downgrade(&message).map(|out| String::from_utf8(out).expect("seven bits"));
    assert_eq!(got.as_deref(), Ok(expected.replace('\n', "\r\n").as_str()));
    for cut in [1, 2, 7] {
        let mut survey = Survey::new();
        message.chunks(cut).for_each(|piece| survey.feed(piece));
        let mut converter = survey.finish().expect("as before").converter();
        let mut out = Vec::new();
        message.chunks(cut).for_each(|piece| converter.feed(piece, &mut out));
        converter.finish(&mut out);
        assert_eq!(Ok(String::from_utf8(out).expect("seven bits")), got, "in pieces of {cut}");
    }
}

#[track_caller]
fn refuses(message: &[u8], why: Unconvertible) {
    assert_eq!(downgrade(&crlf(message)), Err(why));
}

fn crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in message {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

#[test]
fn text_becomes_quoted_printable() {
    check(
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit (so)\n more\nSubject: x\n\n\
         Grüße = \nFrom me\n.\n-- \nFine\n"
            .as_bytes(),
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nSubject: x\nContent-Transfer-Encoding: quoted-printable\n\n\
         Gr=C3=BC=C3=9Fe =3D=20\n=46rom me\n=2E\n--=20\nFine\n",
    );
}

#[test]
fn seven_bits_stay_as_they_are() {
    for message in ["Subject: x\n\ntext\n", "Content-Transfer-Encoding: base64\n\nAAAA\n", "\n", "", "a"] {
        check(message.as_bytes(), message);
        assert!(Survey::new().finish().expect("convertible").is_empty());
    }
    // Only the label was wrong.
    check(
        b"Content-Type: text/plain\nContent-Transfer-Encoding: binary\n\ntext\n",
        "Content-Type: text/plain\nContent-Transfer-Encoding: 7bit\n\ntext\n",
    );
}

#[test]
fn a_message_of_before_mime_says_how_it_is_encoded() {
    check(
        b"Subject: x\n\nGr\xfc\xdfe an alle, die das hier lesen\n",
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n\
         Content-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe an alle, die das hier lesen\n",
    );
}

#[test]
fn a_last_line_without_an_end_stays_without_one() {
    check(
        "MIME-Version: 1.0\n\nlonger than the umlaut: ü".as_bytes(),
        "MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\nlonger than the umlaut: =C3=BC=\n",
    );
}

#[test]
fn text_that_is_mostly_not_ascii_becomes_base64() {
    check(
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nПривет\n".as_bytes(),
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n0J/RgNC40LLQtdGCDQo=\n",
    );
}

#[test]
fn parts_are_converted_one_by_one() {
    let head = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n";
    let message = [
        head.as_bytes(),
        b"Content-Transfer-Encoding: 8bit\n\nF\xfcr alte Programme\n--b\n\nplain\n--b\nContent-Type: text/html\n",
        b"content-transfer-encoding: 8bit\n\nM\xfcll und mehr davon\n--b\nContent-Type: image/png\n",
        b"Content-Transfer-Encoding: binary\nContent-ID: <1@x>\n\n\x89PNG\x00\r\n\n--b\nContent-Type: message/rfc822\n",
        b"Content-Transfer-Encoding: 8bit\n\nSubject: inner\n\n\xe4 in the inner message\n--b--\nNachspann \xfc\n",
    ]
    .concat();
    let expected = format!(
        "{head}Content-Transfer-Encoding: 7bit\n\nF?r alte Programme\n--b\n\nplain\n--b\nContent-Type: text/html\n\
         Content-Transfer-Encoding: quoted-printable\n\nM=FCll und mehr davon\n--b\nContent-Type: image/png\nContent-ID: <1@x>\n\
         Content-Transfer-Encoding: base64\n\niVBORwANDQo=\n--b\nContent-Type: message/rfc822\n\
         Content-Transfer-Encoding: 7bit\n\nSubject: inner\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n\
         =E4 in the inner message\n--b--\nNachspann ?\n"
    );
    check(&message, &expected);
}

#[test]
fn long_lines_are_broken_without_making_a_boundary() {
    let text = format!("{}--b and more ü{}", "x".repeat(75), " ".repeat(3));
    let message = format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n{text}\n--b--\n");
    let expected = format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n\
         {}=\n=2D-b and more =C3=BC  =20\n--b--\n",
        "x".repeat(75)
    );
    check(message.as_bytes(), &expected);
}

#[test]
fn what_is_signed_is_not_touched() {
    let signed = |text: &str, label: &str| {
        format!(
            "MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\nContent-Transfer-Encoding: {label}\n\n--b\n\
             Content-Type: multipart/mixed; boundary=c\nContent-Transfer-Encoding: 8bit\n\n--c\n\
             Content-Transfer-Encoding: 8bit\n\n{text}\n--c--\n--b\nContent-Type: application/pgp-signature\n\nsig\n--b--\n"
        )
    };
    refuses(signed("für", "8bit").as_bytes(), Unconvertible::Signed);
    // Labels inside say 8bit, octets do not: only what stands outside of the signature changes.
    let expected = signed("fuer", "7bit");
    check(signed("fuer", "8bit").as_bytes(), &expected);
    let encrypted = signed("für", "8bit").replace("/signed", "/encrypted");
    refuses(encrypted.as_bytes(), Unconvertible::Encrypted);
}

#[test]
fn what_cannot_be_converted_says_why() {
    refuses("Subject: ü\n\ntext\n".as_bytes(), Unconvertible::Header);
    refuses("Subject: x\0\n\ntext\n".as_bytes(), Unconvertible::Header);
    refuses(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment; filename=ü\n\nx\n--b--\n"
            .as_bytes(),
        Unconvertible::Header,
    );
    refuses("Content-Type: message/rfc822\n\nSubject: ü\n\nx\n".as_bytes(), Unconvertible::Header);
    refuses("Content-Type: message/partial\n\nSubject: ü\n\nx\n".as_bytes(), Unconvertible::Structure);
    refuses("Content-Type: multipart/mixed; boundary=b\n\nno parts, ü\n".as_bytes(), Unconvertible::Structure);
    refuses("Content-Transfer-Encoding: x-uuencode\n\nü\n".as_bytes(), Unconvertible::Structure);
    refuses("Content-Transfer-Encoding: x-own\n\nü\n".as_bytes(), Unconvertible::Structure);
    // Deeper than is looked.
    let mut deep = String::new();
    for level in 0..60 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"));
    }
    refuses(format!("{deep}\nü\n").as_bytes(), Unconvertible::Structure);
    let nested = "Content-Type: message/rfc822\n\n".repeat(60);
    refuses(format!("{nested}\nü\n").as_bytes(), Unconvertible::Structure);
}

#[test]
fn an_internationalised_message_is_one_encoded_part() {
    check(
        "MIME-Version: 1.0\nContent-Type: message/global\nContent-Transfer-Encoding: 8bit\n\nSubject: ü\n\nx\n"
            .as_bytes(),
        "MIME-Version: 1.0\nContent-Type: message/global\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogw7wNCg0KeA0K\n",
    );
}

/// BINARYMIME to a host with 8BITMIME: text stays, headers too, octets that no line holds become base64.
#[test]
fn binary_becomes_lines() {
    let long = "ü".repeat(600);
    let message = crlf(
        format!(
            "Subject: ü\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: binary\n\n\
             --b\nContent-Transfer-Encoding: 8bit\n\nfür\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: binary\n\n\
             {long} and some ASCII {}\n--b\nContent-Type: a/b\nContent-Transfer-Encoding: binary\n\na\rb\n--b--\n",
            "x".repeat(4_000)
        )
        .as_bytes(),
    );
    let mut survey = Survey::for_lines();
    survey.feed(&message);
    let mut converter = survey.finish().expect("convertible").converter();
    let mut out = Vec::new();
    converter.feed(&message, &mut out);
    converter.finish(&mut out);
    let out = String::from_utf8(out).expect("text");
    assert!(out.starts_with("Subject: ü\r\n"));
    assert!(out.contains("boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n"));
    assert!(out.contains("Content-Transfer-Encoding: 8bit\r\n\r\nfür\r\n"));
    assert!(out.contains("Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC=C3=BC"));
    assert!(out.contains("Content-Transfer-Encoding: base64\r\n\r\nYQ1i\r\n"));
    assert!(out.lines().all(|line| line.len() <= 78));
}
