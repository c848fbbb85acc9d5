//! xtext (RFC 3461 §4): `+` and two upper-case hex digits stand for octets outside `!`…`~`, `+` and `=`.

/// Decodes xtext. `None` when it is malformed or the octets are no printable text.
pub fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => {
                let high = hex(bytes.next()?)?;
                let low = hex(bytes.next()?)?;
                octets.push(high * 16 + low);
            }
            b'!'..=b'~' if byte != b'=' => octets.push(byte),
            _ => return None,
        }
    }
    let decoded = String::from_utf8(octets).ok()?;
    // Control characters would travel into notices and logs.
    decoded.chars().all(|c| !c.is_control()).then_some(decoded)
}

/// Encodes as xtext.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'+' && byte != b'=' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("+{byte:02X}")),
        }
    }
    encoded
}

/// Lower-case digits are accepted: several senders write them.
fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
