//! RSA keys of all sizes: those in use, those that can be broken, those that are bombs. OpenSSL makes and uses them.

mod support;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroad_mailauth::dkim::{Limits, Outcome, Status};
use postroad_mailauth::key::SigningKey;
use support::{Zone, crlf};

const NAME: &str = "s._domainkey.example.org";

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    child.stdin.take().expect("piped").write_all(input).expect("written");
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "{arguments:?}");
    output.stdout
}

/// A message that says `a=rsa-sha256` with a signature over canonical forms written down here.
fn signed(pem: &[u8]) -> Vec<u8> {
    let path = std::env::temp_dir().join(format!("postroad-key-sizes-{}-{}", std::process::id(), pem.len()));
    fs::write(&path, pem).expect("written");
    let body_hash = STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"text\r\n"));
    let tags = format!("v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s; h=from; bh={body_hash}; b=");
    let input = format!("from:a@example.org\r\ndkim-signature:{tags}");
    let signature = openssl(&["dgst", "-sha256", "-sign", path.to_str().expect("UTF-8")], input.as_bytes());
    fs::remove_file(&path).expect("removed");
    crlf(&format!("DKIM-Signature: {tags}{}\nFrom: a@example.org\n\ntext\n", STANDARD.encode(signature)))
}

fn spki(pem: &[u8]) -> Vec<u8> {
    openssl(&["pkey", "-pubout", "-outform", "DER"], pem)
}

fn pkcs1(pem: &[u8]) -> Vec<u8> {
    openssl(&["rsa", "-RSAPublicKey_out", "-outform", "DER"], pem)
}

fn outcome(message: &[u8], public: &[u8], limits: &Limits) -> Outcome {
    let record = format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(public));
    let mut outcomes = Zone::default().with(NAME, &record).dkim_within(message, limits);
    outcomes.swap_remove(0)
}

#[test]
fn keys_of_all_sizes() {
    let table = [
        (512, Status::Policy),
        (768, Status::Policy),
        (1023, Status::Policy),
        (1024, Status::Pass),
        (1536, Status::Pass),
        (2048, Status::Pass),
        (4096, Status::Pass),
    ];
    for (bits, status) in table {
        let pem = openssl(&["genrsa", &bits.to_string()], b"");
        let message = signed(&pem);
        for public in [spki(&pem), pkcs1(&pem)] {
            let outcome = outcome(&message, &public, &Limits::default());
            assert_eq!((outcome.status, outcome.key_bits), (status, Some(bits)), "{bits}: {}", outcome.why);
            if status == Status::Policy {
                assert!(outcome.why.contains(&bits.to_string()), "{}", outcome.why);
            }
        }
        if bits < 2048 {
            assert!(SigningKey::from_pem(std::str::from_utf8(&pem).expect("PEM")).is_err(), "{bits} bits do not sign");
        }
        if bits == 2048 {
            let limits = Limits { rsa_bits: 2047, ..Limits::default() };
            let outcome = outcome(&message, &spki(&pem), &limits);
            assert_eq!((outcome.status, outcome.key_bits), (Status::Policy, Some(bits)), "longer than is wanted");
        }
    }
}

#[test]
fn keys_that_are_bombs_are_not_loaded() {
    let pem = openssl(&["genrsa", "1024"], b"");
    let message = signed(&pem);
    // SEQUENCE { INTEGER of so many octets, INTEGER 65537 }.
    let bomb = |octets: usize| {
        let length = |n: usize| [0x83, (n >> 16) as u8, (n >> 8) as u8, n as u8];
        let mut inside = vec![0x02];
        inside.extend(length(octets));
        inside.extend(std::iter::repeat_n(0xff, octets));
        inside.extend([0x02, 0x03, 1, 0, 1]);
        let mut der = vec![0x30];
        der.extend(length(inside.len()));
        der.extend(inside);
        der
    };
    let outcome_of = |public: &[u8]| outcome(&message, public, &Limits { rsa_bits: u32::MAX, ..Limits::default() });
    let outcome = outcome_of(&bomb(10_000));
    assert_eq!((outcome.status, outcome.key_bits), (Status::Policy, Some(80_000)), "{}", outcome.why);
    assert_eq!(outcome_of(&bomb(1 << 20)).status, Status::PermError, "the record is too long already");
    // Cut off, empty, of nothing, with a length that lies.
    let public = spki(&pem);
    for broken in [&public[..public.len() - 1], &public[..20], &[0x30], &[0x30, 0x84, 1, 1, 1, 1], &[0x30, 3, 2, 1, 0]]
    {
        let outcome = outcome_of(broken);
        assert_eq!(outcome.status, Status::PermError, "{broken:?}: {}", outcome.why);
    }
    // An even exponent, or none to speak of, verifies nothing.
    let mut exponent = pkcs1(&pem);
    *exponent.last_mut().expect("octets") = 0;
    assert_ne!(outcome_of(&exponent).status, Status::Pass);
}
