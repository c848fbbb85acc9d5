//! What we sign is verified, and nothing of it can be changed.

mod support;

use postroad_mailauth::dkim::{self, COVERED, OVERSIGNED, Signing, Status};
use postroad_mailauth::key::{Algorithm, Record, SigningKey};
use postroad_message::header;
use support::{NOW, Zone, crlf, relaxed, split};

const MESSAGE: &str = "\
Received: from a by b; now
From: Jörg <joerg@example.org>
To: a@b.example, c@d.example
Cc: e@f.example
Subject: A long subject
 on two lines
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <1@example.org>
MIME-Version: 1.0
Content-Type: text/plain
List-Unsubscribe: <https://example.org/u/1>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
Feedback-ID: a:b:c:d

Dear all,

 this  is the text.

";

fn sign(key: &SigningKey, message: &[u8], valid_for: Option<i64>) -> (Vec<u8>, String) {
    let (header, body) = split(message);
    let signing = Signing { domain: "example.org", selector: "s1", now: NOW, valid_for };
    let field = dkim::sign(key, &signing, header, &relaxed(body)).expect("signed");
    ([field.as_bytes(), message].concat(), field)
}

fn zone(key: &SigningKey) -> Zone {
    Zone::default().with("s1._domainkey.example.org", &key.record())
}

fn status(zone: &mut Zone, message: &[u8]) -> Status {
    let outcomes = zone.dkim(message);
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    outcomes[0].status
}

#[test]
fn both_kinds_of_keys_sign_what_is_verified() {
    for key in [SigningKey::rsa().expect("a key"), SigningKey::ed25519().expect("a key")] {
        let mut zone = zone(&key);
        let (message, field) = sign(&key, &crlf(MESSAGE), None);
        let outcomes = zone.dkim(&message);
        assert_eq!(outcomes[0].status, Status::Pass, "{outcomes:?}\n{field}");
        assert_eq!(outcomes[0].key_bits, Some(key.bits()));
        assert_eq!(outcomes[0].algorithm, key.algorithm().name());
        assert_eq!(outcomes[0].signed_at, Some(NOW));
        // RFC 5322 §2.1.1, and no line that is only white space.
        for line in field.strip_suffix("\r\n").expect("a line end").split("\r\n") {
            assert!(line.len() <= 78 && !line.trim().is_empty(), "{line:?}");
        }
        assert!(field.trim_end().split(';').next_back().is_some_and(|last| last.trim().starts_with("b=")), "{field}");
        // With two signatures both hold, whatever their order.
        let other = SigningKey::ed25519().expect("a key");
        let (header, body) = split(&message);
        let signing = Signing { domain: "example.org", selector: "s2", now: NOW, valid_for: None };
        let second = dkim::sign(&other, &signing, header, &relaxed(body)).expect("signed");
        let mut zone = zone.with("s2._domainkey.example.org", &other.record());
        let both = zone.dkim(&[second.as_bytes(), &message].concat());
        assert_eq!(both.iter().map(|o| o.status).collect::<Vec<_>>(), [Status::Pass; 2]);
    }
}

#[test]
fn whatever_is_changed_breaks_it() {
    let key = SigningKey::ed25519().expect("a key");
    let mut zone = zone(&key);
    let (message, field) = sign(&key, &crlf(MESSAGE), None);
    let text = String::from_utf8(message).expect("UTF-8");
    let start = field.len();
    let is_signed = |name: &str| OVERSIGNED.iter().chain(COVERED).any(|n| n.eq_ignore_ascii_case(name));
    let mut changed = 0;
    for part in header::fields(&text.as_bytes()[start..]).filter(|field| !field.is("Received")) {
        let name = std::str::from_utf8(part.name).expect("ASCII");
        assert!(is_signed(name), "{name}");
        let raw = std::str::from_utf8(part.raw).expect("UTF-8");
        let other = raw.trim_end().to_owned() + "x\r\n";
        for to in [
            "".to_owned(),
            other,
            format!("{raw}{raw}"),
            format!("{raw}{name}: evil\r\n"),
            format!("{name}: evil\r\n{raw}"),
        ] {
            let bad = text[..start].to_owned() + &text[start..].replacen(raw, &to, 1);
            assert_ne!(status(&mut zone, bad.as_bytes()), Status::Pass, "{name} as {to:?}");
            changed += 1;
        }
    }
    assert!(changed >= 50, "{changed}");
    // What is oversigned cannot be added where it is not.
    let without = crlf("From: a@example.org\n\ntext\n");
    let (message, field) = sign(&key, &without, None);
    assert_eq!(status(&mut zone, &message), Status::Pass);
    for name in OVERSIGNED {
        let bad = [field.as_bytes(), format!("{name}: evil\r\n").as_bytes(), &without].concat();
        assert_ne!(status(&mut zone, &bad), Status::Pass, "{name}");
    }
    // Lists may add what is theirs.
    for name in ["List-Id", "Reply-To", "Sender", "X-Anything", "Received", "DKIM-Signature"] {
        let more = [format!("{name}: a\r\n").as_bytes(), field.as_bytes(), &without].concat();
        assert_eq!(zone.dkim(&more).pop().map(|o| o.status), Some(Status::Pass), "{name}");
    }
}

