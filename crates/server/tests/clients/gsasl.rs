//! gsasl: GNU's SASL, which binds itself to TLS, over SMTP and IMAP.

use super::program::{PASSWORD, Ran, Server, run, servers};

fn gsasl(server: &Server, port: u16, more: &[&str], password: &str) -> Ran {
    let (at, password) = (format!("localhost:{}", server.port(port)), format!("--password={password}"));
    let trusted = format!("--x509-ca-file={}/tls/self-made.pem", server.data());
    let base = ["--connect", &at, "--starttls", &trusted, &password];
    run("gsasl", &[&base[..], more].concat(), b"")
}

#[test]
fn signs_in_by_scram_bound_to_tls() {
    for server in servers() {
        let who = server.account();
        for (port, protocol) in [(587, "--smtp"), (143, "--imap")] {
            for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"] {
                let base = [protocol, "-m", mechanism, "-a", &who, "-z", &who];
                let plus = mechanism.ends_with("-PLUS");
                let more =
                    [&base[..], if plus || !mechanism.starts_with("SCRAM") { &[] } else { &["--no-cb"] }].concat();
                let right = gsasl(server, port, &more, PASSWORD);
                assert!(right.success, "{protocol} {mechanism}: {right:?}");
                let wrong = gsasl(server, port, &more, "wrong");
                assert!(!wrong.success, "{protocol} {mechanism}: {wrong:?}");
            }
        }
    }
}
