//! The field as it is written, read and recognised.

use super::*;

fn of(authserv_id: &str, results: Vec<MethodResult>) -> AuthenticationResults {
    AuthenticationResults { authserv_id: authserv_id.to_owned(), results }
}

#[test]
fn the_field_as_it_is_written() {
    let results = vec![
        MethodResult::new("spf", "pass").with_comment("192.0.2.1 matches ip4:192.0.2.0/24 of example.net").with(
            "smtp",
            "mailfrom",
            "sender@example.net",
        ),
        MethodResult::new("dkim", "fail")
            .with_reason("the body was changed on its way, which nobody should have done to it")
            .with("header", "d", "example.com")
            .with("header", "b", "abc/def="),
        MethodResult::new("iprev", "pass").with("policy", "iprev", "2001:db8::1"),
    ];
    let text = of("mx.example.org", results).field();
    let expected = "Authentication-Results: mx.example.org;\r\n  \
        spf=pass (192.0.2.1 matches ip4:192.0.2.0/24 of example.net)\r\n    \
        smtp.mailfrom=sender@example.net;\r\n  \
        dkim=fail reason=\"the body was changed on its way, which nobody should have\r\n \
        done to it\" header.d=example.com header.b=\"abc/def=\";\r\n  \
        iprev=pass policy.iprev=\"2001:db8::1\"\r\n";
    assert_eq!(text, expected);
    assert_eq!(of("mx.example.org", vec![]).field(), "Authentication-Results: mx.example.org; none\r\n");
    assert_eq!(of("mx.example.org", vec![]).body("ARC-Authentication-Results: i=1; "), "mx.example.org; none");
}

#[test]
fn verdicts_become_results() {
    let spf = spf::Verdict {
        result: spf::Result::SoftFail,
        domain: "example.net".into(),
        identity: spf::Identity::MailFrom,
        sender: "jürgen@example.net".into(),
        mechanism: Some("~all".into()),
        explanation: None,
        why: "192.0.2.1 matches ~all of example.net".into(),
    };
    let helo =
        spf::Verdict { identity: spf::Identity::Helo, sender: "postmaster@mail.example.net".into(), ..spf.clone() };
    let iprev = iprev::Verdict {
        result: iprev::Result::PermError,
        ip: "192.0.2.1".parse().expect("an address"),
        name: None,
        why: "the address has no name".into(),
    };
    let record = dmarc::Record::parse(b"v=DMARC1; p=reject; t=y");
    let dmarc = dmarc::Verdict {
        result: dmarc::Result::Fail,
        domain: "example.net".into(),
        policy_domain: Some("example.net".into()),
        organizational_domain: Some("example.net".into()),
        policy: dmarc::Policy::Quarantine,
        published: dmarc::Policy::Reject,
        aligned: vec![],
        record,
        why: "nobody vouches".into(),
    };
    let results = vec![
        MethodResult::spf(&spf),
        MethodResult::spf(&helo),
        MethodResult::iprev(&iprev),
        MethodResult::dmarc(&dmarc),
    ];
    let text = of("mx.example.org", results.clone()).field();
    let expected = "Authentication-Results: mx.example.org;\r\n  \
        spf=softfail (192.0.2.1 matches ~all of example.net)\r\n    \
        smtp.mailfrom=jürgen@example.net;\r\n  \
        spf=softfail (192.0.2.1 matches ~all of example.net)\r\n    \
        smtp.helo=mail.example.net;\r\n  \
        iprev=permerror (the address has no name) policy.iprev=192.0.2.1;\r\n  \
        dmarc=fail (p=reject t=y at example.net) policy.dmarc=quarantine\r\n    \
        header.from=example.net\r\n";
    assert_eq!(text, expected);
    let body = text.strip_prefix("Authentication-Results:").expect("the name");
    assert_eq!(parse(body.as_bytes()), Some(of("mx.example.org", results)));
}

