//! An authenticator of our own, honest and not.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};

use super::*;

const CHALLENGE: &[u8] = b"0123456789abcdef0123456789abcdef";
const ORIGIN: &str = "https://mail.example.test";
const PARTY: &str = "mail.example.test";

fn expected() -> Expected<'static> {
    Expected { challenge: CHALLENGE, origin: ORIGIN, party: PARTY, verified: true }
}

enum Signer {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

fn signers() -> Vec<Signer> {
    vec![
        Signer::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key")),
        Signer::Ed25519(Ed25519KeyPair::generate().expect("a key")),
        Signer::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
    ]
}

fn bytes(octets: &[u8]) -> Vec<u8> {
    let length = octets.len();
    let head = if length < 24 {
        vec![0x40 | u8::try_from(length).expect("short")]
    } else if length < 256 {
        vec![0x58, u8::try_from(length).expect("short")]
    } else {
        [&[0x59][..], &u16::try_from(length).expect("short").to_be_bytes()].concat()
    };
    [head, octets.to_vec()].concat()
}

impl Signer {
    fn cose(&self) -> Vec<u8> {
        match self {
            Signer::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let head = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21];
                [&head[..], &bytes(&point[1..33]), &[0x22], &bytes(&point[33..])].concat()
            }
            Signer::Ed25519(pair) => {
                [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21][..], &bytes(pair.public_key().as_ref())].concat()
            }
            Signer::Rs256(pair) => {
                // RFC 8017 appendix A.1.1: a SEQUENCE of two INTEGERs.
                let der = pair.public_key().as_ref();
                assert_eq!((der.len(), &der[..9]), (270, &[0x30, 0x82, 1, 10, 2, 0x82, 1, 1, 0][..]));
                let (modulus, exponent) = (&der[9..265], &der[267..]);
                let head = [0xa4, 1, 3, 3, 0x39, 0x01, 0x00, 0x20];
                [&head[..], &bytes(modulus), &[0x21], &bytes(exponent)].concat()
            }
        }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Signer::Es256(pair) => pair.sign(&random, text).expect("signed").as_ref().to_vec(),
            Signer::Ed25519(pair) => pair.sign(text).as_ref().to_vec(),
            Signer::Rs256(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut out).expect("signed");
                out
            }
        }
    }
}

fn said(kind: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(CHALLENGE);
    format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{ORIGIN}","crossOrigin":false}}"#)
}

fn data(party: &str, flags: u8, count: u32, rest: &[u8]) -> Vec<u8> {
    [digest(&SHA256, party.as_bytes()).as_ref(), &[flags], &count.to_be_bytes(), rest].concat()
}

fn object(format: &str, data: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&[0x60 | u8::try_from(text.len()).expect("short")][..], text.as_bytes()].concat();
    [&[0xa3][..], &text("fmt"), &text(format), &text("attStmt"), &[0xa0], &text("authData"), &bytes(data)].concat()
}

fn attested(id: &[u8], key: &[u8]) -> Vec<u8> {
    let length = u16::try_from(id.len()).expect("short").to_be_bytes();
    [&[0; 16][..], &length, id, key].concat()
}

#[test]
fn all_three_kinds_of_keys_register_and_log_in() {
    for signer in signers() {
        let made = object("none", &data(PARTY, 0x5d, 0, &attested(b"credential", &signer.cose())));
        let registered = registered(&expected(), said("webauthn.create").as_bytes(), &made).expect("good");
        assert_eq!(registered.credential, b"credential");
        assert_eq!((&registered.key, registered.verified, registered.copied), (&signer.cose(), true, true));
        let (client, data) = (said("webauthn.get"), data(PARTY, 0x0d, 7, &[]));
        let text = [&data[..], digest(&SHA256, client.as_bytes()).as_ref()].concat();
        let signature = signer.sign(&text);
        let known = Known { key: &registered.key, count: 6, copied: true };
        let shown = Asserted { count: 7, verified: true };
        assert_eq!(asserted(&expected(), known, client.as_bytes(), &data, &signature), Ok(shown));
        for (known, fault) in [
            (Known { count: 7, ..known }, Fault::Counter),
            (Known { key: &[0xa0], ..known }, Fault::Key),
            (Known { copied: false, ..known }, Fault::Copied),
        ] {
            assert_eq!(asserted(&expected(), known, client.as_bytes(), &data, &signature), Err(fault));
        }
        for other in signers() {
            let (key, known) = (other.cose(), Known { count: 0, ..known });
            let known = Known { key: &key, ..known };
            assert_eq!(asserted(&expected(), known, client.as_bytes(), &data, &signature), Err(Fault::Signature));
        }
        // Each bit of what is signed and of the signature counts.
        for place in [0, signature.len() / 2, signature.len() - 1] {
            let mut wrong = signature.clone();
            wrong[place] ^= 1;
            assert_eq!(asserted(&expected(), known, client.as_bytes(), &data, &wrong), Err(Fault::Signature));
        }
    }
}

