//! Address lists: RFC 5322 examples and what is seen in the wild.

use postroad_message::address::{Address, Mailbox, format, format_mailbox, parse};

/// One entry per line: `name|route|local|host`, `name:` for a group start, `;` for its end.
fn shown(list: &[Address]) -> String {
    let lines: Vec<String> = list
        .iter()
        .map(|address| match address {
            Address::Mailbox(Mailbox { name, route, local, host }) => {
                let name = name.as_deref().unwrap_or("-");
                let route = route.as_deref().map(|r| format!("{r}|")).unwrap_or_default();
                format!("{name}|{route}{local}|{host}")
            }
            Address::GroupStart(name) => format!("{name}:"),
            Address::GroupEnd => ";".to_owned(),
        })
        .collect();
    lines.join("\n")
}

fn check(value: &str, expected: &[&str]) {
    assert_eq!(shown(&parse(value.as_bytes())), expected.join("\n"), "{value}");
}

#[test]
fn rfc_5322_examples() {
    check("John Doe <jdoe@machine.example>", &["John Doe|jdoe|machine.example"]);
    check(
        "\"Joe Q. Public\" <john.q.public@example.com>, Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
        &["Joe Q. Public|john.q.public|example.com", "Mary Smith|mary|x.test", "-|jdoe|example.org", "Who?|one|y.test"],
    );
    check(
        "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
        &["-|boss|nil.test", "Giant; \"Big\" Box|sysservices|example.net"],
    );
    check(
        "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
        &["A Group:", "Ed Jones|c|a.test", "-|joe|where.test", "John|jdoe|one.test", ";"],
    );
    check("Undisclosed recipients:;", &["Undisclosed recipients:", ";"]);
    // A.5
    check("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", &["Pete|pete|silly.test"]);
    check(
        "A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end of the group)",
        &["A Group:", "Chris Jones|c|public.example", "-|joe|example.org", "John|jdoe|one.test", ";"],
    );
    check("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", &["Hidden recipients:", ";"]);
    // A.6
    check(
        "Mary Smith <@node.test:mary@example.net>, , jdoe@test   . example",
        &["Mary Smith|@node.test|mary|example.net", "-|jdoe|test.example"],
    );
    check("Joe Q. Public <john.q.public@example.com>", &["Joe Q. Public|john.q.public|example.com"]);
    check("<@a,@b:c@d>", &["-|@a,@b|c|d"]);
}

#[test]
fn in_the_wild() {
    check("", &[]);
    check(" , ,", &[]);
    check("root", &["-|root|"]);
    check("John Doe", &["John Doe||"]);
    check("a@b.example (Real Name)", &["Real Name|a|b.example"]);
    check("Real Name a@b.example", &["Real Name|a|b.example"]);
    check("J. R. Doe a@b.example", &["J. R. Doe|a|b.example"]);
    check("a@b.example Real Name", &["Real Name|a|b.example"]);
    check("Name <a@b.example", &["Name|a|b.example"]);
    check("Name <a@b.example, c@d", &["Name|a|b.example", "-|c|d"]);
    check("\"A\" <\"A\" <a@b>>, c@d", &["A|a|b", "-|c|d"]);
    check("a@b; c@d;", &["-|a|b", "-|c|d"]);
    check("=?utf-8?q?J=C3=B6rg?= <j@x>", &["=?utf-8?q?J=C3=B6rg?=|j|x"]);
    check("\"=?utf-8?q?J=C3=B6rg?=\" <j@x>", &["=?utf-8?q?J=C3=B6rg?=|j|x"]);
    check("Jörg <jörg@exämple.test>", &["Jörg|jörg|exämple.test"]);
    check("a@[IPv6:2001:db8::1], <b@[192.0.2.1]>", &["-|a|[IPv6:2001:db8::1]", "-|b|[192.0.2.1]"]);
    check("\"john doe\"@x.test", &["-|john doe|x.test"]);
    check("\"a@b\"@c", &["-|a@b|c"]);
    check("a@b@c", &["-|a@b|c"]);
    check("<mailto:a@b>", &["-|a|b"]);
    check("<>", &["-||"]);
    check("Smith, John <j@x>", &["-|Smith|", "John|j|x"]);
    check("A <a@b> B <c@d>", &["A|a|b", "-|c|d"]);
    check("G: a@b", &["G:", "-|a|b", ";"]);
    check("\"unclosed <a@b>", &["-|unclosed <a@b>|"]);
    check("(unclosed", &[]);
    check("[bracketed] name <a@b>", &["[bracketed] name|a|b"]);
    assert_eq!(shown(&parse(b"J\xf6rg <j@x>")), "Jörg|j|x");
}

#[test]
fn hostile_lists_are_read_in_linear_time() {
    for piece in ["(", "<", "\"", ":", ",", ";", "@", "a@b:", "a@b,", "\\", "[", "(a)", "x ", "x@y :::"] {
        let value = piece.repeat(100_000);
        assert!(parse(value.as_bytes()).len() <= 5000);
    }
}

#[test]
fn addresses_are_formatted() {
    for (name, spec, expected) in [
        (None, "a@b", "a@b"),
        (Some("Real Name"), "a@b", "Real Name <a@b>"),
        (Some("Dr. X"), "a@b", "\"Dr. X\" <a@b>"),
        (Some("a \"b\""), "a@b", "\"a \\\"b\\\"\" <a@b>"),
        (Some("Jörg"), "a@b", "=?utf-8?q?J=C3=B6rg?= <a@b>"),
        (Some(" "), "a@b", "a@b"),
        (None, "", "<>"),
        (Some("x\r\nBcc: y"), "a@b", "\"x  Bcc: y\" <a@b>"),
    ] {
        assert_eq!(format_mailbox(name, spec), expected);
    }
    let spec =
        |local: &str, host: &str| Mailbox { local: local.into(), host: host.into(), ..Mailbox::default() }.addr_spec();
    assert_eq!(spec("john doe", "x.test"), "\"john doe\"@x.test");
    assert_eq!(spec("a.b", "x"), "a.b@x");
    assert_eq!(spec("a..b", "x"), "\"a..b\"@x");
    assert_eq!(spec("root", ""), "root");
}

#[test]
fn what_is_formatted_is_parsed_again() {
    for value in [
        "\"Joe Q. Public\" <john.q.public@example.com>, jdoe@example.org",
        "A Group:Ed Jones <c@a.test>,joe@where.test;, x@y",
        "\"quo\\\"te\" <\"a b\"@c>",
        "Empty:;",
    ] {
        let list = parse(value.as_bytes());
        assert_eq!(parse(format(&list).as_bytes()), list, "{value}");
    }
}

#[test]
fn hosts_are_compared_in_ascii() {
    let ascii = |host: &str| Mailbox { host: host.into(), ..Mailbox::default() }.host_ascii();
    assert_eq!(ascii("Exämple.TEST").as_deref(), Some("xn--exmple-cua.test"));
    assert_eq!(ascii("[192.0.2.1]"), None);
    assert_eq!(ascii(""), None);
}
