//! CRAM-MD5 and APOP by curl, msmtp, mpop and fetchmail, for accounts that they were switched on for.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use postroad_testkit::postgres;

use super::program::{PASSWORD, Ran, Server, message, postroad, run, run_in, servers};

/// Servers of their own.
fn offering() -> [Server; 2] {
    let mechanisms = ["CRAM-MD5", "APOP"];
    let more = ["--database", &postgres::fresh_database()];
    [Server::offering(&mechanisms, &[]), Server::offering(&mechanisms, &more)]
}

/// A file that its owner alone may read.
fn secret(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its owner's");
    path.display().to_string()
}

/// Switches a mechanism on with the password given.
fn on(server: &Server, mechanism: &str, who: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = secret(folder.path(), "password", &format!("{PASSWORD}\n"));
    let said = postroad(server, &["account", mechanism, "on", who, "--password-file", &file]).good();
    assert!(said.contains("with 1 of its passwords") && !said.contains("no listener"), "{said}");
}

/// What curl said.
fn curl(url: &str, who: &str, password: &str, options: &str, more: &[&str], input: &str) -> Ran {
    let login = format!("{who}:{password}");
    let arguments = [&["-sSv", url, "-u", &login, "--login-options", options], more].concat();
    run("curl", &arguments, input.as_bytes())
}

#[test]
fn curl_signs_in_by_cram_md5_over_smtp_imap_and_pop3() {
    const CRAM: &str = "AUTH=CRAM-MD5";
    for server in &offering() {
        let (who, other) = (server.account(), server.account());
        on(server, "cram-md5", &who);
        let text = message(&who, &who, "by-cram");
        let smtp = format!("smtp://127.0.0.1:{}", server.port(587));
        let submission = ["--mail-from", &who, "--mail-rcpt", &who, "-T", "-"];
        for more in [&[][..], &["--ssl-reqd", "-k"]] {
            let sent = curl(&smtp, &who, PASSWORD, CRAM, &[&submission, more].concat(), &text);
            assert!(sent.success && sent.err.contains("AUTH CRAM-MD5") && sent.err.contains("235 2.7.0"), "{sent:?}");
        }
        let imap = format!("imap://127.0.0.1:{}/INBOX;MAILINDEX=1", server.port(143));
        let pop3 = format!("pop3://127.0.0.1:{}/1", server.port(110));
        for (url, more) in [
            (&imap, &[][..]),
            (&imap, &["--ssl-reqd", "-k"]),
            (&imap, &["--sasl-ir"]),
            (&pop3, &[]),
            (&pop3, &["--ssl-reqd", "-k"]),
        ] {
            let read = curl(url, &who, PASSWORD, CRAM, more, "");
            assert!(read.success && read.out.contains("Subject: by-cram"), "{url}: {read:?}");
            // A wrong password, and an account that it is off for.
            for (name, password) in [(&who, "wrong"), (&other, PASSWORD)] {
                assert!(!curl(url, name, password, CRAM, more, "").success, "{url} {name}");
            }
        }
        // APOP is a switch of its own.
        assert!(!curl(&pop3, &who, PASSWORD, "AUTH=+APOP", &[], "").success);
        postroad(server, &["account", "cram-md5", "off", &who]).good();
        assert!(!curl(&imap, &who, PASSWORD, CRAM, &[], "").success, "it is off");
    }
}

