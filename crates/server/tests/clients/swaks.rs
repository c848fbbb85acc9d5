//! swaks: a server that hands mail in on port 25, a neighbour over LMTP, and what must be refused.

use super::program::{PASSWORD, run, servers};

#[test]
fn relays_in_and_is_refused_what_it_must_be() {
    for server in servers() {
        let to = server.account();
        let relay = format!("127.0.0.1:{}", server.port(25));
        let base = ["--server", &relay, "--from", "carol@elsewhere.test", "--helo", "mx.elsewhere.test"];
        let swaks = |more: &[&str]| run("swaks", &[&base[..], more].concat(), b"");
        let accepted = swaks(&["--to", &to]).good();
        assert!(accepted.contains("250 2.0.0 "), "{accepted}");
        let secured = swaks(&["--to", &to, "--tls"]).good();
        assert!(secured.contains("TLS started with cipher TLSv1.3"), "{secured}");
        let body = "Subject: Grüße\n\nÄ body in UTF-8.\n";
        swaks(&["--to", &to, "--data", body]).good();

        let unknown = swaks(&["--to", "nobody@example.test"]);
        assert!(!unknown.success && unknown.out.contains("550 5.1.1 "), "{unknown:?}");
        let elsewhere = swaks(&["--to", "dave@other.test"]);
        assert!(!elsewhere.success && elsewhere.out.contains(" 5.7.1 "), "{elsewhere:?}");
    }
}

#[test]
fn submission_wants_a_password_and_an_own_address() {
    for server in servers() {
        let (who, other) = (server.account(), server.account());
        let submission = format!("127.0.0.1:{}", server.port(587));
        let base = ["--server", &submission, "--to", &other];
        let swaks = |more: &[&str]| run("swaks", &[&base[..], more].concat(), b"");
        let login = ["--auth-user", &who, "--auth-password", PASSWORD, "--from"];

        for mechanism in ["PLAIN", "LOGIN"] {
            let ran = swaks(&[&login[..], &[&who, "--auth", mechanism]].concat()).good();
            assert!(ran.contains(&format!("AUTH {mechanism}")) && ran.contains("235 2.7.0 "), "{mechanism}: {ran}");
        }
        let anonymous = swaks(&["--from", &who]);
        assert!(!anonymous.success && anonymous.out.contains("530 5.7.0 "), "{anonymous:?}");
        swaks(&[&login[..], &[&who]].concat()).good();
        let forged = swaks(&[&login[..], &[&other]].concat());
        assert!(!forged.success && forged.out.contains(" 5.7.1 "), "{forged:?}");
        let wrong = swaks(&["--auth-user", &who, "--auth-password", "wrong", "--from", &who]);
        assert!(!wrong.success && wrong.out.contains("535 5.7.8 "), "{wrong:?}");
    }
}

#[test]
fn lmtp_answers_for_each_recipient() {
    for server in servers() {
        let both = format!("{},{}", server.account(), server.account());
        let lmtp = format!("127.0.0.1:{}", server.port(24));
        let base = ["--protocol", "LMTP", "--server", &lmtp, "--from", "carol@elsewhere.test"];
        let ran = run("swaks", &[&base[..], &["--to", &both]].concat(), b"").good();
        assert_eq!(ran.matches(" is stored for ").count(), 2, "{ran}");
    }
}
