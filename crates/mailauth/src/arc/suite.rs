//! The published ARC suite, its signing part: `tests/data/arc/arc-draft-sign-tests.yml`.
//!
//! Its key has 1024 bits, with which nothing signs here. Signatures of RSA with PKCS#1 are the same each time, so the hand of the
//! test gives out the suite's own signature, if that is one of the hash that it is asked to sign; otherwise there is none.

use postroad_message::header;
use yaml_rust2::{Yaml, YamlLoader};

use super::seal::{Hand, seal_with};
use super::{Sealing, Validation};
use crate::body::{Canonicalization, Hashers};
use crate::key::{Error, PublicKey, Record};
use crate::tags::{Empty, Tags, base64};

#[test]
fn the_published_suite_is_sealed_as_it_says() {
    let text = include_str!("../../tests/data/arc/arc-draft-sign-tests.yml");
    let scenarios = YamlLoader::load_from_str(text).expect("YAML");
    let mut run = 0;
    for scenario in &scenarios {
        let record = scenario["txt-records"].as_hash().and_then(|records| records.values().next()?.as_str());
        let record = Record::parse(record.expect("a record").as_bytes()).expect("a key");
        let key = PublicKey::of(&record, 4096).expect("a key");
        for (name, test) in scenario["tests"].as_hash().expect("tests") {
            let name = name.as_str().expect("name");
            let domain = scenario["domain"].as_str().expect("domain");
            check(name, test, &key, domain, scenario["sel"].as_str().expect("selector"));
            run += 1;
        }
    }
    assert_eq!(run, 17);
}

fn check(name: &str, test: &Yaml, key: &PublicKey, domain: &str, selector: &str) {
    let text = |what: &str| test[what].as_str().unwrap_or_default();
    let message = text("message").replace('\n', "\r\n");
    let at = header::EndFinder::new().feed(message.as_bytes()).expect("a body");
    let (head, body) = message.as_bytes().split_at(at);
    let mut hashers = Hashers::new();
    hashers.want(Canonicalization::Relaxed, None);
    hashers.update(body);
    let digest = hashers.finish().get(Canonicalization::Relaxed, None).expect("wanted");

    let names: Vec<&str> = text("sig-headers").split(':').collect();
    let fields = names.iter().filter_map(|name| header::fields(head).filter(|field| field.is(name)).last()).collect();
    // What to say of the chain, and in which words, is in the message: the verdict of its receiver.
    let results = text("AAR").split_once(';').map(|(_, rest)| rest.trim()).unwrap_or_default();
    let cv = match () {
        () if results.contains(" arc=pass") => Validation::Pass,
        () if results.contains(" arc=fail") => Validation::Fail,
        () => Validation::None,
    };
    let now = test["t"].as_i64().expect("a time");
    let sealing = Sealing { domain, selector, now, results, cv };
    let candidates: Vec<Vec<u8>> = ["AS", "AMS"].iter().filter_map(|what| signature(text(what))).collect();
    let sign = |digest: &aws_lc_rs::digest::Digest| {
        candidates.iter().find(|candidate| key.verifies(digest, candidate)).cloned().ok_or(Error::Signing)
    };
    // The suite's own seals cover message signatures whose base64 is in one piece.
    let hand = Hand { algorithm: "rsa-sha256", sign: &sign, width: usize::MAX };
    let sealed = seal_with(&hand, &sealing, head, (names, fields), &digest);
    let sealed = sealed.unwrap_or_else(|_| panic!("{name}: the hashes are not those of the suite"));
    let Some(sealed) = sealed else {
        assert!(text("AS").trim().is_empty(), "{name}: not sealed");
        return;
    };
    for (field, expected) in
        [("ARC-Seal", text("AS")), ("ARC-Message-Signature", text("AMS")), ("ARC-Authentication-Results", text("AAR"))]
    {
        let made = header::find(sealed.as_bytes(), field).expect("made");
        assert_eq!(parts(&String::from_utf8_lossy(made.value)), parts(expected), "{name}: {field}");
    }
}

/// As the suite compares: without white space, in any order.
fn parts(value: &str) -> Vec<String> {
    let value: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    let mut parts: Vec<String> = value.split(';').map(str::to_owned).collect();
    parts.sort();
    parts
}

fn signature(value: &str) -> Option<Vec<u8>> {
    base64(Tags::parse(value.as_bytes(), Empty::Refuse).ok()?.get("b")?)
}
