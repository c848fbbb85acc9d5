//! Taking people out of what is told about a message: only the fields that checks look at, and no local parts of addresses but
//! those of the domain that is told.
//!
//! A local part becomes a word that is the same for the same address, so that whoever reads several reports sees what belongs
//! together, and that only the secret's owner could make.
//!
//! Standards: RFC 6590 (redaction), RFC 6591 §3, RFC 9991 (what a report should keep to itself).

use postroad_message::header;

use crate::domain::is_at_or_below;
use crate::sha256::Sha256;

/// The fields of a header block that are told, as they came: by whom and on which way a message came, and what verifies it. Never
/// to whom it is, what it is about, nor fields that nobody knows.
pub fn fields(block: &[u8]) -> Vec<u8> {
    let mut told = Vec::new();
    for field in header::fields(block).take(FIELDS_MAX) {
        let is_told = TOLD.iter().any(|name| field.is(name));
        if is_told && told.len() + field.raw.len() <= OCTETS_MAX {
            told.extend_from_slice(field.raw);
        }
    }
    if !told.is_empty() && !told.ends_with(b"\n") {
        told.extend_from_slice(b"\r\n");
    }
    told
}

/// Makes the local part of each address unknown that is not at or below `domain`. Names of messages stay: they name nobody.
pub fn people(block: &[u8], domain: &str, secret: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len());
    let mut end = 0;
    for field in header::fields(block) {
        end = field.start + field.raw.len();
        match NAMES.iter().any(|name| field.is(name)) {
            true => out.extend_from_slice(field.raw),
            false => addresses(field.raw, domain, secret, &mut out),
        }
    }
    out.extend_from_slice(&block[end..]);
    out
}

