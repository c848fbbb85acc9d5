//! Certificates made here, and records about them.

use std::time::Duration;

use postroad_testkit::certificates::{Authority, Pair};
use rustls::pki_types::pem::PemObject;

use super::*;

/// Within the life of what the tests make, and after it.
const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
const LATER: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(90_000_000_000));

fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("our own PEM")
}

/// A record about a certificate.
fn about(usage: u8, selector: u8, matching: u8, certificate: &CertificateDer<'_>) -> Tlsa {
    let key = ParsedCertificate::try_from(certificate).expect("a certificate").subject_public_key_info();
    let selected: &[u8] = if selector == KEY { &key } else { certificate };
    let data = match matching {
        SHA_256 => digest::digest(&digest::SHA256, selected).as_ref().to_vec(),
        SHA_512 => digest::digest(&digest::SHA512, selected).as_ref().to_vec(),
        _ => selected.to_vec(),
    };
    Tlsa { usage, selector, matching, data }
}

fn records(found: &[Tlsa]) -> Option<Records> {
    Records::of("mx.there.test", &["mx.there.test", "there.test"], found)
}

fn tampered(mut tlsa: Tlsa) -> Tlsa {
    tlsa.data[0] ^= 1;
    tlsa
}

struct Host {
    leaf: CertificateDer<'static>,
    rest: Vec<CertificateDer<'static>>,
}

impl Host {
    fn with(pair: &Pair) -> Host {
        let mut chain = ders(&pair.chain);
        Host { leaf: chain.remove(0), rest: chain }
    }

    fn meets(&self, found: &[Tlsa], now: UnixTime) -> Result<String, Mismatch> {
        records(found).expect("some can be used").verify(&self.leaf, &self.rest, now)
    }
}

#[test]
fn the_host_is_what_a_record_says_whatever_its_name_and_date() {
    let host = Host::with(&Authority::new().issue(&["anything.else.test"]));
    for (selector, matching) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
        let record = about(EE, selector, matching, &host.leaf);
        for now in [NOW, LATER] {
            assert_eq!(host.meets(std::slice::from_ref(&record), now), Ok(format!("3 {selector} {matching}")));
        }
        assert_eq!(host.meets(&[tampered(record)], NOW), Err(Mismatch::Unmet));
    }
    // Of several keys, as in a change of keys, one is enough.
    let other = Host::with(&Authority::new().issue(&["other.test"]));
    let both = [about(EE, KEY, SHA_256, &other.leaf), about(EE, KEY, SHA_256, &host.leaf)];
    assert_eq!(host.meets(&both, NOW), Ok("3 1 1".into()));
}

#[test]
fn an_authority_vouches_for_names_and_for_its_time() {
    let authority = Authority::new();
    let [ca] = <[_; 1]>::try_from(ders(&authority.pem())).expect("one certificate");
    let host = Host::with(&authority.issue(&["mx.there.test"]));
    for (selector, matching) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
        let record = about(TA, selector, matching, &ca);
        assert_eq!(host.meets(std::slice::from_ref(&record), NOW), Ok(format!("2 {selector} {matching}")));
        assert_eq!(host.meets(std::slice::from_ref(&record), LATER), Err(Mismatch::Time));
        assert_eq!(host.meets(&[tampered(record)], NOW), Err(Mismatch::Unmet));
    }
    let by_hash = about(TA, CERTIFICATE, SHA_256, &ca);
    let misnamed = Host::with(&authority.issue(&["mx.elsewhere.test"]));
    assert_eq!(misnamed.meets(std::slice::from_ref(&by_hash), NOW), Err(Mismatch::Name));
    let by_domain = Host::with(&authority.issue(&["there.test"]));
    assert_eq!(by_domain.meets(std::slice::from_ref(&by_hash), NOW), Ok("2 0 1".into()));
    // The authority has to be sent, or to stand in the record as a whole.
    let alone = Host { rest: Vec::new(), ..Host::with(&authority.issue(&["mx.there.test"])) };
    assert_eq!(alone.meets(std::slice::from_ref(&by_hash), NOW), Err(Mismatch::Unmet));
    assert_eq!(alone.meets(&[about(TA, CERTIFICATE, FULL, &ca)], NOW), Ok("2 0 0".into()));
    // A stranger who sends our authority along is a stranger all the same.
    let mut stranger = Host::with(&Authority::new().issue(&["mx.there.test"]));
    stranger.rest.push(ca);
    assert!(matches!(stranger.meets(std::slice::from_ref(&by_hash), NOW), Err(Mismatch::Chain(_))));
    // The host's own certificate is no authority.
    assert_eq!(host.meets(&[about(TA, CERTIFICATE, SHA_256, &host.leaf)], NOW), Err(Mismatch::Unmet));
}

