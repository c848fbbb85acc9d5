//! Mechanisms of several steps line by line over SMTP, IMAP and POP3: what a wrong proof and an unknown name see, how long a line may
//! be, and what TLS changes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_sasl::{Bindings, Client, ClientIdentity, Secret, find};

use super::lines::Lines;
use super::program::{PASSWORD, Server, run, servers};

/// The ports in clear, with STARTTLS on offer.
const CLEAR: [u16; 3] = [587, 143, 110];

/// A connection at which a mechanism can begin.
fn greeted(server: &Server, port: u16) -> Lines {
    let mut line = Lines::connect(server.port(port));
    line.hear();
    if port == 587 {
        line.say("EHLO client.example.test");
        line.until(|line| line.starts_with("250 "));
    }
    line
}

/// The command that begins a mechanism.
fn begin(port: u16, mechanism: &str, initial: &str) -> String {
    let command = if matches!(port, 143 | 993) { "a AUTHENTICATE" } else { "AUTH" };
    format!("{command} {mechanism} {initial}").trim_end().to_owned()
}

/// The challenge in an answer, or `None` when it is the last one. Lines come without blanks at their end.
fn challenge(line: &str) -> Option<&str> {
    let text = line.strip_prefix("334").or_else(|| line.strip_prefix("+ ")).or_else(|| (line == "+").then_some(""));
    text.map(str::trim)
}

/// What the server says to somebody who signs in, line by line.
fn attempt(server: &Server, port: u16, mechanism: &str, user: &str, password: &str) -> Vec<String> {
    let identity = ClientIdentity::password(user, Secret::new(password.to_owned())).expect("a nonce");
    let row = find(mechanism).expect("a mechanism");
    let mut client = Client::new(row, identity, &Bindings::default()).expect("a client");
    let mut line = greeted(server, port);
    let initial = client.initial().map(|first| first.expose().to_owned()).unwrap_or_default();
    line.say(&begin(port, mechanism, &initial));
    let mut heard = Vec::new();
    loop {
        let answer = line.hear();
        heard.push(answer.clone());
        match challenge(&answer) {
            None => return heard,
            Some(text) => line.say(client.answer(text.as_bytes()).expect("an answer").expose()),
        }
    }
}

/// An answer with what differs by chance left out: the nonce and the salt of SCRAM, decoded.
fn shape(line: &str) -> String {
    let Some(text) = challenge(line) else { return line.to_owned() };
    let decoded = String::from_utf8(BASE64_STANDARD.decode(text).expect("base64")).expect("text");
    let field = |field: &str| match field.split_at_checked(2) {
        Some((key @ ("r=" | "s="), value)) => format!("{key}{}", value.len()),
        Some(_) | None => field.to_owned(),
    };
    decoded.split(',').map(field).collect::<Vec<_>>().join(",")
}

#[test]
fn a_name_that_nobody_has_sees_what_a_wrong_password_sees() {
    for server in servers() {
        let who = server.account();
        for port in CLEAR {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"] {
                let shapes = |user: &str, password: &str| -> Vec<String> {
                    attempt(server, port, mechanism, user, password).iter().map(|line| shape(line)).collect()
                };
                let (right, wrong) = (shapes(&who, PASSWORD), shapes(&who, "wrong"));
                let good = |line: &String| ["235 ", "a OK", "+OK"].iter().any(|good| line.starts_with(good));
                assert!(right.last().is_some_and(good), "{port} {mechanism}: {right:?}");
                assert!(!wrong.last().is_some_and(good), "{port} {mechanism}: {wrong:?}");
                for unknown in ["nobody@example.test", "nobody@elsewhere.test", "nobody"] {
                    for password in ["wrong", PASSWORD] {
                        assert_eq!(shapes(unknown, password), wrong, "{port} {mechanism} {unknown}");
                    }
                }
            }
        }
    }
}