/// The same for text without fields.
pub fn text(text: &str, domain: &str, secret: &[u8]) -> String {
    let mut out = Vec::new();
    addresses(text.as_bytes(), domain, secret, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn addresses(bytes: &[u8], domain: &str, secret: &[u8], out: &mut Vec<u8>) {
    let mut done = 0;
    for at in memchr::memchr_iter(b'@', bytes) {
        if at < done {
            continue;
        }
        let local = local_part(&bytes[done..at]);
        let host = &bytes[at + 1..];
        let host = &host[..host.iter().position(|byte| !is_host(*byte)).unwrap_or(host.len())];
        let name = String::from_utf8_lossy(host).to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        // `@domain` alone (i=, routes) names nobody.
        if local == 0 || is_at_or_below(name, domain) {
            continue;
        }
        out.extend_from_slice(&bytes[done..at - local]);
        out.extend_from_slice(unknown(&bytes[at - local..at], name, secret).as_bytes());
        done = at;
    }
    out.extend_from_slice(&bytes[done..]);
}

/// Octets of the local part that ends here, in quotes or without.
fn local_part(before: &[u8]) -> usize {
    let before = &before[before.len().saturating_sub(LOCAL_MAX)..];
    if let Some(inside) = before.strip_suffix(b"\"") {
        return match inside.iter().rposition(|byte| b"\"@".contains(byte)) {
            Some(open) if inside[open] == b'"' => before.len() - open,
            Some(sign) => before.len() - sign - 1,
            None => before.len(),
        };
    }
    before.iter().rev().take_while(|byte| !ENDS.contains(byte)).count()
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || !byte.is_ascii()
}

/// RFC 6590 §3: a hash with a secret of the reporter's own.
fn unknown(local: &[u8], host: &str, secret: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(secret);
    hash.update(&(secret.len() as u64).to_be_bytes());
    hash.update(&local.to_ascii_lowercase());
    hash.update(b"@");
    hash.update(host.as_bytes());
    let digest = hash.finish();
    let hex: String = digest[..WORD].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("redacted-{hex}")
}

/// Fields that are told.
const TOLD: [&str; 22] = [
    "Return-Path",
    "Received",
    "Received-SPF",
    "Authentication-Results",
    "ARC-Seal",
    "ARC-Message-Signature",
    "ARC-Authentication-Results",
    "DKIM-Signature",
    "From",
    "Sender",
    "Reply-To",
    "Resent-From",
    "Resent-Sender",
    "Date",
    "Message-ID",
    "List-Id",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "User-Agent",
    "X-Mailer",
    "X-Originating-IP",
];
/// Fields whose at signs stand in names of messages.
const NAMES: [&str; 1] = ["Message-ID"];
/// What cannot be in a local part without quotes.
const ENDS: &[u8] = b" \t\r\n<>()[],;:\"=@";
/// Octets before an at sign that are looked at (RFC 5321 §4.5.3.1.1 allows 64; what is longer is made unknown in part).
const LOCAL_MAX: usize = 1_000;
/// Octets of the hash that are told.
const WORD: usize = 8;
/// Fields that are looked at.
const FIELDS_MAX: usize = 500;
/// Octets that are told.
const OCTETS_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"the secret";

    #[test]
    fn only_what_verifies_is_told() {
        let block = b"Received: from a\r\n\tby b\r\nTo: alice@here.test\r\nSubject: our secret\r\nFrom: Boss <boss@bank.test>\r\n\
            X-Account: 7\r\nDKIM-Signature: v=1; d=x\r\nCc: carol@here.test\r\nMessage-ID: <1@bank.test>\r\n\r\nbody";
        let expected = "Received: from a\r\n\tby b\r\nFrom: Boss <boss@bank.test>\r\nDKIM-Signature: v=1; d=x\r\nMessage-ID: <1@bank.test>\r\n";
        assert_eq!(String::from_utf8(fields(block)).expect("ASCII"), expected);
        assert_eq!(fields(b"Subject: x\r\n\r\n"), b"");
        assert_eq!(fields(b"From: x"), b"From: x\r\n");
        let huge = "Received: from somewhere or other in the world\r\n".repeat(10_000);
        assert!(fields(huge.as_bytes()).len() <= OCTETS_MAX);
    }

    #[test]
    fn people_elsewhere_are_made_unknown() {
        let mask = |line: &str| String::from_utf8(people(line.as_bytes(), "bank.test", KEY)).expect("UTF-8");
        let alice = unknown(b"alice", "here.test", KEY);
        for (line, expected) in [
            ("From: Boss <boss@bank.test>\r\n", "From: Boss <boss@bank.test>\r\n".to_owned()),
            ("From: b@mail.bank.test\r\n", "From: b@mail.bank.test\r\n".to_owned()),
            ("Received: for <Alice@Here.test>;\r\n", format!("Received: for <{alice}@Here.test>;\r\n")),
            ("X: (smtp.mailfrom=alice@here.test)\r\n", format!("X: (smtp.mailfrom={alice}@here.test)\r\n")),
            ("Message-ID: <alice@here.test>\r\n", "Message-ID: <alice@here.test>\r\n".to_owned()),
            ("X: i=@here.test; d=x\r\n", "X: i=@here.test; d=x\r\n".to_owned()),
            ("X: alice@notbank.test\r\n", format!("X: {}@notbank.test\r\n", unknown(b"alice", "notbank.test", KEY))),
            (
                "X: \"al ice\"@here.test, alice@here.test\r\n",
                format!("X: {}@here.test, {alice}@here.test\r\n", unknown(b"\"al ice\"", "here.test", KEY)),
            ),
        ] {
            assert_eq!(mask(line), expected);
        }
        assert_eq!(text("alice@here.test", "bank.test", KEY), format!("{alice}@here.test"));
        assert_ne!(unknown(b"alice", "here.test", b"another"), alice, "the secret counts");
        assert_eq!(mask("X: a@b@c\r\n").matches("redacted-").count(), 2, "no at sign hides behind another");
    }

    #[test]
    fn fuzz_nothing_is_lost_but_people() {
        postroad_fuzz::check!(2_000).with_type::<Vec<u8>>().for_each(|bytes| {
            let masked = people(bytes, "bank.test", KEY);
            let signs = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'@').count();
            assert_eq!(signs(&masked), signs(bytes), "at signs stay");
            assert!(masked.len() <= bytes.len() + 26 * signs(bytes));
            let _ = fields(bytes);
        });
    }
}