#[test]
fn only_the_strongest_digest_counts() {
    let host = Host::with(&Authority::new().issue(&["mx.there.test"]));
    let (weak, strong) = (about(EE, KEY, SHA_256, &host.leaf), about(EE, KEY, SHA_512, &host.leaf));
    assert_eq!(host.meets(&[weak.clone(), tampered(strong.clone())], NOW), Err(Mismatch::Unmet));
    assert_eq!(host.meets(&[tampered(weak.clone()), strong], NOW), Ok("3 1 2".into()));
    // Of each usage and selector by itself, and what is no digest counts too.
    let whole = about(EE, CERTIFICATE, SHA_512, &host.leaf);
    assert_eq!(host.meets(&[weak, tampered(whole)], NOW), Ok("3 1 1".into()));
    let full = about(EE, KEY, FULL, &host.leaf);
    assert_eq!(host.meets(&[full, tampered(about(EE, KEY, SHA_512, &host.leaf))], NOW), Ok("3 1 0".into()));
}

#[test]
fn records_that_say_nothing_to_mail_are_none() {
    let host = Host::with(&Authority::new().issue(&["mx.there.test"]));
    let good = about(EE, KEY, SHA_256, &host.leaf);
    for useless in [
        Tlsa { usage: 0, ..good.clone() },
        Tlsa { usage: 1, ..good.clone() },
        Tlsa { usage: 255, ..good.clone() },
        Tlsa { selector: 2, ..good.clone() },
        Tlsa { matching: 3, ..good.clone() },
        Tlsa { data: vec![1; 31], ..good.clone() },
        Tlsa { matching: SHA_512, ..good.clone() },
        Tlsa { matching: FULL, data: Vec::new(), ..good.clone() },
    ] {
        assert_eq!(records(std::slice::from_ref(&useless)), None, "{useless:?}");
        assert_eq!(host.meets(&[useless, good.clone()], NOW), Ok("3 1 1".into()));
    }
    assert_eq!(records(&[]), None);
    assert_eq!(
        records(&[good.clone(), about(TA, 0, 1, &host.leaf)]).map(|both| both.kinds()),
        Some("2 0 1, 3 1 1".into())
    );
    assert_eq!(line(&Tlsa { data: vec![0, 255], ..good }), "3 1 1 00ff");
}

#[test]
fn what_is_no_certificate_is_none_of_the_records() {
    let host = Host::with(&Authority::new().issue(&["mx.there.test"]));
    let [ee, ta] = [about(EE, KEY, SHA_256, &host.leaf), about(TA, CERTIFICATE, FULL, &host.leaf)];
    let garbage = Tlsa { data: vec![0x30; 40], ..ta.clone() };
    let noise = CertificateDer::from(vec![0x30, 0x82, 0xff, 0xff, 0]);
    for records in [vec![ee.clone()], vec![ta], vec![garbage]] {
        let bad = Host { leaf: noise.clone(), rest: vec![noise.clone(); 2 * CHAIN_MAX] };
        assert!(bad.meets(&records, NOW).is_err());
    }
}
