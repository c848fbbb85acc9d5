//! Text and binary bodies in lines that every transport carries.

use base64::Engine as _;

/// Columns of an encoded line (RFC 2045 §6.7 and §6.8).
const LINE_MAX: usize = 76;
/// Octets of a line that may go as they are (RFC 5322 §2.1.1), with room for what relays add.
const PLAIN_LINE_MAX: usize = 900;

/// The transfer encoding that a text needs, and the text in it with CRLF line ends.
pub(super) fn encode_text(text: &str) -> (&'static str, Vec<u8>) {
    let text = with_crlf(text);
    let plain = text.bytes().all(|b| (b' '..127).contains(&b) || matches!(b, b'\t' | b'\r' | b'\n'));
    if plain && text.lines().all(|line| line.len() <= PLAIN_LINE_MAX) {
        return ("7bit", text.into_bytes());
    }
    let escaped = text.bytes().filter(|&b| !is_literal(b)).count();
    if escaped * 6 > text.len() {
        let encoded = base64::engine::general_purpose::STANDARD.encode(&text);
        return ("base64", in_lines(&encoded));
    }
    ("quoted-printable", quoted_printable(&text))
}

/// All line ends as CRLF, also the last.
fn with_crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        // A bare CR would be a line end to some.
        out.extend(line.chars().map(|c| if c == '\r' { ' ' } else { c }));
        out.push_str("\r\n");
    }
    out
}

fn is_literal(byte: u8) -> bool {
    (b' '..127).contains(&byte) && byte != b'=' || matches!(byte, b'\t' | b'\r' | b'\n')
}

/// RFC 2045 §6.7, of a text with CRLF line ends.
fn quoted_printable(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2);
    for line in text.lines() {
        let mut column = 0;
        let bytes = line.as_bytes();
        for (at, &byte) in bytes.iter().enumerate() {
            // Rule 3: no white space at the end of a line. A dot or `From ` at the start is escaped for transports that care.
            let last_space = at + 1 == bytes.len() && matches!(byte, b' ' | b'\t');
            let risky_start = column == 0 && (byte == b'.' || bytes[at..].starts_with(b"From "));
            let escape = !is_literal(byte) || last_space || risky_start;
            let width = if escape { 3 } else { 1 };
            if column + width > LINE_MAX - 1 {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if escape {
                out.extend_from_slice(format!("={byte:02X}").as_bytes());
            } else {
                out.push(byte);
            }
            column += width;
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Base64 in lines.
pub(super) fn in_lines(encoded: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len() + encoded.len() / LINE_MAX * 2 + 2);
    for line in encoded.as_bytes().chunks(LINE_MAX) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// `name="value"`, or `name*=utf-8''value` (RFC 2231) where the value is not ASCII.
pub(super) fn parameter(name: &str, value: &str) -> String {
    if value.bytes().all(|b| (b' '..127).contains(&b)) {
        return format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let coded: String = value
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    format!("{name}*=utf-8''{coded}")
}
