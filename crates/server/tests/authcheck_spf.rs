//! `postroad authcheck spf`: the result as the first word, for people and programs; and that pyspf finds the same.

use std::net::Ipv4Addr;

use postroad_testkit::dns_wire::{Fault, Manner};
use postroad_testkit::{DnsWire, WireZone, run};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");

fn zone() -> WireZone {
    let long: String = (0..200).map(|n| format!(" ip4:198.51.100.{n}")).collect();
    WireZone::new()
        .with_txt("plain.test", "v=spf1 ip4:192.0.2.0/28 -all exp=why.plain.test")
        .with_txt("why.plain.test", "%{i} may not send for %{o}")
        .with_txt("soft.test", "v=spf1 a mx ~all")
        .with_address("soft.test", Ipv4Addr::new(192, 0, 2, 40))
        .with_mx("soft.test", 10, "mx.soft.test")
        .with_address("mx.soft.test", Ipv4Addr::new(192, 0, 2, 41))
        .with_txt("six.test", "v=spf1 ip6:2001:db8::/32 ?all")
        .with_txt("includes.test", "v=spf1 include:plain.test include:alias.test -all")
        .with_alias("alias.test", "soft.test")
        .with_txt("lost.test", "v=spf1 include:nowhere.test -all")
        .with_txt("redirects.test", "v=spf1 redirect=plain.test")
        .with_txt("redirects-nowhere.test", "v=spf1 redirect=nowhere.test")
        .with_txt("loop.test", "v=spf1 include:loop.test -all")
        .with_txt("ring.test", "v=spf1 redirect=ring2.test")
        .with_txt("ring2.test", "v=spf1 redirect=ring.test")
        .with_txt("macros.test", "v=spf1 exists:%{ir}.%{l1r+}.ok.%{d2} -all")
        .with_address("1.2.0.192.ann.ok.macros.test", Ipv4Addr::LOCALHOST)
        .with_txt("names.test", "v=spf1 ptr:names.test -all")
        .with_ptr("50.2.0.192.in-addr.arpa", "host.names.test")
        .with_address("host.names.test", Ipv4Addr::new(192, 0, 2, 50))
        .with_ptr("51.2.0.192.in-addr.arpa", "host.names.test")
        .with_txt("empty.test", "v=spf1")
        .with_txt("two.test", "v=spf1 -all")
        .with_txt("two.test", "v=spf1 +all")
        .with_txt("typo.test", "v=spf1 ipv4:192.0.2.1 -all")
        .with_txt("other.test", "some other text")
        .with_txt("voids.test", "v=spf1 a:no1.test a:no2.test a:no3.test +all")
        .with_txt("nearly-void.test", "v=spf1 a:no1.test a:no2.test +all")
        .with_txt("terms.test", "v=spf1 a a a a a a a a a a a +all")
        .with_address("terms.test", Ipv4Addr::new(203, 0, 113, 1))
        .with_txt("long.test", format!("v=spf1{long} -all"))
        .with_manner("down.test", Manner::Code(2))
        .with_txt("half-down.test", "v=spf1 include:down.test -all")
        .with_txt("forced-tcp.test", "v=spf1 ip4:192.0.2.1 -all")
        .with_manner("forced-tcp.test", Manner::Always(Fault::Truncated))
        .with_txt("helo.test", "v=spf1 ip4:192.0.2.1 -all")
}

/// Address, HELO, MAIL FROM, the result.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("192.0.2.1", "x.test", "ann@plain.test", "pass"),
    ("192.0.2.15", "x.test", "ann@PLAIN.test", "pass"),
    ("192.0.2.16", "x.test", "ann@plain.test", "fail"),
    ("2001:db8::1", "x.test", "ann@plain.test", "fail"),
    ("192.0.2.40", "x.test", "ann@soft.test", "pass"),
    ("192.0.2.41", "x.test", "ann@soft.test", "pass"),
    ("192.0.2.42", "x.test", "ann@soft.test", "softfail"),
    ("2001:db8::1", "x.test", "ann@six.test", "pass"),
    ("2001:db9::1", "x.test", "ann@six.test", "neutral"),
    ("192.0.2.1", "x.test", "ann@six.test", "neutral"),
    ("192.0.2.41", "x.test", "ann@includes.test", "pass"),
    ("192.0.2.42", "x.test", "ann@includes.test", "fail"),
    ("192.0.2.1", "x.test", "ann@lost.test", "permerror"),
    ("192.0.2.1", "x.test", "ann@redirects.test", "pass"),
    ("192.0.2.99", "x.test", "ann@redirects.test", "fail"),
    ("192.0.2.1", "x.test", "ann@redirects-nowhere.test", "permerror"),
    ("192.0.2.1", "x.test", "ann@loop.test", "permerror"),
    ("192.0.2.1", "x.test", "ann@ring.test", "permerror"),
    ("192.0.2.1", "x.test", "ann+list@macros.test", "pass"),
    ("192.0.2.2", "x.test", "ann+list@macros.test", "fail"),
    ("192.0.2.50", "x.test", "ann@names.test", "pass"),
    ("192.0.2.51", "x.test", "ann@names.test", "fail"),
    ("192.0.2.1", "x.test", "ann@empty.test", "neutral"),
    ("192.0.2.1", "x.test", "ann@two.test", "permerror"),
    ("192.0.2.1", "x.test", "ann@typo.test", "permerror"),
    ("192.0.2.1", "x.test", "ann@other.test", "none"),
    ("192.0.2.1", "x.test", "ann@nowhere.test", "none"),
    ("192.0.2.1", "x.test", "ann@voids.test", "permerror"),
    ("192.0.2.1", "x.test", "ann@nearly-void.test", "pass"),
    ("192.0.2.1", "x.test", "ann@terms.test", "permerror"),
    ("198.51.100.199", "x.test", "ann@long.test", "pass"),
    ("198.51.100.200", "x.test", "ann@long.test", "fail"),
    ("192.0.2.1", "x.test", "ann@down.test", "temperror"),
    ("192.0.2.1", "x.test", "ann@half-down.test", "temperror"),
    ("192.0.2.1", "x.test", "ann@forced-tcp.test", "pass"),
    ("192.0.2.1", "helo.test", "", "pass"),
    ("192.0.2.2", "helo.test", "", "fail"),
    ("192.0.2.1", "nodots", "", "none"),
];

