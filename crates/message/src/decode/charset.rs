//! Charsets: the WHATWG set (`encoding_rs`), UTF-7 (RFC 2152), and the names that mail uses for them.

use encoding_rs::Encoding;

/// Octets in a charset as text. Unknown or missing charset: UTF-8 if valid, else windows-1252. Never fails (U+FFFD).
pub fn charset(label: Option<&str>, bytes: &[u8]) -> String {
    match label.and_then(find) {
        Some(Charset::Utf7) => utf7(bytes),
        Some(Charset::Known(encoding)) => encoding.decode(bytes).0.into_owned(),
        // 8-bit octets labelled ASCII, or not labelled at all, are what the sender's machine used.
        Some(Charset::Ascii) | None => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => encoding_rs::WINDOWS_1252.decode(bytes).0.into_owned(),
        },
    }
}

/// Whether [`charset`] knows this label (SEARCH CHARSET: else `[BADCHARSET]`).
pub fn charset_known(label: &str) -> bool {
    find(label).is_some()
}

enum Charset {
    Ascii,
    Utf7,
    Known(&'static Encoding),
}

/// Names seen in mail that the WHATWG list lacks.
const ALIASES: &[(&str, &str)] = &[
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("latin-1", "iso-8859-1"),
    ("latin-2", "iso-8859-2"),
    ("latin-9", "iso-8859-15"),
    ("utf_8", "utf-8"),
    ("utf-8mb4", "utf-8"),
    ("iso-8859-8-e", "iso-8859-8"),
    ("koi8-t", "koi8-r"),
    ("gb-2312", "gb2312"),
    ("gb18030-2000", "gb18030"),
    ("big5-eten", "big5"),
    ("eucjp", "euc-jp"),
    ("euckr", "euc-kr"),
    ("iso-2022-jp-1", "iso-2022-jp"),
    ("iso-2022-jp-2", "iso-2022-jp"),
    ("iso-2022-jp-ms", "iso-2022-jp"),
    ("mac", "macintosh"),
];

fn find(label: &str) -> Option<Charset> {
    let label = label.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>'));
    // `utf-8 format=flowed`: a lost semicolon.
    let label = label.split([' ', '\t', ';', ',']).next()?.to_ascii_lowercase();
    match label.as_str() {
        "us-ascii" | "ascii" | "ansi_x3.4-1968" | "iso646-us" | "7bit" => return Some(Charset::Ascii),
        "utf-7" | "unicode-1-1-utf-7" | "csunicode11utf7" => return Some(Charset::Utf7),
        _ => {}
    }
    let alias = ALIASES.iter().find(|(name, _)| *name == label).map(|(_, known)| *known);
    let windows = label.strip_prefix("win-").map(|number| format!("windows-{number}"));
    let known = Encoding::for_label(alias.unwrap_or(windows.as_deref().unwrap_or(&label)).as_bytes())?;
    // `replacement` stands for encodings that browsers refuse; it would lose the text.
    (known != encoding_rs::REPLACEMENT).then_some(Charset::Known(known))
}

/// RFC 2152. Wrong octets become U+FFFD, a missing end of a shifted run is forgiven.
fn utf7(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => {
                let length = tail.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).count();
                let run = &tail[..length];
                rest = &tail[length..];
                let ended = rest.first() == Some(&b'-');
                if run.is_empty() && ended {
                    out.push('+');
                } else {
                    utf16(&super::base64_lenient(run), &mut out);
                }
                rest = &rest[usize::from(ended)..];
            }
            0..=127 => out.push(char::from(byte)),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

fn utf16(bytes: &[u8], out: &mut String) {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    out.extend(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')));
}
