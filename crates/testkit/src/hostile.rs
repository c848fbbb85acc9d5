//! Messages made to hurt whoever reads them: to be taken, listed and given back as others are.

/// A hundred thousand parts; a header of ten megabytes; words and a date that say nothing. Each has `hurt` in its subject and
/// `the end` as its last line.
pub fn messages() -> [String; 3] {
    let parts = "--b\r\n\r\nx\r\n".repeat(100_000);
    [
        format!("Subject: hurt\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\nthe end\r\n"),
        format!("{}Subject: hurt\r\n\r\nthe end\r\n", "X-Filler: 0123456789 abcdefgh\r\n".repeat(350_000)),
        "Subject: =?utf-8?q?=ED=A0=80?= hurt =?utf-16be?b?2AA=?=\r\nDate: Mon, 1 Jan 99999 00:00:00 +0000\r\n\r\nthe end\r\n"
            .to_owned(),
    ]
}