#[test]
fn every_octet_of_the_body_and_of_the_signature_counts() {
    let key = SigningKey::ed25519().expect("a key");
    let mut zone = zone(&key);
    let (message, field) = sign(&key, &crlf("From: a@example.org\n\nHello you\n"), None);
    let body = message.len() - split(&message).1.len();
    for at in (0..message.len()).filter(|&at| at >= body || at < field.len()) {
        let mut bad = message.clone();
        bad[at] ^= 1;
        let good = zone.dkim(&bad).iter().any(|outcome| outcome.status == Status::Pass);
        // White space and letter case of names do not count.
        assert!(
            !good || matches!(message[at], b' ' | b'\t' | b'\r' | b'\n' | b'='),
            "{at}: {}",
            String::from_utf8_lossy(&bad)
        );
    }
}

#[test]
fn what_relaxed_allows_breaks_nothing() {
    let key = SigningKey::ed25519().expect("a key");
    let mut zone = zone(&key);
    let (message, _) = sign(&key, &crlf(MESSAGE), None);
    let text = String::from_utf8(message).expect("UTF-8");
    let table = [
        text.replace("\r\n", "\n"),
        text.replace("text.", "text.  "),
        text.replace("this  is", "this \t is"),
        text.clone() + "\r\n\r\n",
        text.replace("subject\r\n on", "subject on"),
        text.replace("Subject: A", "SUBJECT:   A"),
        text.replace("; h=", ";\r\n\th="),
    ];
    for changed in table {
        assert_eq!(status(&mut zone, changed.as_bytes()), Status::Pass, "{changed}");
    }
}

#[test]
fn one_click_unsubscription_is_signed() {
    let key = SigningKey::ed25519().expect("a key");
    let (_, field) = sign(&key, &crlf(MESSAGE), None);
    let unfolded: String = field.chars().filter(|c| !c.is_whitespace()).collect();
    // RFC 8058 §4.
    for name in ["List-Unsubscribe:List-Unsubscribe:", "List-Unsubscribe-Post:List-Unsubscribe-Post", "Feedback-ID"] {
        assert!(unfolded.contains(name), "{field}");
    }
}

#[test]
fn a_validity_is_kept() {
    let key = SigningKey::ed25519().expect("a key");
    let mut zone = zone(&key);
    let (message, field) = sign(&key, &crlf(MESSAGE), Some(3_600));
    assert!(field.contains(&format!("x={}", NOW + 3_600)), "{field}");
    assert_eq!(status(&mut zone, &message), Status::Pass);
    let (header, body) = split(&message);
    let late = |now| {
        let mut hashers = postroad_mailauth::body::Hashers::new();
        let verifier = dkim::Verifier::new(header, now, &dkim::Limits::default(), &mut hashers);
        hashers.update(body);
        zone.clone().run(verifier.finish(&hashers.finish())).pop().map(|o| o.status)
    };
    assert_eq!((late(NOW + 3_600), late(NOW + 3_601)), (Some(Status::Pass), Some(Status::Fail)));
}

#[test]
fn more_of_a_field_than_anybody_has_is_signed_from_the_bottom() {
    let key = SigningKey::ed25519().expect("a key");
    let mut zone = zone(&key);
    for (count, expected) in [(20, Status::Pass), (30, Status::Policy)] {
        let message = format!("From: a@example.org\n{}\ntext\n", "To: b@example\n".repeat(count));
        let (message, _) = sign(&key, &crlf(&message), None);
        assert_eq!(status(&mut zone, &message), expected, "{count}");
    }
}

#[test]
fn keys_are_kept_and_compared() {
    for key in [SigningKey::rsa().expect("a key"), SigningKey::ed25519().expect("a key")] {
        let again = SigningKey::from_pkcs8(&key.to_pkcs8().expect("a key")).expect("the same");
        assert_eq!((again.algorithm(), again.bits(), again.public()), (key.algorithm(), key.bits(), key.public()));
        let record = Record::parse(key.record().as_bytes()).expect("a record");
        assert!(record.belongs_to(&key) && record.belongs_to(&again));
        let debug = format!("{key:?}");
        assert!(debug.len() < 80 && !debug.contains("public"), "{debug}");
        let expected = match key.algorithm() {
            Algorithm::RsaSha256 => ("v=DKIM1; k=rsa; p=MII", 2048),
            Algorithm::Ed25519Sha256 => ("v=DKIM1; k=ed25519; p=", 256),
        };
        assert!(key.record().starts_with(expected.0), "{}", key.record());
        assert_eq!(key.bits(), expected.1);
        let other = SigningKey::ed25519().expect("a key");
        assert!(!record.belongs_to(&other));
    }
    for bad in [&b""[..], b"abc", &[0x30, 0x80]] {
        assert!(SigningKey::from_pkcs8(bad).is_err());
    }
    for bad in
        ["", "-----BEGIN PRIVATE KEY-----\nYWJj", "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n"]
    {
        assert!(SigningKey::from_pem(bad).is_err(), "{bad}");
    }
}
