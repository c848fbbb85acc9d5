//! Properties of signatures that hold for any octets.

#[path = "support/craft.rs"]
mod craft;
mod support;

use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use craft::canonical_body;
use postroad_fuzz::check;
use postroad_mailauth::arc::{self, Sealing, Validation};
use postroad_mailauth::body::{Canonicalization, Hashers};
use postroad_mailauth::dkim::{self, Limits, Signing, Status};
use postroad_mailauth::key::{Record, SigningKey};
use postroad_mailauth::{Failure, Machine, Records, Step};
use support::{NOW, Zone, relaxed, split};

const INPUTS: u64 = 2000;

/// Pieces that the readers care about: random octets alone are never a signature.
const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\r\n ",
    "\n\t",
    " ",
    "\t",
    "  ",
    ":",
    ";",
    "=",
    "DKIM-Signature:",
    "dkim-signature : ",
    "ARC-Seal:",
    "ARC-Message-Signature:",
    "ARC-Authentication-Results:",
    "From:",
    "from: a@b\r\n",
    "To: x\r\n",
    "v=1;",
    "a=rsa-sha256;",
    "a=ed25519-sha256;",
    "c=relaxed/relaxed;",
    "c=simple;",
    "d=example.org;",
    "s=s;",
    "h=from;",
    "h=from:to:from;",
    "l=1;",
    "l=18446744073709551616;",
    "t=1;",
    "x=9;",
    "i=1;",
    "i=2;",
    "i=50;",
    "i=51;",
    "i=1; mx;\r\n",
    "i=@example.org;",
    "i==40;",
    "cv=none;",
    "cv=pass;",
    "cv=fail;",
    "b=YWJj;",
    "bh=YWJj;",
    "b=;",
    "q=dns/txt;",
    "v=DKIM1;",
    "k=rsa;",
    "k=ed25519;",
    "p=",
    "p=YWJj;",
    "text",
    ".",
    "ä",
    "\u{0}",
];

/// Octets of the input turned into a text that is nearly mail.
fn text(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for &b in input {
        match WORDS.get(usize::from(b)) {
            Some(word) => out.extend_from_slice(word.as_bytes()),
            None => out.push(b),
        }
    }
    out
}

/// Runs a machine with the same answer to everything, and checks that it asks for little.
fn ends<M: Machine>(mut machine: M, answer: &Result<Records, Failure>, most: usize) -> M::Verdict {
    let mut asked = 0;
    loop {
        match machine.step() {
            Step::Done(verdict) => return verdict,
            Step::Ask(questions) => {
                asked += questions.len();
                assert!(!questions.is_empty() && asked <= most, "{asked}");
                questions.iter().for_each(|_| machine.answer(answer.clone()));
            }
        }
    }
}

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::ed25519().expect("a key"))
}

#[test]
fn fuzz_any_header_gets_verdicts_that_can_be_shown() {
    check!(INPUTS).with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(header, record)| {
        let (message, record) = (text(header), text(record));
        let (header, body) = split(&message);
        for answer in [Ok(Records::Txt(vec![record])), Err(Failure::Temporary("x".to_owned()))] {
            let mut hashers = Hashers::new();
            let dkim = dkim::Verifier::new(header, NOW, &Limits::default(), &mut hashers);
            let arc = arc::Verifier::new(header, NOW, &Limits::default(), &mut hashers);
            hashers.update(body);
            let digests = hashers.finish();
            for outcome in ends(dkim.finish(&digests), &answer, Limits::default().signatures) {
                assert_ne!(outcome.status, Status::Pass);
                let shown = [
                    &outcome.domain,
                    &outcome.selector,
                    &outcome.identity,
                    &outcome.algorithm,
                    &outcome.b,
                    &outcome.why,
                ];
                assert!(!shown.iter().any(|text| text.chars().any(char::is_control)), "{outcome:?}");
                assert!(!outcome.why.is_empty());
            }
            let verdict = ends(arc.finish(&digests), &answer, 100);
            assert_ne!(verdict.cv, Validation::Pass);
            assert_eq!(verdict.cv == Validation::None, verdict.why.is_empty());
        }
    });
}

