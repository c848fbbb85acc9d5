//! `postroad check DOMAIN`: nothing is said against a healthy domain, and each planted fault is found and its remedy named.
//! The real program, a real name server with signed zones, ports on loopback.

mod place;

use place::{Expected, Place, is_said};
use postroad_testkit::certificates::{Authority, self_signed};
use postroad_testkit::remote::Manner;
use postroad_testkit::{Remote, Zone};

/// A fault: lines of the zones that are taken out, lines put in, and what has to be said.
struct Fault {
    without: &'static str,
    with: &'static str,
    root: &'static str,
    expected: Expected,
}

const fn fault(
    (without, with, root): (&'static str, &'static str, &'static str),
    (is, what, fact, todo): (&'static str, &'static str, &'static str, &'static str),
) -> Fault {
    Fault { without, with, root, expected: Expected { is, what, fact, todo } }
}

const FAULTS: &[Fault] = &[
    fault((" MX ", "", ""), ("fail", "MX", "has no MX record", "IN MX 10 mail.example.test.")),
    fault((" MX ", "@ MX 0 .", ""), ("fail", "MX", "has a null MX", "IN MX 10 mail.example.test.")),
    fault(
        (" MX ", "@ MX 10 mx\nmx CNAME mail", ""),
        ("fail", "MX", "mx.example.test is an alias (CNAME)", "let the MX name mail.example.test"),
    ),
    fault(
        (" MX ", "@ MX 10 mx.other.test.", "mx.other.test. A 127.0.0.66\n"),
        ("fail", "MX", "mx.other.test (127.0.0.66), which is not this server", "IN MX 10 mail.example.test."),
    ),
    fault((" MX ", "@ MX 10 nowhere", ""), ("fail", "MX", "nowhere.example.test, which has no address", "publish")),
    fault(
        ("v=spf1 mx", "", ""),
        ("fail", "SPF", "has no SPF record", "example.test. 3600 IN TXT \\\"v=spf1 mx -all\\\""),
    ),
    fault(
        ("v=spf1 mx", "@ TXT \"v=spf1 mx -all\"\n@ TXT \"v=spf1 -all\"", ""),
        ("fail", "SPF", "2 SPF records", "into one"),
    ),
    fault(("v=spf1 mx", "@ TXT \"v=spf1 mx +all\"", ""), ("fail", "SPF", "lets everybody send", "-all")),
    fault(
        ("v=spf1 mx", "@ TXT \"v=spf1 ip4:198.51.100.1 -all\"", ""),
        (
            "fail",
            "SPF",
            "127.0.0.5, which mail leaves from, may not send",
            "v=spf1 ip4:127.0.0.5 ip4:198.51.100.1 -all",
        ),
    ),
    fault(
        (
            "v=spf1 mx",
            "@ TXT \"v=spf1 mx a:mail.example.test a:mail.example.test a:mail.example.test a:mail.example.test \" \
          \"a:mail.example.test a:mail.example.test a:mail.example.test a:mail.example.test a:mail.example.test \" \
          \"a:mail.example.test a:mail.example.test -all\"",
            "",
        ),
        ("fail", "SPF", "the record cannot be evaluated", "until at most 10"),
    ),
    fault(
        ("v=spf1 mx", "@ TXT \"v=spf1 mx ipv4:1.2.3.4 -all\"", ""),
        ("fail", "SPF", "cannot be evaluated", "v=spf1 mx -all"),
    ),
    fault(("k=rsa", "", ""), ("fail", "DKIM", "has no record", "v=DKIM1; k=rsa; p=")),
    fault(("_dmarc.", "", ""), ("fail", "DMARC", "has no DMARC record", "v=DMARC1; p=none")),
    fault(("_dmarc.", "_dmarc TXT \"v=DMARC1; p=rejct\"", ""), ("fail", "DMARC", "cannot be read", "p=none")),
    fault(
        ("_dmarc.", "_dmarc TXT \"v=DMARC1; p=reject\"\n_dmarc TXT \"v=DMARC1; p=none\"", ""),
        ("fail", "DMARC", "2 DMARC records", "leave one"),
    ),
    fault(
        (
            "_dmarc.",
            "_dmarc TXT \"v=DMARC1; p=none; rua=mailto:x@reports.test\"",
            "reports.test. MX 0 mx.reports.test.\n",
        ),
        ("warn", "DMARC reports", "reports.test does not say", "example.test._report._dmarc.reports.test. 3600 IN TXT"),
    ),
    fault(
        ("_mta-sts.", "_mta-sts TXT \"v=STSv1; id=old;\"", ""),
        ("fail", "MTA-STS", "the id of the record is old", "_mta-sts.example.test. 3600 IN TXT"),
    ),
    fault(
        ("mta-sts.example.test. 3600 IN CNAME", "", ""),
        ("fail", "MTA-STS", "the policy cannot be fetched", "let mta-sts.example.test lead to this server"),
    ),
    fault(("_smtp._tls", "", ""), ("warn", "TLS reports", "has no record", "v=TLSRPTv1; rua=mailto:")),
    fault(
        ("TLSA", "_25._tcp.mail TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000", ""),
        ("fail", "TLSA", "does not name the certificate", "_25._tcp.mail.example.test. 3600 IN TLSA 3 1 1"),
    ),
    fault(
        ("_imaps._tcp", "_imaps._tcp SRV 0 1 993 old.example.test.", ""),
        ("warn", "SRV", "leads to old", "_imaps._tcp"),
    ),
    fault(("autoconfig", "", ""), ("warn", "autoconfig", "is not there", "autoconfig.example.test. 3600 IN CNAME")),
    fault(
        ("in-addr.arpa", "", ""),
        ("fail", "PTR", "127.0.0.5 has no name", "5.0.0.127.in-addr.arpa. 3600 IN PTR mail."),
    ),
    fault(
        ("in-addr.arpa", "", "5.0.0.127.in-addr.arpa. PTR pool-5.isp.test.\npool-5.isp.test. A 127.0.0.99\n"),
        ("fail", "PTR", "named pool-5.isp.test, and that name does not lead back", "(PTR) to mail.example.test"),
    ),
    fault(
        ("", "", "5.0.0.127.bl.test. A 127.0.0.4\n5.0.0.127.bl.test. TXT \"seen in a trap\"\n"),
        ("fail", "DNSBL", "127.0.0.5 is on bl.test (127.0.0.4) seen in a trap", "taken off"),
    ),
    fault(
        ("", "", "5.0.0.127.bl.test. A 127.255.255.254\n"),
        ("warn", "DNSBL", "does not answer through public resolvers", "try again"),
    ),
    fault(
        ("", "", "1.0.0.127.bl.test. A 127.0.0.2\n"),
        ("warn", "DNSBL", "it lists every address", "resolver of your own"),
    ),
    fault(
        ("", "mail AAAA ::ffff:127.0.0.5\nmail AAAA 100::66", ""),
        ("fail", "port 25", "(100::66) does not take mail", "port 25"),
    ),
];

#[test]
fn nothing_is_said_against_a_healthy_domain_and_each_fault_is_found() {
    let mut place = Place::new();
    let (good, lines) = place.said(&[]);
    assert!(good && complaints(&lines).is_empty(), "{}", complaints(&lines));
    for what in
        ["MX", "address", "PTR", "HELO", "port 25", "certificate", "TLSA", "open relay", "ports", "SPF", "SPF of HELO"]
    {
        assert!(lines.iter().any(|line| line["what"] == what), "{what} was not looked at: {lines:#?}");
    }
    for what in ["DKIM", "DMARC", "DMARC reports", "MTA-STS", "TLS reports", "SRV", "autoconfig", "CAA", "DNSBL"] {
        assert!(lines.iter().any(|line| line["what"] == what), "{what} was not looked at: {lines:#?}");
    }
    // What is said at the ports that begin in clear, and what they show then.
    for port in ["port 587 (submission)", "port 143 (imap)", "port 110 (pop3)", "port 443 (https)"] {
        let shown = format!("{port}, shows one for mail.example.test");
        let is_shown = |line: &serde_json::Value| line["fact"].as_str().is_some_and(|fact| fact.contains(&shown));
        assert!(lines.iter().any(is_shown), "{shown}: {lines:#?}");
    }
    let told = place.check(&[]).good();
    assert!(told.contains("example.test: all is well."), "{told}");

    let mut missed = Vec::new();
    for Fault { without, with, root, expected } in FAULTS {
        place.publish(without, with, root);
        let (good, lines) = place.said(&[]);
        if !is_said(&lines, expected) {
            missed.push(format!("{expected:?} is not in:{}", complaints(&lines)));
        }
        assert_eq!(good, !lines.iter().any(|line| line["is"] == "fail"), "the exit code says the same: {expected:?}");
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
    place.publish("", "", "");
    at_the_server(&mut place);
}

/// All that is not well, a line each.
fn complaints(lines: &[serde_json::Value]) -> String {
    lines.iter().filter(|line| line["is"] != "ok").map(|line| format!("\n  {line}")).collect()
}

/// Faults that are not in the DNS.
fn at_the_server(place: &mut Place) {
    // The authority of our certificates is not one that may issue.
    let settings = std::fs::read_to_string(place.data().join("postroad.toml")).expect("it is there");
    let agreed = place.data().join("agreed.toml");
    std::fs::write(&agreed, settings.replace("terms-agreed = false", "terms-agreed = true")).expect("written");
    place.publish("", "mail CAA 0 issue \"other.example\"", "");
    let (good, lines) = place.said(&["--settings", &agreed.display().to_string()]);
    let expected = Expected {
        is: "fail",
        what: "CAA",
        fact: "lets other.example issue",
        todo: "CAA 0 issue \\\"letsencrypt.org\\\"",
    };
    assert!(!good && is_said(&lines, &expected), "{}", complaints(&lines));
    place.publish("", "", "");

    lists_of_the_settings(place);
    certificates_that_nobody_takes(place);

    // A certificate with another name.
    assert!(place.server.stop().success());
    place.certificate(&["elsewhere.test"]);
    place.server.start_again();
    let (good, lines) = place.said(&[]);
    for (is, fact) in
        [("warn", "port 25, shows one for elsewhere.test, not for"), ("fail", "port 993 (imaps), shows one for")]
    {
        let expected = Expected { is, what: "certificate", fact, todo: "acme.names" };
        assert!(!good && is_said(&lines, &expected), "{}", complaints(&lines));
    }

    // Nobody there, and then somebody who takes everything from everybody.
    let at = place.server.address(25);
    assert!(place.server.stop().success());
    let (_, lines) = place.said(&[]);
    for (what, fact) in [("port 25", "does not take mail"), ("ports", "port 465 (submissions), is not open")] {
        let expected = Expected { is: "fail", what, fact, todo: "postroad serve" };
        assert!(is_said(&lines, &expected), "{}", complaints(&lines));
    }
    let remote = Remote::start(
        (place::HOST.parse::<std::net::IpAddr>().expect("an address"), at.port()).into(),
        Manner::default(),
    );
    let (_, lines) = place.said(&[]);
    for (what, fact) in
        [("open relay", "takes mail of strangers"), ("STARTTLS", "is not offered"), ("port 25", "greets as")]
    {
        let expected = Expected { is: "fail", what, fact, todo: "" };
        assert!(is_said(&lines, &expected), "{}", complaints(&lines));
    }
    assert!(remote.ledger().received.is_empty(), "no mail is sent");
}

/// Lists that the gate asks are looked into without being named again: those of addresses and those of domains.
fn lists_of_the_settings(place: &mut Place) {
    let settings = std::fs::read_to_string(place.data().join("postroad.toml")).expect("it is there");
    let with_lists = place.data().join("lists.toml");
    let lists = "\n[[dnsbl]]\nzone = \"own.test\"\n[[dnsbl]]\nzone = \"names.test\"\nkind = \"domain\"\n\
                 [[dnsbl]]\nzone = \"good.test\"\nkind = \"allow\"\n";
    std::fs::write(&with_lists, settings + lists).expect("written");
    place.publish(
        "",
        "",
        "2.0.0.127.own.test. A 127.0.0.2\n5.0.0.127.own.test. A 127.0.0.9\ntest.names.test. A 127.0.1.2\n\
         example.test.names.test. A 127.0.1.2\n5.0.0.127.bl.test. A 127.0.0.4\n",
    );
    let offset = (place.server.address(25).port() - 25).to_string();
    let file = with_lists.display().to_string();
    let ran = place.postroad(&["check", "example.test", "--port-offset", &offset, "--json", "--settings", &file]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let lines = json["lines"].as_array().expect("lines");
    for fact in ["127.0.0.5 is on own.test (127.0.0.9)", "example.test is on names.test (127.0.1.2)"] {
        let expected = Expected { is: "fail", what: "DNSBL", fact, todo: "taken off" };
        assert!(!ran.success && is_said(lines, &expected), "{}", complaints(lines));
    }
    let of_lists = lines.iter().filter(|line| line["what"] == "DNSBL").count();
    assert_eq!(of_lists, 2, "neither the usual lists nor one of good clients: {}", complaints(lines));
    place.publish("", "", "");
}

/// One that has run out, one that nobody vouches for, and one of an authority that nobody knows.
fn certificates_that_nobody_takes(place: &mut Place) {
    let names = ["mail.example.test", "mta-sts.example.test", "autoconfig.example.test"];
    for (pair, fact) in [
        (place.authority.issue_in(&names, (2020, 2024)), "shows one that expired"),
        (self_signed(&names), "shows one of its own making"),
        (Authority::new().issue(&names), "that is not verified"),
    ] {
        assert!(place.server.stop().success());
        place.shows(pair);
        place.server.start_again();
        let (good, lines) = place.said(&[]);
        for (is, port) in [("warn", "port 25,"), ("fail", "port 993 (imaps),"), ("fail", "port 143 (imap),")] {
            let said = lines.iter().any(|line| {
                let (kind, words) = (line["what"].as_str(), line["fact"].as_str().unwrap_or_default());
                kind == Some("certificate") && line["is"] == is && words.contains(port) && words.contains(fact)
            });
            assert!(!good && said, "{is} {port} {fact}: {}", complaints(&lines));
        }
    }
    assert!(place.server.stop().success());
    place.certificate(&names);
    place.server.start_again();
}

/// A zone whose signatures do not lead to the key that its parent names: who validates finds nothing there.
#[test]
fn a_zone_that_is_signed_wrongly_is_told_as_such() {
    for zone in [Zone::with_wrong_key("example.test", ""), Zone::stripped("example.test", "")] {
        let place = Place::in_zone(zone);
        let (good, lines) = place.said(&[]);
        for what in ["MX", "SPF", "DMARC"] {
            let expected = Expected { is: "fail", what, fact: "is not to be trusted", todo: "compare its DS record" };
            assert!(!good && is_said(&lines, &expected), "{what}: {}", complaints(&lines));
        }
    }
}

#[test]
fn a_domain_that_is_not_ours_is_refused_in_words() {
    let place = Place::new();
    let ran = place.postroad(&["check", "elsewhere.test"]);
    assert!(!ran.success && ran.err.contains("postroad domain add"), "{ran:?}");
    let ran = place.postroad(&["check", "--list", "bl.test"]);
    assert!(!ran.success && ran.err.contains("DOMAIN"), "{ran:?}");
}
