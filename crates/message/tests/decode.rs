//! Transfer encodings, charsets, HTML.

use postroad_message::decode::{
    Decoder, Encoding, charset, charset_known, html_to_text, html_to_text_limited, transfer,
};

fn check(encoding: &Encoding, body: &[u8], expected: &[u8]) {
    for cut in 0..=body.len() {
        let mut out = Vec::new();
        let mut decoder = Decoder::new(encoding);
        decoder.feed(&body[..cut], &mut out);
        decoder.feed(&body[cut..], &mut out);
        decoder.finish(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected), "cut at {cut} of {body:?}");
    }
}

#[test]
fn base64() {
    for (body, expected) in [
        (&b"SGVsbG8="[..], &b"Hello"[..]),
        (b"SGVs\r\nbG8=\r\n", b"Hello"),
        (b"SGVsbG8", b"Hello"),
        (b"SGVsbG8==", b"Hello"),
        (b"SGk=SGk=", b"HiHi"),
        (b"S!G*k", b"Hi"),
        (b"SGVsbG", b"Hell"),
        (b"=", b""),
        (b"S", b""),
        (b"", b""),
    ] {
        check(&Encoding::Base64, body, expected);
    }
}

#[test]
fn quoted_printable() {
    for (body, expected) in [
        // RFC 2045 §6.7
        (
            &b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."[..],
            &b"Now's the time for all folk to come to the aid of their country."[..],
        ),
        (b"a=20\r\nb", b"a \r\nb"),
        (b"a  \r\nb\t\r\n", b"a\r\nb\r\n"),
        (b"a  \nb", b"a\nb"),
        (b"=C3=a4", "ä".as_bytes()),
        (b"=ZZ=4=", b"=ZZ=4"),
        (b"a=  \r\nb", b"ab"),
        (b"a= b", b"a= b"),
        (b"a=\nb", b"ab"),
        (b"a=", b"a"),
        (b"=3", b"=3"),
        (b"a b c", b"a b c"),
        (b"trailing  ", b"trailing"),
        (b"x\ry", b"x\ry"),
    ] {
        check(&Encoding::QuotedPrintable, body, expected);
    }
}

#[test]
fn uuencode() {
    check(&Encoding::Uuencode, b"text before\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\nafter\r\n", b"Cat");
    check(&Encoding::Uuencode, b"begin 644 x\n%2&5L;&\\\n`\nend", b"Hello");
    check(&Encoding::Uuencode, b"no beginning", b"");
}

#[test]
fn identity_and_unknown() {
    check(&Encoding::Binary, b"a\0b\n", b"a\0b\n");
    check(&Encoding::Other("x-magic".into()), b"=3D", b"=3D");
    for (value, encoding) in [
        (&b" BASE64 "[..], Encoding::Base64),
        (b"\"quoted-printable\"", Encoding::QuotedPrintable),
        (b"8bit (comment)", Encoding::EightBit),
        (b"", Encoding::SevenBit),
        (b"7bit;", Encoding::SevenBit),
        (b"X-UUE", Encoding::Uuencode),
        (b"x-Magic", Encoding::Other("x-magic".into())),
    ] {
        assert_eq!(Encoding::parse(value), encoding);
    }
    assert_eq!(transfer(&Encoding::SevenBit, b"x"), b"x");
}

#[test]
fn charsets() {
    for (label, bytes, expected) in [
        (Some("iso-8859-1"), &b"caf\xe9"[..], "café"),
        (Some("UTF-8"), "café".as_bytes(), "café"),
        (Some("us-ascii"), b"caf\xe9", "café"),
        (Some("us-ascii"), "café".as_bytes(), "café"),
        (None, "café".as_bytes(), "café"),
        (None, b"caf\xe9", "café"),
        (Some("no-such-charset"), b"caf\xe9", "café"),
        (Some("utf-8"), b"\xff\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        (Some("koi8-r"), b"\xd0\xd2\xc9", "при"),
        (Some("cp932"), b"\x93\xfa\x96\x7b", "日本"),
        (Some("gb2312"), b"\xc4\xe3\xba\xc3", "你好"),
        (Some("iso-2022-jp"), b"\x1b$BF|K\\\x1b(B", "日本"),
        (Some("utf-16le"), b"a\0b\0", "ab"),
        (Some("utf-7"), b"Hi Mom -+Jjo--!", "Hi Mom -☺-!"),
        (Some("utf-7"), b"1 +- 1 +2D3eCg-", "1 + 1 \u{1f60a}"),
        (Some("utf-7"), b"+2D0-", "\u{fffd}"),
        (Some("win-1252"), b"\x80", "€"),
        (Some(" \"utf-8\" "), "é".as_bytes(), "é"),
    ] {
        assert_eq!(charset(label, bytes), expected, "{label:?}");
    }
    assert!(
        charset_known("UTF-8") && charset_known("us-ascii") && charset_known("ISO-8859-15") && charset_known("utf-7")
    );
    assert!(!charset_known("x-nonsense") && !charset_known("") && !charset_known("iso-2022-kr"));
}

#[test]
fn html() {
    for (html, expected) in [
        ("<p>Hello <b>World</b></p>", "Hello World"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<style>p{a:b}</style><script>if (a<b) x()</script>visible", "visible"),
        ("<head><title>no</title></head><body>yes</body>", "yes"),
        ("<!-- no <p> --> yes", "yes"),
        ("<!-- open", ""),
        ("a &lt; b &amp;&amp; c &gt; d&nbsp;&eacute;&#233;&#xE9;&#8364;&#128;", "a < b && c > d éé\u{e9}€€"),
        ("AT&T &unknown; &", "AT&T &unknown; &"),
        ("<a href=\"x>y\" title='>'>link</a>", "link"),
        ("1 < 2 <3", "1 < 2 <3"),
        ("<p", ""),
        ("<a \"", ""),
        ("a   \r\n  b", "a b"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<!DOCTYPE html><?xml?>x", "x"),
        ("<style>never closed", ""),
        ("<P>one<P>two", "one\ntwo"),
        ("日本<b>語</b>", "日本語"),
        ("&#0;&#1114112;", "\u{fffd}\u{fffd}"),
    ] {
        assert_eq!(html_to_text(html), expected, "{html}");
    }
}

#[test]
fn hostile_html_is_read_in_linear_time() {
    for piece in ["<", "<a", "<!--", "<a \"", "&", "&#", "</", "<style>", "<a b='", "&amp", "<p>", "<style></", "<é"] {
        let html = piece.repeat(100_000);
        assert!(html_to_text(&html).len() <= html.len() * 3);
        assert!(html_to_text_limited(&html, 100).len() <= html.len() * 3);
    }
}