#[test]
fn fuzz_bodies_are_hashed_as_the_words_of_the_standard_say() {
    check!(INPUTS).with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(input, cuts)| {
        // The other way works on text.
        let body: Vec<u8> = text(input).into_iter().filter(u8::is_ascii).collect();
        let mut hashers = Hashers::new();
        for form in [Canonicalization::Simple, Canonicalization::Relaxed] {
            assert!(hashers.want(form, None) && hashers.want(form, Some(7)));
        }
        let mut rest = &*body;
        for &cut in cuts {
            let (piece, more) = rest.split_at(usize::from(cut).min(rest.len()));
            hashers.update(piece);
            rest = more;
        }
        hashers.update(rest);
        let digests = hashers.finish();
        let body = String::from_utf8(body).expect("ASCII");
        for (form, name) in [(Canonicalization::Simple, "simple"), (Canonicalization::Relaxed, "relaxed")] {
            let expected = canonical_body(&body, name).into_bytes();
            let whole = digests.get(form, None).expect("wanted");
            assert_eq!(whole.sha256, digest(&SHA256, &expected).as_ref(), "{name}: {body:?}");
            assert_eq!((whole.hashed, whole.total), (expected.len() as u64, expected.len() as u64));
            let part = &expected[..expected.len().min(7)];
            let limited = digests.get(form, Some(7)).expect("wanted");
            assert_eq!(limited.sha256, digest(&SHA256, part).as_ref(), "{name}: {body:?}");
            assert_eq!((limited.hashed, limited.total), (part.len() as u64, expected.len() as u64));
        }
    });
}

#[test]
fn fuzz_what_is_signed_is_verified() {
    let mut zone = Zone::default().with("s._domainkey.example.org", &key().record());
    let signing = Signing { domain: "example.org", selector: "s", now: NOW, valid_for: None };
    check!(INPUTS / 4).with_type::<(Vec<u8>, Vec<u8>)>().for_each(move |(more, body)| {
        let message = [b"From: a@example.org\r\n", &*text(more), b"\r\n\r\n", &text(body)].concat();
        let (header, body) = split(&message);
        let field = dkim::sign(key(), &signing, header, &relaxed(body)).expect("signed");
        let outcome = zone.dkim(&[field.as_bytes(), &message].concat()).swap_remove(0);
        assert_eq!(outcome.status, Status::Pass, "{}: {field}{}", outcome.why, String::from_utf8_lossy(&message));
    });
}

#[test]
fn fuzz_what_is_sealed_holds() {
    let mut zone = Zone::default().with("s._domainkey.example.org", &key().record());
    check!(INPUTS / 4).with_type::<(Vec<u8>, String)>().for_each(move |(body, results)| {
        let message = [b"From: a@example.org\r\n\r\n", &*text(body)].concat();
        let (header, body) = split(&message);
        let sealing = Sealing { domain: "example.org", selector: "s", now: NOW, results, cv: Validation::None };
        let fields = arc::seal(key(), &sealing, header, &relaxed(body)).expect("sealed").expect("sealed");
        let verdict = zone.arc(&[fields.as_bytes(), &message].concat());
        assert_eq!(verdict.cv, Validation::Pass, "{}: {fields}", verdict.why);
    });
}

#[test]
fn fuzz_any_record_is_read() {
    check!(INPUTS).with_type::<Vec<u8>>().for_each(|input| {
        for text in [text(input), [b"v=DKIM1; k=rsa; p=", &**input].concat()] {
            if let Ok(record) = Record::parse(&text) {
                assert!(!record.belongs_to(key()));
            }
        }
    });
}

#[test]
fn fuzz_any_key_is_refused_or_signs() {
    check!(INPUTS).with_type::<Vec<u8>>().for_each(|input| {
        assert!(SigningKey::from_pkcs8(input).is_err());
        let _ = SigningKey::from_pem(&String::from_utf8_lossy(&text(input)));
    });
}