#[test]
fn lines_of_twelve_kibibytes_come_through_and_longer_ones_do_not() {
    let message = |octets: usize| {
        let frame = "user=alice@example.test\u{1}auth=Bearer \u{1}\u{1}".len();
        let token = "t".repeat(octets / 4 * 3 - frame);
        BASE64_STANDARD.encode(format!("user=alice@example.test\u{1}auth=Bearer {token}\u{1}\u{1}"))
    };
    let (longest, longer) = (message(12_288), message(12_292));
    assert_eq!((longest.len(), longer.len()), (12_288, 12_292));
    for server in servers() {
        for port in CLEAR {
            let mut line = greeted(server, port);
            // In SMTP and POP3 the whole command has the limit that the response has here (RFC 4954 §4, RFC 5034 §4).
            if port == 143 {
                line.say(&begin(port, "XOAUTH2", &longest));
                assert!(challenge(&line.hear()).is_some_and(|text| text.starts_with("eyJ")), "{port}");
                line.say("");
                assert!(line.hear().starts_with("a NO"), "{port}");
            }
            line.say(&begin(port, "XOAUTH2", ""));
            assert_eq!(challenge(&line.hear()), Some(""), "{port}");
            line.say(&longest);
            assert!(challenge(&line.hear()).is_some_and(|text| text.starts_with("eyJ")), "{port}");
            line.say("");
            let answer = line.hear();
            assert!(["535 ", "a NO", "-ERR"].iter().any(|no| answer.starts_with(no)), "{port}: {answer}");
            line.say(&begin(port, "XOAUTH2", ""));
            assert_eq!(challenge(&line.hear()), Some(""), "{port}");
            line.say(&longer);
            let answer = line.hear();
            let told = ["500 5.5.6 ", "a BAD ", "-ERR "].iter().any(|no| answer.starts_with(no));
            assert!(told && answer.contains("too long"), "{port}: {answer}");
        }
    }
}

/// What the server says to these lines under TLS.
fn under_tls(server: &Server, port: u16, lines: &[&str]) -> String {
    let (at, input) = (format!("localhost:{}", server.port(port)), format!("{}\r\n", lines.join("\r\n")));
    run("openssl", &["s_client", "-quiet", "-connect", &at], input.as_bytes()).out
}

#[test]
fn a_client_that_was_told_of_no_binding_is_not_let_in() {
    for server in servers() {
        let who = server.account();
        let first = |header: &str| BASE64_STANDARD.encode(format!("{header}n={who},r=abcdef"));
        for (port, hello, bye, refused) in [
            (465, "EHLO client.example.test", "QUIT", "535 5.7.8 the response is not bound to this connection"),
            (993, "b NOOP", "b LOGOUT", "a NO [AUTHENTICATIONFAILED] the response is not bound to this connection"),
            (995, "CAPA", "QUIT", "-ERR the response is not bound to this connection"),
        ] {
            for (mechanism, header, bad) in [
                // RFC 5802 §6: it thinks that we cannot, and we said that we can.
                ("SCRAM-SHA-256", "y,,", true),
                ("SCRAM-SHA-256", "p=tls-exporter,,", true),
                ("SCRAM-SHA-256-PLUS", "n,,", true),
                ("SCRAM-SHA-256-PLUS", "y,,", true),
                // RFC 9266 §3: not with TLS 1.3.
                ("SCRAM-SHA-256-PLUS", "p=tls-unique,,", true),
                ("SCRAM-SHA-256", "n,,", false),
                ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", false),
                ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", false),
            ] {
                let command = begin(port, mechanism, &first(header));
                let lines = if bad { vec![hello, &command, bye] } else { vec![hello, &command, "*", bye] };
                let said = under_tls(server, port, &lines);
                let told = said.lines().any(|line| line.trim_end() == refused);
                assert_eq!(told, bad, "{port} {mechanism} {header}: {said}");
                let asked = said.lines().any(|line| challenge(line).is_some_and(|text| text.starts_with("cj1hYmNkZW")));
                assert_eq!(asked, !bad, "{port} {mechanism} {header}: {said}");
            }
        }
    }
}
