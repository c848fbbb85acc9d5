//! Text to header fields: RFC 2047 encoded words, folding (RFC 5322 §2.2.3).

use base64::Engine as _;

/// Columns of a line (RFC 5322 §2.1.1, RFC 2047 §2).
const LINE_MAX: usize = 76;
/// Octets of one encoded word (RFC 2047 §2).
const WORD_MAX: usize = 75;
/// Columns left for the field's name before a phrase.
const NAME_ROOM: usize = 12;
/// Octets of a line that must not be exceeded, even if there is no space to fold at (RFC 5322 §2.1.1).
const LINE_HARD_MAX: usize = 900;

/// A whole field line `Name: value\r\n`, value encoded by RFC 2047 where it is not ASCII, folded at 76 columns. Control
/// characters (line breaks among them) become spaces, so that no value can make a second field.
pub fn encode_field(name: &str, value: &str) -> String {
    let clean: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    fold(name, &encode_unstructured(clean.trim_matches(' '), name.len() + 2))
}

/// Text in encoded words where it is not ASCII, on one line. Control characters become spaces.
pub fn encode_text(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    encode_unstructured(clean.trim_matches(' '), 0)
}

/// A display name as a phrase: as it is if it is of atoms, quoted if it is ASCII, else encoded words (RFC 5322 §3.2.5,
/// RFC 2047 §5).
pub fn encode_phrase(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim_matches(' ');
    if needs_encoding(clean) {
        return encoded_words(clean, NAME_ROOM).join(" ");
    }
    if clean.bytes().all(|b| is_atext(b) || b == b' ') {
        return clean.to_owned();
    }
    let mut out = String::with_capacity(clean.len() + 2);
    out.push('"');
    for c in clean.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// `Name: value\r\n` folded at spaces where a line grows beyond 76 columns. The value must be ready to be sent.
pub fn fold(name: &str, value: &str) -> String {
    let mut out = format!("{name}:");
    let mut column = out.len();
    let mut first = true;
    for word in value.split(' ').filter(|w| !w.is_empty()) {
        if !first && column + 1 + word.len() > LINE_MAX {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + word.len();
        first = false;
    }
    out.push_str("\r\n");
    out
}

pub(crate) fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn needs_encoding(text: &str) -> bool {
    !text.is_ascii() || text.contains("=?") || text.split(' ').any(|w| w.len() > LINE_HARD_MAX)
}

/// Encodes from the first word that needs it to the last; what is before and after stays readable. The first line has so many
/// columns `taken`.
fn encode_unstructured(text: &str, taken: usize) -> String {
    if !needs_encoding(text) {
        return text.to_owned();
    }
    let words: Vec<&str> = text.split(' ').collect();
    let first = words.iter().position(|w| needs_encoding(w)).unwrap_or(0);
    let last = words.iter().rposition(|w| needs_encoding(w)).unwrap_or(words.len() - 1);
    let mut out: Vec<String> = words[..first].iter().map(|w| (*w).to_owned()).collect();
    let taken = if first == 0 { taken } else { 0 };
    out.extend(encoded_words(&words[first..=last].join(" "), taken));
    out.extend(words[last + 1..].iter().map(|w| (*w).to_owned()));
    out.join(" ")
}

/// RFC 2047 §2 and §5: words of at most 75 octets, no character split between two. The first is shorter by what is `taken` of
/// its line.
fn encoded_words(text: &str, taken: usize) -> Vec<String> {
    let q_length: usize = text.bytes().map(|b| if is_q_safe(b) || b == b' ' { 1 } else { 3 }).sum();
    // Readable without a decoder, unless that takes far more room.
    let use_q = q_length <= text.len() * 2;
    let most = WORD_MAX - "=?utf-8?q??=".len();
    // Room for one character at least, however long the name.
    let mut room = most.saturating_sub(taken).max(16);
    let mut words = Vec::new();
    let mut piece = String::new();
    let mut cost = 0;
    for c in text.chars() {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).len();
        let more = if use_q && (c == ' ' || c.is_ascii() && is_q_safe(c as u8)) { 1 } else { bytes * 3 };
        // base64 makes 4 of 3, and rounds up.
        let full = if use_q { cost + more > room } else { (piece.len() + bytes).div_ceil(3) * 4 > room };
        if full {
            words.push(encoded_word(&piece, use_q));
            piece.clear();
            cost = 0;
            room = most;
        }
        piece.push(c);
        cost += more;
    }
    if !piece.is_empty() {
        words.push(encoded_word(&piece, use_q));
    }
    words
}

fn encoded_word(piece: &str, use_q: bool) -> String {
    if !use_q {
        return format!("=?utf-8?b?{}?=", base64::engine::general_purpose::STANDARD.encode(piece));
    }
    let mut out = String::from("=?utf-8?q?");
    for byte in piece.bytes() {
        match byte {
            b' ' => out.push('_'),
            _ if is_q_safe(byte) => out.push(char::from(byte)),
            _ => out.push_str(&format!("={byte:02X}")),
        }
    }
    out.push_str("?=");
    out
}

/// RFC 2047 §5 (3): what may stand for itself even in a phrase.
fn is_q_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!*+-/".contains(&byte)
}