#[test]
fn what_the_browser_says_must_fit() {
    let signer = &signers()[0];
    let made = object("none", &data(PARTY, 0x45, 0, &attested(b"credential", &signer.cose())));
    let right = said("webauthn.create");
    for (from, to, fault) in [
        ("webauthn.create", "webauthn.get", Fault::Type),
        (ORIGIN, "https://mail.example.test.evil.example", Fault::Origin),
        (ORIGIN, "http://mail.example.test", Fault::Origin),
        (ORIGIN, "https://mail.example.test:8443", Fault::Origin),
        ("\"crossOrigin\":false", "\"crossOrigin\":true", Fault::Origin),
        ("\"crossOrigin\":false", "\"topOrigin\":\"https://evil.example\"", Fault::Origin),
        ("MDEy", "MDEz", Fault::Challenge),
        ("\"challenge\":\"", "\"challenge\":\"!", Fault::Malformed),
        ("{", "[", Fault::Malformed),
    ] {
        let wrong = right.replacen(from, to, 1);
        assert_ne!(wrong, right);
        assert_eq!(registered(&expected(), wrong.as_bytes(), &made), Err(fault), "{wrong}");
    }
    let long = format!("{}{}", right, " ".repeat(CLIENT_DATA_MAX));
    assert_eq!(registered(&expected(), long.as_bytes(), &made), Err(Fault::Malformed));
}

#[test]
fn what_the_authenticator_says_must_fit() {
    let (signer, client) = (&signers()[0], said("webauthn.create"));
    let key = signer.cose();
    let whole = attested(b"credential", &key);
    let mut unknown = key.clone();
    unknown[4] = 0x27;
    for (made, fault) in [
        (object("none", &data("evil.example", 0x45, 0, &whole)), Fault::Party),
        (object("none", &data(PARTY, 0x44, 0, &whole)), Fault::User),
        (object("none", &data(PARTY, 0x41, 0, &whole)), Fault::User),
        (object("none", &data(PARTY, 0x05, 0, &whole)), Fault::Malformed),
        (object("none", &data(PARTY, 0x55, 0, &whole)), Fault::Malformed),
        (object("packed", &data(PARTY, 0x45, 0, &whole)), Fault::Attestation),
        (object("none", &data(PARTY, 0x45, 0, &attested(b"", &key))), Fault::Malformed),
        (object("none", &data(PARTY, 0x45, 0, &attested(&[1; 1024], &key))), Fault::Malformed),
        (object("none", &data(PARTY, 0x45, 0, &attested(b"credential", &unknown))), Fault::Key),
        (object("none", &data(PARTY, 0x45, 0, &[&whole[..], &[0xa0]].concat())), Fault::Malformed),
        (object("none", &data(PARTY, 0xc5, 0, &whole)), Fault::Malformed),
        (object("none", &data(PARTY, 0x45, 0, &whole[..40])), Fault::Malformed),
        ([object("none", &data(PARTY, 0x45, 0, &whole)), vec![0]].concat(), Fault::Malformed),
        (Vec::new(), Fault::Malformed),
    ] {
        assert_eq!(registered(&expected(), client.as_bytes(), &made), Err(fault), "{made:02x?}");
    }
    // As a second step behind a password a touch is enough.
    let touched = Expected { verified: false, ..expected() };
    let made = object("none", &data(PARTY, 0x41, 0, &whole));
    assert!(registered(&touched, client.as_bytes(), &made).is_ok_and(|made| !made.verified));
    // Extensions that were not asked for are a map, and nobody's business.
    let made = object("none", &data(PARTY, 0xc5, 0, &[&whole[..], &[0xa1, 0x61, b'x', 0xf5]].concat()));
    assert!(registered(&expected(), client.as_bytes(), &made).is_ok());
    // A credential that vouches for itself: with its own key, over just this.
    let data = data(PARTY, 0x45, 0, &whole);
    let text = [&data[..], digest(&SHA256, client.as_bytes()).as_ref()].concat();
    let statement = |signature: &[u8], algorithm: u8| {
        let names = |name: &str| [&[0x60 | u8::try_from(name.len()).expect("short")][..], name.as_bytes()].concat();
        let pairs = [&[0xa2][..], &names("alg"), &[algorithm], &names("sig"), &bytes(signature)].concat();
        let object = object("packed", &data);
        let empty = object.windows(2).position(|two| two == [b't', 0xa0]).expect("a statement") + 1;
        [&object[..empty], &pairs, &object[empty + 1..]].concat()
    };
    let own = signer.sign(&text);
    assert!(registered(&expected(), client.as_bytes(), &statement(&own, 0x26)).is_ok());
    for (signature, algorithm) in [(own, 0x27), (signer.sign(b"another"), 0x26), (signers()[0].sign(&text), 0x26)] {
        let made = statement(&signature, algorithm);
        assert_eq!(registered(&expected(), client.as_bytes(), &made), Err(Fault::Attestation));
    }
}