#[test]
fn curl_signs_in_by_apop() {
    const APOP: &str = "AUTH=+APOP";
    for server in &offering() {
        let (who, other) = (server.account(), server.account());
        on(server, "apop", &who);
        let pop3 = format!("pop3://127.0.0.1:{}/", server.port(110));
        let pop3s = format!("pop3s://127.0.0.1:{}/", server.port(995));
        let mut greetings = Vec::new();
        for url in [&pop3, &pop3s, &pop3] {
            let read = curl(url, &who, PASSWORD, APOP, &["-k"], "");
            assert!(read.success && read.err.contains(&format!("> APOP {who} ")), "{url}: {read:?}");
            let greeting =
                read.err.lines().find(|line| line.contains("< +OK Postroad is ready <")).expect("a timestamp");
            greetings.push(greeting.trim_end().to_owned());
            for (name, password) in [(&who, "wrong"), (&other, PASSWORD), (&"nobody@example.test".to_owned(), PASSWORD)]
            {
                let refused = curl(url, name, password, APOP, &["-k"], "");
                assert!(
                    !refused.success && refused.err.contains("-ERR [AUTH] name or password are wrong"),
                    "{refused:?}"
                );
            }
        }
        // No two connections are asked the same; the host's name is in it (RFC 1939 §7).
        greetings.sort();
        greetings.dedup();
        assert_eq!(greetings.len(), 3, "{greetings:?}");
        assert!(greetings.iter().all(|greeting| greeting.contains('@') && greeting.ends_with('>')), "{greetings:?}");
    }
    // Where it is not named, the greeting has no timestamp.
    for server in servers() {
        let who = server.account();
        let read = curl(&format!("pop3://127.0.0.1:{}/", server.port(110)), &who, PASSWORD, "AUTH=PLAIN", &[], "");
        assert!(read.success && read.err.lines().any(|line| line.trim_end() == "< +OK Postroad is ready"), "{read:?}");
    }
}

#[test]
fn msmtp_mpop_and_fetchmail_sign_in() {
    for server in &offering() {
        let who = server.account();
        on(server, "cram-md5", &who);
        on(server, "apop", &who);
        let home = tempfile::tempdir().expect("a folder");
        let submit = |password: &str| {
            let text = format!(
                "host 127.0.0.1\nport {}\ntls off\nauth cram-md5\nuser {who}\npassword \"{password}\"\nfrom {who}\n",
                server.port(587)
            );
            let file = secret(home.path(), "msmtprc", &text);
            run_in(home.path(), "msmtp", &["-C", &file, "--", &who], message(&who, &who, "by msmtp").as_bytes())
        };
        submit(PASSWORD).good();
        assert!(!submit("wrong").success);
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(home.path().join("mail").join(part)).expect("made");
        }
        for (auth, password, comes_in) in [
            ("cram-md5", PASSWORD, true),
            ("apop", PASSWORD, true),
            ("cram-md5", "wrong", false),
            ("apop", "wrong", false),
        ] {
            let text = format!(
                "account default\nhost 127.0.0.1\nport {}\nuser {who}\npassword {password}\nauth {auth}\ntls on\n\
                 tls_starttls off\ntls_certcheck off\ndelivery maildir {home}/mail\nuidls_file {home}/{auth}\nkeep on\n",
                server.port(995),
                home = home.path().display(),
            );
            let file = secret(home.path(), "mpoprc", &text);
            let ran = run_in(home.path(), "mpop", &["-C", &file], b"");
            assert_eq!(ran.success, comes_in, "{auth} {password}: {ran:?}");
        }
        assert_eq!(std::fs::read_dir(home.path().join("mail/new")).expect("a Maildir").count(), 2);
        let text = format!(
            "poll 127.0.0.1 service {} protocol apop\n user \"{who}\" password \"{PASSWORD}\" sslproto '' keep\n \
             mda \"cat >> {}/mbox\"\n",
            server.port(110),
            home.path().display()
        );
        let file = secret(home.path(), "fetchmailrc", &text);
        let ran = run_in(home.path(), "fetchmail", &["-v", "-f", &file, "--nosyslog", "--nodetach"], b"").good();
        assert!(ran.contains("POP3> APOP ") && !ran.contains("POP3> USER "), "{ran}");
        let mbox = std::fs::read_to_string(home.path().join("mbox")).expect("a file");
        assert_eq!(mbox.matches("Subject: by msmtp").count(), 1, "{mbox}");
    }
}
