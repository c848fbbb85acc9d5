//! Tables: what a client may write, and what becomes of it.

use postroad_smtp::{
    Address, BodyType, Command, ForwardPath, HeloForm, Notify, Orcpt, Reply, Ret, Role, decode_xtext, encode_xtext,
    parse_command, parse_mail, parse_rcpt,
};

#[test]
fn addresses_are_read_and_written() {
    for (text, local, domain, written) in [
        ("a@b", "a", "b", "a@b"),
        ("Smith.J+x@Bar.COM", "Smith.J+x", "Bar.COM", "Smith.J+x@Bar.COM"),
        ("!#$%&'*+-/=?^_`{|}~@b.example", "!#$%&'*+-/=?^_`{|}~", "b.example", "!#$%&'*+-/=?^_`{|}~@b.example"),
        (r#""john doe"@b.example"#, "john doe", "b.example", r#""john doe"@b.example"#),
        (r#""plain"@b.example"#, "plain", "b.example", "plain@b.example"),
        (r#""a\"b\\c"@b.example"#, r#"a"b\c"#, "b.example", r#""a\"b\\c"@b.example"#),
        (r#""a@b>"@c.example"#, "a@b>", "c.example", r#""a@b>"@c.example"#),
        (r#""..x"@c.example"#, "..x", "c.example", r#""..x"@c.example"#),
        (r#"""@c.example"#, "", "c.example", r#"""@c.example"#),
        ("a@foo_bar.example.", "a", "foo_bar.example", "a@foo_bar.example"),
        ("jörg@bücher.example", "jörg", "bücher.example", "jörg@bücher.example"),
        ("a@xn--bcher-kva.example", "a", "xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("用户@例子.广告", "用户", "例子.广告", "用户@例子.广告"),
    ] {
        let address: Address = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((address.local(), address.domain()), (local, Some(domain)), "{text}");
        assert_eq!(address.to_string(), written);
        assert_eq!(written.parse(), Ok(address));
    }
    for (text, written) in [("a@[192.0.2.1]", "a@[192.0.2.1]"), ("a@[ipv6:2001:DB8::1]", "a@[IPv6:2001:db8::1]")] {
        let address: Address = text.parse().expect("an address literal");
        assert_eq!((address.domain(), address.to_string().as_str()), (None, written));
    }
    let idn: Address = "a@Bücher.example".parse().expect("a U-label");
    assert_eq!(idn.domain_ascii().as_deref(), Some("xn--bcher-kva.example"));
    assert!(!idn.is_ascii());
}

#[test]
fn what_is_no_address_is_refused() {
    let long_label = format!("a@{}.example", "x".repeat(64));
    let long_local = format!("{}@b.example", "x".repeat(256));
    let long_domain = format!("a@{}example", "x.".repeat(130));
    for text in [
        "",
        "a",
        "@b",
        "a@",
        "a@@b",
        "a.@b",
        ".a@b",
        "a..b@c",
        "a b@c",
        "a@b c",
        "a@-b",
        "a@b-",
        "a@b..c",
        "a@.b",
        "a@b>",
        "<a@b>",
        "a,b@c",
        "a@b,c",
        "a@[1.2.3]",
        "a@[1.2.3.4",
        "a@[IPv6:zz]",
        "a@[X:1]",
        r#""a@b"#,
        r#""a"b@c"#,
        "\"a\\\u{e9}\"@b",
        "\"a\nb\"@c",
        "a\u{85}@b",
        "a@b\u{80}",
        "a@b\u{ff0f}c.example",
        "a@b\u{ff20}c.example",
        "a\u{2028}@b.example",
        "a@xn--\u{fc}",
        &long_label,
        &long_local,
        &long_domain,
    ] {
        assert!(text.parse::<Address>().is_err(), "{text:?}");
    }
    assert!(Address::new("any thing", "b.example").is_ok());
    assert!(Address::new("a\r\nb", "b.example").is_err());
    assert!(Address::new("a", "b example").is_err());
}

#[test]
fn mail_is_parsed_with_its_parameters() {
    let mail = parse_mail(
        " FROM: <a@b.example>  SIZE=12345 body=8bitmime RET=HDRS ENVID=a+2Bb+3D AUTH=e+3Dmc2@example.com",
        Role::Relay,
    )
    .expect("well formed");
    assert_eq!(mail.path.map(|path| path.to_string()).as_deref(), Some("a@b.example"));
    assert_eq!((mail.size, mail.body, mail.ret), (Some(12345), Some(BodyType::EightBitMime), Some(Ret::Headers)));
    assert_eq!((mail.envid.as_deref(), mail.auth.as_deref()), (Some("a+b="), Some("e=mc2@example.com")));
    let null = parse_mail("from:<> SIZE=1 AUTH=<>", Role::Relay).expect("outlook.com's form");
    assert_eq!((null.path, null.auth.as_deref()), (None, Some("<>")));
    let utf8 = parse_mail("FROM:<ü@b.example> BODY=BINARYMIME SMTPUTF8", Role::Relay).expect("RFC 6531");
    assert_eq!((utf8.body, utf8.smtputf8), (Some(BodyType::BinaryMime), true));
    assert!(parse_mail("FROM:a@b.example SIZE=1", Role::Submission).is_ok(), "mailbox without brackets");
}

#[test]
fn what_mail_and_rcpt_refuse() {
    for (text, code) in [
        ("", 501),
        ("TO:<a@b>", 501),
        ("FROM:", 501),
        ("FROM <a@b>", 501),
        ("FROM:a@b", 501),
        ("FROM:<a@b", 501),
        ("FROM:<a>", 501),
        ("FROM:<a@b>SIZE=1", 501),
        ("FROM:<a@b> SIZE", 501),
        ("FROM:<a@b> SIZE=", 501),
        ("FROM:<a@b> SIZE=1k", 501),
        ("FROM:<a@b> SIZE=-1", 501),
        ("FROM:<a@b> SIZE=1 SIZE=2", 501),
        ("FROM:<a@b> size=1 Size=1", 501),
        ("FROM:<a@b> BODY=9BIT", 501),
        ("FROM:<a@b> RET=SOME", 501),
        ("FROM:<a@b> ENVID=a+zz", 501),
        ("FROM:<a@b> ENVID=+0D+0A", 501),
        ("FROM:<a@b> SMTPUTF8=1", 501),
        ("FROM:<a@b> -X=1", 501),
        ("FROM:<a@b> X_Y=1", 501),
        ("FROM:<a@b> NOTIFY=NEVER", 555),
        ("FROM:<a@b> BYTIME", 555),
        ("FROM:<ü@b>", 553),
        ("FROM:<a@bü.example> SIZE=1", 553),
    ] {
        assert_eq!(parse_mail(text, Role::Relay).map_err(|reply| reply.code()), Err(code), "{text}");
    }
    for (text, code) in [
        ("FROM:<a@b>", 501),
        ("TO:<>", 501),
        ("TO:<a>", 501),
        ("TO:postmaster", 501),
        ("TO:<@a.example>", 501),
        ("TO:<@a,b:c@d>", 501),
        ("TO:<a@b> NOTIFY=NEVER,SUCCESS", 501),
        ("TO:<a@b> NOTIFY=", 501),
        ("TO:<a@b> NOTIFY=SOON", 501),
        ("TO:<a@b> ORCPT=a@b", 501),
        ("TO:<a@b> ORCPT=rfc822;", 501),
        ("TO:<a@b> ORCPT=utf-8;a\\x{110000}", 501),
        ("TO:<a@b> SIZE=1", 555),
        ("TO:<ü@b>", 553),
        ("TO:<a@b> ORCPT=utf-8;ü@b", 553),
    ] {
        assert_eq!(parse_rcpt(text, Role::Relay, false).map_err(|reply| reply.code()), Err(code), "{text}");
    }
}

#[test]
fn rcpt_is_parsed_with_its_parameters() {
    let rcpt =
        parse_rcpt("TO:<@r.example,@s.example:a@b> NOTIFY=success,DELAY ORCPT=rfc822;a+2Bx@b", Role::Relay, false)
            .expect("well formed");
    assert_eq!(rcpt.path.to_string(), "a@b");
    assert_eq!(rcpt.notify, Some(Notify { success: true, failure: false, delay: true }));
    assert_eq!(rcpt.orcpt, Some(Orcpt { kind: "rfc822".into(), address: "a+x@b".into() }));
    let never = parse_rcpt("to:<POSTmaster> NOTIFY=Never", Role::Relay, false).expect("well formed");
    assert_eq!((never.path, never.notify.map(Notify::is_never)), (ForwardPath::Postmaster, Some(true)));
    for text in ["TO:<a@b> ORCPT=utf-8;\\x{FC}@b", "TO:<a@b> ORCPT=UTF-8;ü@b"] {
        let rcpt = parse_rcpt(text, Role::Relay, true).expect("RFC 6533");
        assert_eq!(rcpt.orcpt.map(|orcpt| orcpt.address).as_deref(), Some("ü@b"), "{text}");
    }
}

#[test]
fn commands_are_told_apart() {
    let code = |line: &str, role| parse_command(line.as_bytes(), role, false).map_err(|reply| reply.code());
    assert_eq!(code("bdat 12 last", Role::Relay), Ok(Command::Bdat { size: 12, last: true }));
    assert_eq!(code("BDAT 0", Role::Relay), Ok(Command::Bdat { size: 0, last: false }));
    assert_eq!(code("noop x y", Role::Relay), Ok(Command::Noop));
    assert_eq!(code("QUIT  ", Role::Relay), Ok(Command::Quit));
    for (line, expect) in [
        ("", 500),
        (" NOOP", 500),
        ("FOO", 500),
        ("MAILFROM:<a@b>", 500),
        ("NOOP\tx", 500),
        ("DATA x", 501),
        ("RSET x", 501),
        ("QUIT x", 501),
        ("STARTTLS x", 501),
        ("VRFY", 501),
        ("EXPN", 501),
        ("BDAT", 501),
        ("BDAT -1", 501),
        ("BDAT 1 LAST x", 501),
        ("BDAT 1 FIRST", 501),
        ("BDAT 99999999999999999999", 501),
        ("AUTH", 501),
        ("AUTH PLAIN a b", 501),
        ("EHLO", 501),
        ("EHLO a b", 501),
        ("EHLO -", 501),
        ("HELO [1.2.3]", 501),
        ("EHLO bücher.example", 501),
        ("LHLO a", 500),
        ("ETRN", 501),
        ("ETRN a..b", 501),
        ("ETRN #", 501),
        ("TURN", 502),
        ("XCLIENT x", 501),
        ("XFORWARD ADDR=x", 501),
    ] {
        assert_eq!(code(line, Role::Relay), Err(expect), "{line}");
    }
}

#[test]
fn greetings_are_judged_by_role() {
    let form = |line: &str, role| match parse_command(line.as_bytes(), role, false) {
        Ok(Command::Hello(helo)) => Some((helo.form, helo.for_header().to_owned())),
        _ => None,
    };
    let literal = HeloForm::Literal("192.0.2.9".parse().expect("an address"));
    let known = |form, name: &str| Some((form, name.to_owned()));
    for role in [Role::Relay, Role::Submission] {
        assert_eq!(form("EHLO my_host.example", role), known(HeloForm::Domain, "my_host.example"));
        assert_eq!(form("HELO 192.0.2.9", role), known(HeloForm::Domain, "192.0.2.9"));
        assert_eq!(form("EHLO [192.0.2.9]", role), known(literal, "[192.0.2.9]"));
    }
    for line in ["EHLO", "EHLO Anna's laptop", "EHLO (x)", "EHLO büro"] {
        assert_eq!(form(line, Role::Relay), None, "{line}");
        assert_eq!(form(line, Role::Submission).map(|found| found.1).as_deref(), Some("unknown"), "{line}");
    }
}

#[test]
fn xtext_is_inverse() {
    for text in ["", "plain", "a+b=c d", "ü", "~!"] {
        assert_eq!(decode_xtext(&encode_xtext(text)).as_deref(), Some(text));
    }
    assert_eq!(encode_xtext("a+b=c d"), "a+2Bb+3Dc+20d");
    for bad in ["a b", "a=b", "+", "+4", "+GG", "+FF", "ü", "+00"] {
        assert_eq!(decode_xtext(bad), None, "{bad}");
    }
}

#[test]
fn replies_keep_to_their_lines() {
    let wire = |reply: &Reply| {
        let mut out = Vec::new();
        reply.write(&mut out);
        String::from_utf8(out).expect("text")
    };
    assert_eq!(wire(&Reply::new(550, (5, 1, 1), "No such user")), "550 5.1.1 No such user\r\n");
    assert_eq!(wire(&Reply::new(250, (2, 0, 0), "a\nb")), "250-2.0.0 a\r\n250 2.0.0 b\r\n");
    assert_eq!(wire(&Reply::plain(354, "")), "354 \r\n");
    // The class follows the code, and text cannot forge a line or a control.
    assert_eq!(wire(&Reply::new(451, (5, 7, 1), "x\r250 ok\0")), "451 4.7.1 x?250 ok?\r\n");
    let long = wire(&Reply::new(550, (5, 7, 1), "word ".repeat(400) + &"x".repeat(2_000)));
    assert!(long.lines().all(|line| line.len() <= 510), "{long}");
    assert!(long.lines().count() > 4);
    assert_eq!(Reply::new(250, (2, 1, 0), "a\nb").to_string(), "250 2.1.0 a / b");
}
