//! Clients that people have, each with alice's ticket and no password.

use super::program::message;
use super::realm::{Server, servers};

const ALICE: &str = "alice@example.test";

fn curl(server: &Server, url: &str, form: &str, more: &[&str], input: &str) -> (bool, String) {
    let options = format!("AUTH={form}");
    let arguments =
        [&["-sSv", "-m", "60", url, "-u", "alice@example.test:", "--login-options", &options], more].concat();
    let ran = server.realm.tool(0, "curl", &arguments, input);
    (ran.success, format!("{}{}", ran.out, ran.err))
}

#[test]
fn curl_signs_in_with_a_ticket_over_smtp_imap_and_pop3() {
    for server in servers() {
        let text = message(ALICE, ALICE, "by-ticket");
        let submission = ["--mail-from", ALICE, "--mail-rcpt", ALICE, "-T", "-"];
        for (url, more) in [
            (format!("smtp://localhost:{}", server.port(587)), &[][..]),
            (format!("smtp://localhost:{}", server.port(587)), &["--ssl-reqd", "-k"]),
            (format!("smtps://localhost:{}", server.port(465)), &["-k"]),
        ] {
            let (sent, said) = curl(server, &url, "GSSAPI", &[&submission, more].concat(), &text);
            assert!(sent && said.contains("> AUTH GSSAPI") && said.contains("235 2.7.0"), "{url} {more:?}: {said}");
        }
        for (url, more) in [
            (format!("imap://localhost:{}/INBOX;MAILINDEX=1", server.port(143)), &[][..]),
            (format!("imap://localhost:{}/INBOX;MAILINDEX=2", server.port(143)), &["--ssl-reqd", "-k"]),
            (format!("imaps://localhost:{}/INBOX;MAILINDEX=3", server.port(993)), &["-k", "--sasl-ir"]),
            (format!("pop3://localhost:{}/1", server.port(110)), &[]),
            (format!("pop3s://localhost:{}/2", server.port(995)), &["-k"]),
        ] {
            let (read, said) = curl(server, &url, "GSSAPI", more, "");
            assert!(read && said.contains("Subject: by-ticket"), "{url} {more:?}: {said}");
        }
    }
}

#[test]
fn gsasl_signs_in_with_a_ticket() {
    for server in servers() {
        for (kind, service, port) in [("--imap", "imap", server.port(143)), ("--smtp", "smtp", server.port(587))] {
            let at = format!("localhost:{port}");
            let run = |authzid: &str| {
                let first = [kind, "--connect", &at, "--service", service, "--no-starttls", "-m", "GSSAPI"];
                let more = ["--hostname", "localhost", "-z", authzid, "-a", "alice"];
                let ran = server.realm.tool(0, "gsasl", &[&first[..], &more].concat(), "");
                (ran.success, format!("{}{}", ran.out, ran.err))
            };
            let (good, said) = run(ALICE);
            assert!(good && said.contains("Enter application data"), "{service}: {said}");
            let (good, said) = run("bob@example.test");
            assert!(!good && !said.contains("Enter application data"), "{service} as bob: {said}");
        }
    }
}

#[test]
fn mbsync_signs_in_by_gssapi_and_by_negotiation() {
    for server in servers() {
        for form in ["GSSAPI", "GSS-SPNEGO"] {
            let mail = server.realm.path(form);
            std::fs::create_dir_all(&mail).expect("a folder");
            let text = format!(
                "IMAPAccount a\nHost localhost\nPort {}\nUser {ALICE}\nSSLType None\nAuthMechs {form}\n\n\
                 IMAPStore far\nAccount a\n\nMaildirStore near\nInbox {}/inbox\n\n\
                 Channel c\nFar :far:INBOX\nNear :near:INBOX\nCreate Near\nSyncState *\n",
                server.port(143),
                mail.display(),
            );
            let file = mail.join("mbsyncrc").display().to_string();
            std::fs::write(&file, text).expect("a file");
            let ran = server.realm.tool(0, "mbsync", &["-V", "-c", &file, "c"], "");
            assert!(ran.success && ran.out.contains("far side:"), "{form}: {ran:?}");
            let logged = format!("login=\"alice@EXAMPLE.TEST\" mechanism=\"{form}\" service=imap");
            assert!(server.printed().contains(&logged), "{form}: {}", server.printed());
        }
    }
}
