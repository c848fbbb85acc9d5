//! `postroad authcheck message`: verdicts for people and for programs, from a name server that is told by `--dns`.

use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use postroad_mailauth::arc::{self, Sealing, Validation};
use postroad_mailauth::body::{Canonicalization, Digest, Hashers};
use postroad_mailauth::dkim::{self, Signing};
use postroad_mailauth::key::SigningKey;
use postroad_testkit::dns_wire::Manner;
use postroad_testkit::{DnsWire, WireZone, output};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");
const HEADER: &str = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: hello\r\nDate: Fri, 11 Jul 2025 21:00:37 +0000\r\n\
    Message-ID: <1@example.org>\r\n\r\n";
const BODY: &str = "Dear all,\r\n\r\nhow are you?\r\n";

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

fn hash(body: &str) -> Digest {
    let mut hashers = Hashers::new();
    hashers.want(Canonicalization::Relaxed, None);
    hashers.update(body.as_bytes());
    hashers.finish().get(Canonicalization::Relaxed, None).expect("wanted")
}

/// Keys at s1 and s2, a policy, and an address that may send.
fn world() -> (WireZone, SigningKey, SigningKey) {
    let (rsa, ed25519) = (SigningKey::rsa().expect("a key"), SigningKey::ed25519().expect("a key"));
    let zone = WireZone::new()
        .with_txt("s1._domainkey.example.org", rsa.record())
        .with_txt("s2._domainkey.example.org", ed25519.record())
        .with_txt("_dmarc.example.org", "v=DMARC1; p=reject")
        .with_txt("example.org", "v=spf1 ip4:192.0.2.1 -all");
    (zone, rsa, ed25519)
}

fn sign(key: &SigningKey, selector: &str, header: &str) -> String {
    let signing = Signing { domain: "example.org", selector, now: now(), valid_for: None };
    dkim::sign(key, &signing, header.as_bytes(), &hash(BODY)).expect("signed") + header
}

fn check(dns: &DnsWire, more: &[&str], message: &str) -> Output {
    let address = dns.address().to_string();
    let mut command = Command::new(PROGRAM);
    output(command.args(["authcheck", "message", "-", "--dns", &address]).args(more), message.as_bytes())
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn each_result_is_a_line_and_the_result_comes_first() {
    let (zone, rsa, ed25519) = world();
    let dns = DnsWire::start(zone);
    let header = sign(&rsa, "s1", &sign(&ed25519, "s2", HEADER));
    let said = lines(&check(&dns, &[], &format!("{header}{BODY}")));
    let begins = |line: &str, with: &str| assert!(line.starts_with(with), "{line} instead of {with}\n{said:#?}");
    assert_eq!(said.len(), 4, "{said:#?}");
    begins(&said[0], "dkim=pass d=example.org s=s1 i=@example.org a=rsa-sha256 (2048-bit key)");
    begins(&said[1], "dkim=pass d=example.org s=s2 i=@example.org a=ed25519-sha256 (256-bit key)");
    begins(&said[2], "dmarc=pass d=example.org p=reject");
    begins(&said[3], "arc=none: there is no chain");

    // With line feeds, as in a file.
    let said = lines(&check(&dns, &[], &format!("{header}{BODY}").replace("\r\n", "\n")));
    assert!(said[0].starts_with("dkim=pass"), "{said:#?}");

    let said = lines(&check(&dns, &[], &format!("{header}{BODY}PS: pay at once\r\n")));
    assert!(said[0].starts_with("dkim=fail d=example.org") && said[0].contains(": the body was changed"), "{said:#?}");
    assert!(said[2].starts_with("dmarc=fail d=example.org p=reject"), "{said:#?}");

    let said = lines(&check(&dns, &[], &format!("{HEADER}{BODY}")));
    assert_eq!(said[0], "dkim=none: the message is not signed");
    assert!(said[1].starts_with("dmarc=fail"), "{said:#?}");
    assert!(lines(&check(&dns, &[], ""))[0].starts_with("dkim=none"));
}

#[test]
fn spf_counts_where_the_envelope_is_told() {
    let (zone, ..) = world();
    let dns = DnsWire::start(zone);
    let message = format!("{HEADER}{BODY}");
    for (ip, spf, dmarc) in [("192.0.2.1", "spf=pass", "dmarc=pass"), ("192.0.2.2", "spf=fail", "dmarc=fail")] {
        let envelope = ["--ip", ip, "--helo", "mx.example.org", "--mail-from", "<ann@example.org>"];
        let said = lines(&check(&dns, &envelope, &message));
        assert!(said[0].starts_with(spf) && said[0].contains("ann@example.org"), "{said:#?}");
        assert!(said[2].starts_with(dmarc), "{said:#?}");
    }
}

#[test]
fn programs_get_json() {
    let (zone, rsa, _) = world();
    let dns = DnsWire::start(zone);
    let sealing = Sealing {
        domain: "example.org",
        selector: "s1",
        now: now(),
        results: "mx.example.org; dkim=pass header.d=example.org",
        cv: Validation::None,
    };
    let signed = sign(&rsa, "s1", HEADER);
    let sealed = arc::seal(&rsa, &sealing, signed.as_bytes(), &hash(BODY)).expect("sealed").expect("sealed") + &signed;
    let output = check(&dns, &["--json"], &format!("{sealed}{BODY}"));
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (pointer, expected) in [
        ("/dkim/0/result", Value::from("pass")),
        ("/dkim/0/domain", Value::from("example.org")),
        ("/dkim/0/selector", Value::from("s1")),
        ("/dkim/0/algorithm", Value::from("rsa-sha256")),
        ("/dkim/0/key_bits", Value::from(2048)),
        ("/dkim/1", Value::Null),
        ("/dmarc/result", Value::from("pass")),
        ("/dmarc/domain", Value::from("example.org")),
        ("/dmarc/published", Value::from("reject")),
        ("/arc/result", Value::from("pass")),
        ("/arc/chain/0/domain", Value::from("example.org")),
        ("/arc/chain/0/results", Value::from("mx.example.org; dkim=pass header.d=example.org")),
        ("/spf", Value::Null),
    ] {
        assert_eq!(said.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer}: {said:#}");
    }
}

#[test]
fn a_name_server_in_trouble_gives_no_wrong_verdict() {
    let rsa = SigningKey::rsa().expect("a key");
    let zone = ["s1._domainkey.example.org", "_dmarc.example.org"]
        .iter()
        .fold(WireZone::new(), |zone, name| zone.with_manner(name, Manner::Code(2)));
    let dns = DnsWire::start(zone);
    let said = lines(&check(&dns, &[], &format!("{}{BODY}", sign(&rsa, "s1", HEADER))));
    assert!(said[0].starts_with("dkim=temperror d=example.org"), "{said:#?}");
    assert!(said[1].starts_with("dmarc=temperror"), "{said:#?}");
}

#[test]
fn what_is_no_message_is_said_to_be_none() {
    let dns = DnsWire::start(WireZone::new());
    let long = check(&dns, &[], &"x".repeat(17 << 20));
    assert!(!long.status.success());
    assert!(String::from_utf8_lossy(&long.stderr).contains("the header is longer than"), "{long:?}");
    let address = dns.address().to_string();
    let mut command = Command::new(PROGRAM);
    let missing = output(command.args(["authcheck", "message", "/nowhere/at/all", "--dns", &address]), b"");
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("/nowhere/at/all"));
}
