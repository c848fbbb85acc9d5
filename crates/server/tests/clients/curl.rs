//! curl: smtp, imap and pop3, in clear on loopback, with STARTTLS and with TLS from the first byte.

use super::program::{PASSWORD, Server, message, run, servers};

fn send(server: &Server, url: &str, more: &[&str], from: &str, to: &str, subject: &str) {
    let login = format!("{from}:{PASSWORD}");
    let mut arguments = vec!["-sS", url, "-u", &login, "--mail-from", from, "--mail-rcpt", to, "-T", "-"];
    arguments.extend(more);
    run("curl", &arguments, message(from, to, subject).as_bytes()).good();
    let _ = server;
}

fn fetch(url: &str, who: &str, more: &[&str]) -> String {
    let login = format!("{who}:{PASSWORD}");
    let mut arguments = vec!["-sS", url, "-u", &login];
    arguments.extend(more);
    run("curl", &arguments, b"").good()
}

#[test]
fn submits_and_reads_in_every_way() {
    for server in servers() {
        let (from, to) = (server.account(), server.account());
        let plain = format!("smtp://127.0.0.1:{}", server.port(587));
        let implicit = format!("smtps://127.0.0.1:{}", server.port(465));
        send(server, &plain, &["--login-options", "AUTH=PLAIN"], &from, &to, "one");
        send(server, &plain, &["--login-options", "AUTH=LOGIN"], &from, &to, "two");
        send(server, &plain, &["--ssl-reqd", "-k"], &from, &to, "three");
        send(server, &implicit, &["-k"], &from, &to, "four");

        let readings: [(String, &[&str]); 6] = [
            (format!("imap://127.0.0.1:{}/INBOX;MAILINDEX=1", server.port(143)), &[]),
            (format!("imap://127.0.0.1:{}/INBOX;MAILINDEX=2", server.port(143)), &["--ssl-reqd", "-k"]),
            (format!("imaps://127.0.0.1:{}/INBOX;MAILINDEX=3", server.port(993)), &["-k"]),
            (format!("pop3://127.0.0.1:{}/1", server.port(110)), &[]),
            (format!("pop3://127.0.0.1:{}/2", server.port(110)), &["--ssl-reqd", "-k"]),
            (format!("pop3s://127.0.0.1:{}/3", server.port(995)), &["-k"]),
        ];
        for (index, (url, more)) in readings.iter().enumerate() {
            let got = fetch(url, &to, more);
            let subject = ["one", "two", "three"][index % 3];
            assert!(got.contains(&format!("Subject: {subject}\r\n")), "{url}: {got}");
            assert!(got.ends_with("First line.\r\n.A line with a dot.\r\n"), "{url}: {got:?}");
            assert!(got.contains("Received: from "), "{got}");
        }
        let list = fetch(&format!("pop3://127.0.0.1:{}/", server.port(110)), &to, &[]);
        assert_eq!(list.lines().count(), 4, "{list}");
        let search =
            fetch(&format!("imap://127.0.0.1:{}/INBOX", server.port(143)), &to, &["-X", "SEARCH SUBJECT four"]);
        assert_eq!(search.trim(), "* SEARCH 4");
    }
}

#[test]
fn a_wrong_password_opens_nothing() {
    for server in servers() {
        let who = server.account();
        let login = format!("{who}:wrong");
        for url in
            [format!("imap://127.0.0.1:{}/INBOX", server.port(143)), format!("pop3://127.0.0.1:{}/", server.port(110))]
        {
            let ran = run("curl", &["-sS", &url, "-u", &login], b"");
            assert!(!ran.success, "{url}: {ran:?}");
        }
    }
}

#[test]
fn health_and_metrics_are_served() {
    for server in servers() {
        let base = format!("http://127.0.0.1:{}", server.port(8080));
        let health = run("curl", &["-sSf", &format!("{base}/healthz")], b"").good();
        assert!(health.contains("ok"), "{health}");
        let metrics = run("curl", &["-sSf", &format!("{base}/metrics")], b"").good();
        assert!(metrics.lines().any(|line| line.starts_with("postroad_")), "{metrics}");
    }
}