/// Whoever chooses a value chooses no line, no result, no property.
#[test]
fn hostile_values_stay_values() {
    let hostile = [
        "a\r\nAuthentication-Results: mx.example.org; dkim=pass",
        "a; dkim=pass header.d=bank.test",
        "a\r\n\r\nbody",
        "a\" ; dkim=pass \"",
        "a\\",
        "a\\\"; dkim=pass",
        "a) dkim=pass (",
        "a@b.test; dkim=pass",
        "a b@c.test",
        "\"a b\"@c.test",
        "@",
        "",
        "=?utf-8?q?=3B_dkim=3Dpass?=",
        "\u{202e}ssap=mikd",
        "\u{2028}x\u{0}",
        "ä@ö.test",
    ];
    for value in hostile {
        let written = of(
            value,
            vec![
                MethodResult::new("spf", "fail")
                    .with_comment(value)
                    .with_reason(value)
                    .with("smtp", "mailfrom", value)
                    .with("smtp", "helo", "h.test"),
                MethodResult::new(value, "pass"),
                MethodResult::new("dkim", value),
                MethodResult::new("x", "pass").with(value, "d", "x").with("header", value, "x"),
            ],
        );
        let text = written.field();
        let lines: Vec<&str> = text.strip_suffix("\r\n").expect("an end").split("\r\n").collect();
        assert!(lines[1..].iter().all(|line| line.starts_with(' ') && !line.trim().is_empty()), "{text}");
        assert!(!text.replace("\r\n", "").contains(|c: char| c.is_control()), "{text:?}");
        let body = text.strip_prefix("Authentication-Results:").expect("the name");
        let read = parse(body.as_bytes());
        let Some(read) = read else {
            assert!(value.is_empty(), "only an empty id is none: {text}");
            continue;
        };
        let methods: Vec<(&str, &str)> =
            read.results.iter().map(|one| (one.method.as_str(), one.result.as_str())).collect();
        assert_eq!(methods, [("spf", "fail"), ("x", "pass")], "{text}");
        let names: Vec<&str> = read.results[0].properties.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["mailfrom", "helo"], "{text}");
        assert_eq!(
            read.results[0].property("smtp", "mailfrom"),
            Some(write::cleaned(value, write::Space::Keep).as_str()),
            "{text}"
        );
        assert!(read.results[1].properties.is_empty(), "{text}");
    }
    let long = "x".repeat(write::MAX_VALUE + 1);
    let text = of("mx.test", vec![MethodResult::new("spf", "pass").with("smtp", "mailfrom", &long).with_reason(&long)])
        .field();
    assert!(!text.contains("mailfrom") && text.lines().all(|line| line.len() < 300), "{text}");
}

#[test]
fn fields_of_others_are_read() {
    let properties = |text: &str| -> Vec<String> {
        let read = parse(text.as_bytes()).expect(text);
        let one = |result: &MethodResult| {
            let properties = result.properties.iter().map(|p| format!(" {}.{}={}", p.kind, p.name, p.value));
            let reason = result.reason.iter().map(|reason| format!(" reason={reason}"));
            let comment = result.comment.iter().map(|comment| format!(" ({comment})"));
            format!(
                "{}={}{}",
                result.method,
                result.result,
                comment.chain(reason).chain(properties).collect::<String>()
            )
        };
        std::iter::once(read.authserv_id.clone()).chain(read.results.iter().map(one)).collect()
    };
    // RFC 8601, appendix B.
    assert_eq!(properties(" example.org 1; none"), ["example.org"]);
    assert_eq!(
        properties(
            " example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n          spf=pass smtp.mailfrom=example.net"
        ),
        ["example.com", "auth=pass (cram-md5) smtp.auth=sender@example.net", "spf=pass smtp.mailfrom=example.net"]
    );
    let odd = " foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n \
               policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462";
    assert_eq!(properties(odd), ["foo.example.net", "dkim=fail (Because I like it) policy.expired=1362471462"]);
    // As large providers write them.
    assert_eq!(
        properties(
            " mx.google.com;\r\n       dkim=pass header.i=@example.com header.s=s1 header.b=abc/+d=;\r\n       spf=pass (google.com: domain of x designates 1.2.3.4 as permitted sender) smtp.mailfrom=\"b+x=y@example.com\";\r\n       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com"
        ),
        [
            "mx.google.com",
            "dkim=pass header.i=@example.com header.s=s1 header.b=abc/+d=",
            "spf=pass (google.com: domain of x designates 1.2.3.4 as permitted sender) smtp.mailfrom=b+x=y@example.com",
            "dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com",
        ]
    );
    assert_eq!(
        properties(" spf=pass (sender IP is 1.2.3.4) smtp.mailfrom=a.test; dkim=none"),
        ["spf=pass", "dkim=none"],
        "without an authserv-id, as one provider writes it"
    );
    assert_eq!(
        properties(
            " a.test; dkim = pass reason = \"x; y\" header.d = \"b.test\" reason=\"\" x.y=\"\" z; DKIM/1=PASS;;; =; x="
        ),
        ["a.test", "dkim=pass reason=x; y header.d=b.test x.y=", "dkim=pass"]
    );
    for nothing in ["", " ", ";", "(only a comment)", "\r\n ;x=y"] {
        assert_eq!(parse(nothing.as_bytes()), None, "{nothing:?}");
    }
}

