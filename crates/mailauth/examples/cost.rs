//! What verifying and signing cost: `cargo run --release -p postroad-mailauth --example cost`.
//!
//! Prints microseconds of wall time for one message, the best of several rounds.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use postroad_mailauth::body::{Canonicalization, Digest, Hashers};
use postroad_mailauth::dkim::{self, Limits, Signing};
use postroad_mailauth::key::SigningKey;
use postroad_mailauth::{Machine, Records, Step, arc};

const NOW: i64 = 1_700_000_000;
const ROUNDS: usize = 20;
const PER_ROUND: u32 = 50;

fn main() {
    let header = header();
    for (what, body) in [("10 KB of text", text(10 << 10)), ("1 MB of base64", base64(1 << 20))] {
        println!("{what}, {} octets of header", header.len());
        let rsa = SigningKey::rsa().expect("a key");
        let ed25519 = SigningKey::ed25519().expect("a key");
        let digest = hash(&body);
        report("hash the body, relaxed", || {
            black_box(hash(&body));
        });
        report("sign, RSA-2048, without body", || {
            black_box(sign(&rsa, &header, &digest));
        });
        report("sign, Ed25519, without body", || {
            black_box(sign(&ed25519, &header, &digest));
        });
        for (name, key) in [("RSA-2048", &rsa), ("Ed25519", &ed25519)] {
            let signed = sign(key, &header, &digest) + &header;
            let record = key.record().into_bytes();
            report(&format!("verify, {name}, with body"), || verify(&signed, &body, &record));
            report(&format!("read the header, {name}"), || {
                let mut hashers = Hashers::new();
                black_box(dkim::Verifier::new(signed.as_bytes(), NOW, &Limits::default(), &mut hashers));
            });
        }
    }
}

fn report(what: &str, mut run: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        (0..PER_ROUND).for_each(|_| run());
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(PER_ROUND));
    }
    println!("  {what}: {best:.1} us");
}

fn hash(body: &[u8]) -> Digest {
    let mut hashers = Hashers::new();
    hashers.want(Canonicalization::Relaxed, None);
    body.chunks(16 << 10).for_each(|piece| hashers.update(piece));
    hashers.finish().get(Canonicalization::Relaxed, None).expect("wanted")
}

fn sign(key: &SigningKey, header: &str, body: &Digest) -> String {
    let signing = Signing { domain: "example.org", selector: "s1", now: NOW, valid_for: None };
    dkim::sign(key, &signing, header.as_bytes(), body).expect("signed")
}

/// As a server does it: DKIM and ARC, keys from a cache.
fn verify(header: &str, body: &[u8], record: &[u8]) {
    let mut hashers = Hashers::new();
    let limits = Limits::default();
    let dkim = dkim::Verifier::new(header.as_bytes(), NOW, &limits, &mut hashers);
    let arc = arc::Verifier::new(header.as_bytes(), NOW, &limits, &mut hashers);
    body.chunks(16 << 10).for_each(|piece| hashers.update(piece));
    let digests = hashers.finish();
    let outcomes = run(dkim.finish(&digests), record);
    assert_eq!(outcomes[0].status, dkim::Status::Pass, "{outcomes:?}");
    black_box(run(arc.finish(&digests), record));
}

fn run<M: Machine>(mut machine: M, record: &[u8]) -> M::Verdict {
    loop {
        match machine.step() {
            Step::Done(verdict) => return verdict,
            Step::Ask(questions) => {
                questions.iter().for_each(|_| machine.answer(Ok(Records::Txt(vec![record.to_vec()]))));
            }
        }
    }
}

/// A header like those of mail that came a long way.
fn header() -> String {
    let mut header = String::new();
    for hop in 0..6 {
        header.push_str(&format!(
            "Received: from host{hop}.example.com (host{hop}.example.com [192.0.2.{hop}])\r\n\tby mx.example.net with ESMTPS id 4Xyz{hop}\r\n\tfor <somebody@example.net>; Fri, 11 Jul 2025 21:00:37 +0000\r\n"
        ));
    }
    for number in 0..15 {
        header.push_str(&format!("X-Some-Vendor-Header-{number}: {}\r\n", "value ".repeat(12)));
    }
    header.push_str(
        "From: \"Somebody Else\" <somebody@example.org>\r\nTo: a@example.net, b@example.net,\r\n c@example.net\r\n\
         Subject: An ordinary message about something\r\nDate: Fri, 11 Jul 2025 21:00:37 +0000\r\nMessage-ID: <1@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\
         List-Unsubscribe: <https://example.org/u/1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n",
    );
    header
}

fn text(octets: usize) -> Vec<u8> {
    b"The quick brown fox jumps over the lazy dog, and so does everybody else here.\r\n".repeat(octets / 80)
}

fn base64(octets: usize) -> Vec<u8> {
    b"VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZywgYW5kIHNvIGRvZX\r\n".repeat(octets / 78)
}