fn ask(dns: &DnsWire, ip: &str, helo: &str, mail_from: &str, more: &[&str]) -> String {
    let dns = dns.address().to_string();
    let options = ["authcheck", "spf", "--dns", &dns, "--ip", ip, "--helo", helo, "--mail-from", mail_from];
    run(PROGRAM, &[&options, more].concat(), b"").good()
}

#[test]
fn the_result_is_the_first_word_and_the_reason_follows() {
    let dns = DnsWire::start(zone());
    for (ip, helo, mail_from, expected) in CASES {
        let said = ask(&dns, ip, helo, mail_from, &[]);
        let (result, why) = said.split_once(' ').expect("a reason");
        assert_eq!(result, *expected, "{ip} {helo} {mail_from}: {said}");
        assert!(why.ends_with('\n') && why.len() > 10 && !why.trim_end().contains('\n'), "{said:?}");
    }
    let said = ask(&dns, "192.0.2.16", "x.test", "<ann@plain.test>", &[]);
    let expected =
        "fail 192.0.2.16 matches -all of plain.test; the domain says \"192.0.2.16 may not send for plain.test\"\n";
    assert_eq!(said, expected);
    assert_eq!(ask(&dns, "192.0.2.1", "helo.test", "<>", &[]), "pass 192.0.2.1 matches ip4:192.0.2.1 of helo.test\n");
}

#[test]
fn programs_get_json() {
    let dns = DnsWire::start(zone());
    let said: Value =
        serde_json::from_str(&ask(&dns, "192.0.2.41", "x.test", "ann@includes.test", &["--json"])).expect("JSON");
    let expected = json!({
        "result": "pass",
        "identity": "mailfrom",
        "domain": "includes.test",
        "sender": "ann@includes.test",
        "mechanism": "include:alias.test",
        "reason": "192.0.2.41 matches mx of alias.test, by include:alias.test of includes.test",
        "explanation": null,
    });
    assert_eq!(said, expected);
    let said: Value = serde_json::from_str(&ask(&dns, "192.0.2.9", "helo.test", "", &["--json"])).expect("JSON");
    assert_eq!(
        (&said["result"], &said["identity"], &said["sender"]),
        (&json!("fail"), &json!("helo"), &json!("postmaster@helo.test"))
    );
}

#[test]
fn a_name_server_that_is_none_is_told() {
    let ran = run(PROGRAM, &["authcheck", "spf", "--ip", "192.0.2.1", "--dns", "nowhere"], b"");
    assert!(!ran.success && ran.err.contains("nowhere"), "{ran:?}");
    let ran = run(PROGRAM, &["authcheck", "spf", "--ip", "x"], b"");
    assert!(!ran.success && ran.err.contains("--ip"), "{ran:?}");
}

/// Asks pyspf (python3-spf) at the same name server.
const PYSPF: &str = "
import json, sys, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ['127.0.0.1'], int(sys.argv[1])
dns.resolver.default_resolver = resolver
import spf
for ip, helo, mail_from in json.load(sys.stdin):
    print(spf.check2(i=ip, s=mail_from, h=helo, timeout=10)[0])
";

#[test]
fn pyspf_finds_the_same() {
    let dns = DnsWire::start(zone());
    let cases: Vec<[&str; 3]> = CASES.iter().map(|(ip, helo, mail_from, _)| [*ip, *helo, *mail_from]).collect();
    let port = dns.address().port().to_string();
    // The interpreter that Debian's package belongs to.
    let said =
        run("/usr/bin/python3", &["-W", "ignore", "-c", PYSPF, &port], json!(cases).to_string().as_bytes()).good();
    let expected: Vec<String> =
        CASES.iter().map(|(ip, _, mail_from, result)| format!("{ip} {mail_from} {result}")).collect();
    let theirs: Vec<String> =
        CASES.iter().zip(said.lines()).map(|((ip, _, from, _), result)| format!("{ip} {from} {result}")).collect();
    assert_eq!(theirs, expected);
}