#[test]
fn reading_is_bounded() {
    let many = format!("a.test{}", "; dkim=pass".repeat(100_000));
    assert!(parse(many.as_bytes()).expect("a field").results.len() <= write::MAX_RESULTS);
    let wide = format!("a.test; dkim=pass{}", " a.b=c".repeat(1000));
    assert_eq!(parse(wide.as_bytes()).expect("a field").results[0].properties.len(), write::MAX_PROPERTIES);
    for deep in ["(".repeat(1_000_000), "\"".repeat(1_000_001), "\\".repeat(1_000_000)] {
        parse(deep.as_bytes());
        assert!(!is_ours(deep.as_bytes(), "a.test"));
    }
}

#[test]
fn fields_in_our_name_are_recognised_in_any_disguise() {
    for body in [
        " mx.example.org; spf=pass",
        "mx.example.org;none",
        "MX.Example.ORG ; none",
        " mx.example.org 1; none",
        " mx.example.org\r\n 1; none",
        "\r\n\tmx.example.org; none",
        " (x) mx.example.org (y); none",
        " (a;b) mx.example.org; none",
        " (a(b)\\)) mx.example.org; none",
        " \"mx.example.org\"; none",
        " \"mx.example\\.org\"; none",
        " \"mx.example\".org; none",
        " \"mx.example.org\" 1; none",
        " mx.example.org.; none",
        " mx.example.org",
        " mx.example.org/1; none",
        " mx.example.org:25; none",
        " mx.example.org=x; none",
        " <mx.example.org>; none",
        " mx . example . org; none",
        " mx.(x)example.org; none",
        " mx.exam\0ple.org; none",
        " =?utf-8?q?mx.example.org?=; none",
        " =?utf-8?b?bXguZXhhbXBsZS5vcmc=?=; none",
        " ｍｘ.example.org; none",
        " mx。example。org; none",
        " mx.exam\u{200b}ple.org; none",
        " (mx.example.org; spf=pass",
        " \"mx.example.org; spf=pass",
        " ( ) \"\" mx.example.org; x",
        " , mx.example.org; spf=pass",
        " mx.example.org, x; spf=pass",
    ] {
        assert!(is_ours(body.as_bytes(), "mx.example.org"), "{body:?}");
        assert!(is_ours(body.as_bytes(), "MX.example.org."), "{body:?}");
    }
    for body in [
        " mx.example.com; spf=pass",
        " xmx.example.org; spf=pass",
        " mx.example.org.evil.test; spf=pass",
        " a-mx.example.org; spf=pass",
        " relay.test; spf=pass smtp.helo=mx.example.org",
        " relay.test; spf=pass (by mx.example.org)",
        " relay.test (for mx.example.org); spf=pass",
        " spf=pass smtp.helo=mx.example.org; x",
        "",
        ";",
    ] {
        assert!(!is_ours(body.as_bytes(), "mx.example.org"), "{body:?}");
    }
    assert!(is_ours(" xn--mnchen-3ya.example; none".as_bytes(), "münchen.example"));
    assert!(is_ours(" MÜNCHEN.example; none".as_bytes(), "xn--mnchen-3ya.example"));
    assert!(!is_ours(b"; none", ""), "no name is nobody's");
}
