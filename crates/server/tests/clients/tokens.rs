//! Clients that show a token of our own provider, fetched as a program without a browser does it (RFC 8628), with the page
//! approved by curl as a person would: curl over SMTP, IMAP and POP3, mutt and msmtp. A token that is cut off ends what it opened.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use postroad_testkit::postgres;

use super::lines::Lines;
use super::program::{Ran, Server, message, postroad, run, run_in, servers};
use super::provider::token;

/// Scopes of all protocols that these clients speak.
const ALL: &str = "mail:imap mail:pop mail:smtp";

fn curl(url: &str, who: &str, token: &str, more: &[&str], input: &[u8]) -> Ran {
    let (user, base) = (format!("{who}:"), ["-sS", url, "-k", "--oauth2-bearer", token, "-u"]);
    run("curl", &[&base[..], &[&user], more].concat(), input)
}

#[test]
fn curl_submits_and_reads_with_a_token() {
    for server in servers() {
        let who = server.account();
        let token = token(server, &who, ALL);
        let mut number = 0;
        for option in ["AUTH=XOAUTH2", "AUTH=OAUTHBEARER"] {
            for initial in [&[][..], &["--sasl-ir"]] {
                let more = [&["--login-options", option], initial].concat();
                let told = format!("{option} {initial:?}");
                number += 1;
                let (subject, port) = (format!("token {number}"), [587, 465][number % 2]);
                let scheme = if port == 465 { "smtps" } else { "smtp" };
                let url = format!("{scheme}://127.0.0.1:{}", server.port(port));
                let sending = [&more[..], &["--mail-from", &who, "--mail-rcpt", &who, "-T", "-"]].concat();
                curl(&url, &who, &token, &sending, message(&who, &who, &subject).as_bytes()).good();
                for url in [
                    format!("imap://127.0.0.1:{}/INBOX;MAILINDEX={number}", server.port(143)),
                    format!("imaps://127.0.0.1:{}/INBOX;MAILINDEX={number}", server.port(993)),
                    format!("pop3://127.0.0.1:{}/{number}", server.port(110)),
                    format!("pop3s://127.0.0.1:{}/{number}", server.port(995)),
                ] {
                    let got = curl(&url, &who, &token, &more, b"").good();
                    assert!(got.contains(&format!("Subject: {subject}\r\n")), "{told} {url}: {got}");
                    assert!(!curl(&url, &who, "made-up", &more, b"").success, "{told} {url}: any token will do");
                    assert!(!curl(&url, "alice@example.test", &token, &more, b"").success, "{told} {url}: any name");
                }
                assert!(!curl(&url, &who, "made-up", &sending, b"Subject: never\r\n\r\n").success, "{told} {url}");
            }
        }
    }
}

#[test]
fn a_token_opens_only_what_it_is_for() {
    for server in servers() {
        let who = server.account();
        let token = token(server, &who, "mail:imap");
        let url = |scheme, port| format!("{scheme}://127.0.0.1:{}/", server.port(port));
        for mechanism in ["AUTH=XOAUTH2", "AUTH=OAUTHBEARER"] {
            let more = ["--login-options", mechanism];
            curl(&url("imap", 143), &who, &token, &more, b"").good();
            assert!(!curl(&url("pop3", 110), &who, &token, &more, b"").success);
            let sending = [&more[..], &["--mail-from", &who, "--mail-rcpt", &who, "-T", "-"]].concat();
            assert!(!curl(&url("smtp", 587), &who, &token, &sending, b"Subject: never\r\n\r\n").success);
        }
    }
}

#[test]
fn mutt_opens_the_inbox_with_a_token() {
    for server in servers() {
        let who = server.account();
        let token = token(server, &who, ALL);
        let url = format!("smtps://127.0.0.1:{}", server.port(465));
        let sending = ["--mail-from", &who, "--mail-rcpt", &who, "-T", "-"];
        curl(&url, &who, &token, &sending, message(&who, &who, "for mutt").as_bytes()).good();
        for mechanism in ["oauthbearer", "xoauth2"] {
            let home = tempfile::tempdir().expect("a folder");
            let settings = format!(
                "set imap_user=\"{who}\"\nset imap_authenticators=\"{mechanism}\"\n\
                 set imap_oauth_refresh_command=\"echo {token}\"\nset ssl_starttls=yes\nset ssl_force_tls=yes\n\
                 set ssl_ca_certificates_file=\"{data}/tls/self-made.pem\"\nset folder=\"imap://localhost:{port}/\"\n\
                 set spoolfile=\"+INBOX\"\nset quit=yes\nset wait_key=no\nset mail_check=0\n",
                data = server.data(),
                port = server.port(143)
            );
            let file = home.path().join("muttrc");
            std::fs::write(&file, settings).expect("written");
            let keys = "<first-entry><pipe-message>cat > seen.eml<enter><quit>";
            let line = format!("mutt -n -F {} -e \"push '{keys}'\"", file.display());
            let ran = run_in(home.path(), "script", &["-qec", &line, "/dev/null"], b"").good();
            let seen = std::fs::read_to_string(home.path().join("seen.eml")).unwrap_or_default();
            assert!(seen.contains("Subject: for mutt"), "{mechanism}: {seen}\n{ran}");
        }
    }
}

#[test]
fn msmtp_submits_with_a_token() {
    for server in servers() {
        let who = server.account();
        let token = token(server, &who, "mail:smtp");
        let home = tempfile::tempdir().expect("a folder");
        for mechanism in ["oauthbearer", "xoauth2"] {
            let submit = |token: &str| msmtp(server, home.path(), &who, mechanism, token);
            submit(&token).good();
            assert!(!submit("made-up").success, "{mechanism}");
        }
    }
}

