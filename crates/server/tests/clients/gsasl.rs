//! gsasl: GNU's SASL, which binds itself to TLS, over SMTP and IMAP.

use super::program::{PASSWORD, Ran, run, servers};

fn gsasl(port: u16, more: &[&str], password: &str) -> Ran {
    let (port, password) = (port.to_string(), format!("--password={password}"));
    let base = ["--connect", "127.0.0.1", &port, "--starttls", "--quiet", &password];
    run("gsasl", &[&base[..], more].concat(), b"")
}

#[test]
fn signs_in_by_scram_bound_to_tls() {
    for server in servers() {
        let who = server.account();
        for (port, protocol) in [(587, "--smtp"), (143, "--imap")] {
            for mechanism in
                ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"]
            {
                let base = [protocol, "-m", mechanism, "-a", &who, "-z", &who];
                let plus = mechanism.ends_with("-PLUS");
                let more =
                    [&base[..], if plus || !mechanism.starts_with("SCRAM") { &[] } else { &["--no-cb"] }].concat();
                let right = gsasl(server.port(port), &more, PASSWORD);
                assert!(right.success, "{protocol} {mechanism}: {right:?}");
                let wrong = gsasl(server.port(port), &more, "wrong");
                assert!(!wrong.success, "{protocol} {mechanism}: {wrong:?}");
            }
        }
    }
}

#[test]
fn who_could_bind_and_was_told_not_to_is_sent_away() {
    for server in servers() {
        let who = server.account();
        // With a binding at hand and a mechanism without one, the client says "y": somebody took -PLUS away.
        let more = ["--imap", "-m", "SCRAM-SHA-256", "-a", &who, "-z", &who];
        let ran = gsasl(server.port(143), &more, PASSWORD);
        assert!(!ran.success, "{ran:?}");
    }
}