fn msmtp(server: &Server, home: &Path, who: &str, mechanism: &str, token: &str) -> Ran {
    let settings = format!(
        "host localhost\nport {}\ntls on\ntls_starttls on\ntls_trust_file {}/tls/self-made.pem\n\
         auth {mechanism}\nuser {who}\npasswordeval \"echo {token}\"\nfrom {who}\n",
        server.port(587),
        server.data()
    );
    let file = home.join("msmtprc");
    std::fs::write(&file, settings).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
    let text = message(who, who, mechanism);
    run_in(home, "msmtp", &["-C", &file.display().to_string(), "--", who], text.as_bytes())
}

/// XOAUTH2's message, as a client without SASL of its own would make it.
fn xoauth2(who: &str, token: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(format!("user={who}\u{1}auth=Bearer {token}\u{1}\u{1}"))
}

/// Signs in by XOAUTH2; the last line of the answer.
fn open(server: &Server, port: u16, who: &str, token: &str) -> (Lines, String) {
    let (mut line, said) = (Lines::connect(server.port(port)), xoauth2(who, token));
    line.hear();
    let answer = match port {
        143 => {
            line.say(&format!("a AUTHENTICATE XOAUTH2 {said}"));
            line.until(|line| line.starts_with("a ") || line.starts_with("+ "))
        }
        110 => {
            line.say(&format!("AUTH XOAUTH2 {said}"));
            vec![line.hear()]
        }
        587 => {
            line.say("EHLO client.example.test");
            line.until(|line| line.starts_with("250 "));
            line.say(&format!("AUTH XOAUTH2 {said}"));
            vec![line.hear()]
        }
        _ => panic!("no such service"),
    };
    let answer = answer.last().cloned().unwrap_or_default();
    (line, answer)
}

#[test]
fn what_a_token_opened_ends_when_it_is_cut_off() {
    for server in servers() {
        let who = server.account();
        let (token, other) = (token(server, &who, ALL), token(server, &who, ALL));
        let listed = postroad(server, &["account", "sessions", &who]).good();
        let programs: Vec<&str> = listed.lines().filter(|line| line.contains("program")).collect();
        assert_eq!(programs.len(), 2, "{listed}");
        let mut opened = Vec::new();
        for (port, good) in [(143, "a OK"), (110, "+OK"), (587, "235 ")] {
            let (line, answer) = open(server, port, &who, &token);
            assert!(answer.starts_with(good), "{port}: {answer}");
            let (other, answer) = open(server, port, &who, &other);
            assert!(answer.starts_with(good), "{port}: {answer}");
            opened.push((port, line, other));
        }
        // Which of the two is meant stands in the list by when it was made.
        let mut ids: Vec<i64> = programs.iter().map(|line| id(line)).collect();
        ids.sort_unstable();
        postroad(server, &["account", "cut-off", &who, &ids[0].to_string()]).good();
        for (port, mut line, mut other) in opened {
            // It ends, whatever is said before.
            line.rest();
            let (_, answer) = open(server, port, &who, &token);
            // The reasons as JSON, as when there is no such token.
            let (_, unknown) = open(server, port, &who, "made-up");
            assert!(answer.starts_with("+ eyJ") || answer.starts_with("334 eyJ"), "{port}: {answer}");
            assert_eq!(answer, unknown, "{port}");
            // The other program goes on.
            other.say(if port == 143 { "b NOOP" } else { "NOOP" });
            let answer = other.hear();
            assert!(["b OK", "+OK", "250 "].iter().any(|good| answer.starts_with(good)), "{port}: {answer}");
        }
    }
}

#[test]
fn what_is_cut_off_at_one_server_ends_at_the_other() {
    let database = postgres::fresh_database();
    let [here, there] = [Server::start(&["--database", &database]), Server::start(&["--database", &database])];
    let who = here.account();
    let (token, other) = (token(&here, &who, ALL), token(&here, &who, ALL));
    let listed = postroad(&there, &["account", "sessions", &who]).good();
    let mut ids: Vec<i64> = listed.lines().filter(|line| line.contains("program")).map(id).collect();
    ids.sort_unstable();
    let opened: Vec<(u16, Lines, Lines)> = [(143, "a OK"), (110, "+OK"), (587, "235 ")]
        .into_iter()
        .map(|(port, good)| {
            let [(line, first), (goes_on, second)] = [&token, &other].map(|token| open(&there, port, &who, token));
            assert!(first.starts_with(good) && second.starts_with(good), "{port}: {first} {second}");
            (port, line, goes_on)
        })
        .collect();
    postroad(&here, &["account", "cut-off", &who, &ids[0].to_string()]).good();
    for (port, mut line, mut goes_on) in opened {
        line.rest();
        let (_, answer) = open(&there, port, &who, &token);
        assert!(answer.starts_with("+ eyJ") || answer.starts_with("334 eyJ"), "{port}: {answer}");
        goes_on.say(if port == 143 { "b NOOP" } else { "NOOP" });
        let answer = goes_on.hear();
        assert!(["b OK", "+OK", "250 "].iter().any(|good| answer.starts_with(good)), "{port}: {answer}");
    }
}

fn id(line: &str) -> i64 {
    line.split_whitespace().find_map(|word| word.parse().ok()).expect("a number in the list")
}
