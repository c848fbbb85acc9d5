//! NTLM by curl over SMTP, IMAP and POP3, and by swaks, for an account that it was switched on for.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_testkit::postgres;

use super::lines::Lines;
use super::program::{PASSWORD, Server, message, postroad, run, run_in, servers};

/// Servers of their own.
fn offering() -> [Server; 2] {
    let more = ["--database", &postgres::fresh_database()];
    [Server::offering(&["NTLM"], &[]), Server::offering(&["NTLM"], &more)]
}

/// An account that signs in by NTLM.
fn account(server: &Server) -> String {
    let who = server.account();
    let waiting = postroad(server, &["account", "ntlm", "on", &who]).good();
    assert!(waiting.contains("once a password of it was used") && !waiting.contains("no listener"), "{waiting}");
    let inbox = format!("imap://127.0.0.1:{}/INBOX", server.port(143));
    assert!(!curl(server, &inbox, &who, PASSWORD, &["-X", "NOOP"], "").0, "it has no key yet");
    let login = format!("{who}:{PASSWORD}");
    run("curl", &["-sS", &inbox, "-u", &login, "--login-options", "AUTH=PLAIN", "-X", "NOOP"], b"").good();
    assert!(curl(server, &inbox, &who, PASSWORD, &["-X", "NOOP"], "").0, "it has a key now");
    let on = postroad(server, &["account", "ntlm", "show", &who]).good();
    assert!(on.contains("signs in by NTLM, with 1 of its passwords"), "{on}");
    who
}

#[test]
fn a_password_that_is_given_works_at_once() {
    for server in &offering() {
        let (who, folder) = (server.account(), tempfile::tempdir().expect("a folder"));
        let file = folder.path().join("password");
        let on = |password: &str| {
            std::fs::write(&file, format!("{password}\n")).expect("a file");
            postroad(server, &["account", "ntlm", "on", &who, "--password-file", &file.display().to_string()])
        };
        let wrong = on("wrong");
        assert!(!wrong.success && wrong.err.contains(&format!("that is no password of {who}")), "{wrong:?}");
        let off = postroad(server, &["account", "ntlm", "show", &who]).good();
        assert!(off.contains("does not sign in by NTLM"), "{off}");
        let good = on(PASSWORD).good();
        assert!(good.contains("with 1 of its passwords") && !good.contains(PASSWORD), "{good}");
        let inbox = format!("imap://127.0.0.1:{}/INBOX", server.port(143));
        assert!(curl(server, &inbox, &who, PASSWORD, &["-X", "NOOP"], "").0);
        postroad(server, &["account", "ntlm", "off", &who]).good();
        assert!(!curl(server, &inbox, &who, PASSWORD, &["-X", "NOOP"], "").0);
    }
}

fn imap(server: &Server) -> String {
    format!("imap://127.0.0.1:{}/INBOX;MAILINDEX=1", server.port(143))
}

/// Whether it went well, and what curl said.
fn curl(server: &Server, url: &str, who: &str, password: &str, more: &[&str], input: &str) -> (bool, String) {
    let login = format!("{who}:{password}");
    let arguments = [&["-sSv", url, "-u", &login, "--login-options", "AUTH=NTLM"], more].concat();
    let ran = run("curl", &arguments, input.as_bytes());
    let _ = server;
    (ran.success, format!("{}{}", ran.out, ran.err))
}

#[test]
fn curl_signs_in_over_smtp_imap_and_pop3() {
    for server in &offering() {
        let (who, other) = (account(server), server.account());
        let text = message(&who, &who, "by-ntlm");
        let labelled = format!("EXAMPLE\\{}", who.split('@').next().expect("a name"));
        let smtp = format!("smtp://127.0.0.1:{}", server.port(587));
        let submission = ["--mail-from", &who, "--mail-rcpt", &who, "-T", "-"];
        for (name, more) in [(&who, &[][..]), (&labelled, &["--ssl-reqd", "-k"]), (&who, &["--sasl-ir"])] {
            let (sent, said) = curl(server, &smtp, name, PASSWORD, &[&submission, more].concat(), &text);
            assert!(sent && said.contains("AUTH NTLM") && said.contains("235 2.7.0"), "{name} {more:?}: {said}");
            assert!(more.contains(&"--sasl-ir") || said.contains("334 ntlm supported"), "{said}");
        }
        let readings = [
            (imap(server), vec!["--ssl-reqd", "-k"]),
            (imap(server), vec![]),
            (imap(server), vec!["--sasl-ir"]),
            (format!("pop3://127.0.0.1:{}/1", server.port(110)), vec!["--ssl-reqd", "-k"]),
            (format!("pop3s://127.0.0.1:{}/2", server.port(995)), vec!["-k"]),
        ];
        for (url, more) in &readings {
            for name in [&who, &labelled] {
                let (read, said) = curl(server, url, name, PASSWORD, more, "");
                assert!(read && said.contains("Subject: by-ntlm"), "{url} {name}: {said}");
            }
            for (name, password) in [(&who, "wrong"), (&other, PASSWORD)] {
                let (read, said) = curl(server, url, name, password, more, "");
                assert!(!read, "{url} {name}: {said}");
            }
        }
        let (sent, said) = curl(server, &smtp, &other, PASSWORD, &submission, &text);
        assert!(!sent && said.contains("535 5.7.3 "), "{said}");
    }
}

#[test]
fn swaks_signs_in_by_version_2_and_is_refused_by_version_1() {
    for server in &offering() {
        let who = account(server);
        let folder = tempfile::tempdir().expect("a folder");
        let module = "package Version2; use Authen::NTLM; Authen::NTLM::ntlmv2(1); 1;\n";
        std::fs::write(folder.path().join("Version2.pm"), module).expect("a file");
        let at = format!("127.0.0.1:{}", server.port(587));
        let swaks = |version_2: bool, password: &str| {
            let load = format!("PERL5OPT=-I{} -MVersion2", folder.path().display());
            let version = if version_2 { load.as_str() } else { "PERL5OPT=" };
            let arguments = [version, "swaks", "--server", &at, "--auth", "NTLM", "--auth-user", &who];
            let more = ["--auth-password", password, "--from", &who, "--to", &who];
            run_in(folder.path(), "env", &[&arguments[..], &more].concat(), b"")
        };
        let right = swaks(true, PASSWORD);
        assert!(right.success && right.out.contains("235 2.7.0 "), "{right:?}");
        let wrong = swaks(true, "wrong");
        assert!(!wrong.success && wrong.out.contains("535 5.7.3 "), "{wrong:?}");
        let version_1 = swaks(false, PASSWORD);
        assert!(!version_1.success && version_1.out.contains("535 5.7.3 "), "{version_1:?}");
    }
}

#[test]
fn delegates_read_the_mail_of_others_with_their_own_password() {
    for server in servers() {
        let (delegate, principal, stranger) = (server.account(), server.account(), server.account());
        let both = format!("{delegate}/{principal}");
        let look = |url: &str, password: &str| {
            let login = format!("{both}:{password}");
            // An order of its own over POP3 would wait for an answer of several lines.
            let order: &[&str] = if url.starts_with("imap") { &["-X", "NOOP"] } else { &[] };
            run("curl", &[&["-sS", url, "-u", &login], order].concat(), b"").success
        };
        let urls =
            [format!("imap://127.0.0.1:{}/INBOX", server.port(143)), format!("pop3://127.0.0.1:{}/", server.port(110))];
        assert!(urls.iter().all(|url| !look(url, PASSWORD)), "nobody let them in");
        postroad(server, &["account", "delegate", "add", &principal, &stranger]).good();
        assert!(urls.iter().all(|url| !look(url, PASSWORD)), "somebody else was let in");
        postroad(server, &["account", "delegate", "add", &principal, &delegate]).good();
        assert!(urls.iter().all(|url| look(url, PASSWORD) && !look(url, "wrong")));
        let list = postroad(server, &["account", "delegate", "list", &principal]).good();
        assert!(list.contains(&delegate), "{list}");
        postroad(server, &["account", "delegate", "remove", &principal, &delegate]).good();
        assert!(urls.iter().all(|url| !look(url, PASSWORD)), "they were let out again");
    }
}

/// Connections of a delegate to an account, over IMAP, POP3 and SMTP, with what each is to hear at its end.
fn opened(server: &Server, delegate: &str, principal: &str) -> [(Lines, &'static str); 3] {
    let both = format!("{delegate}/{principal}");
    let mut imap = Lines::connect(server.port(143));
    imap.hear();
    imap.imap(&format!("LOGIN {both} \"{PASSWORD}\""));
    let mut pop3 = Lines::connect(server.port(110));
    pop3.hear();
    for line in [format!("USER {both}"), format!("PASS {PASSWORD}")] {
        pop3.say(&line);
        assert!(pop3.hear().starts_with("+OK"), "{line}");
    }
    let mut smtp = Lines::connect(server.port(587));
    smtp.hear();
    smtp.say("EHLO client.example.test");
    smtp.until(|line| line.starts_with("250 "));
    smtp.say(&format!("AUTH PLAIN {}", BASE64_STANDARD.encode(format!("\0{both}\0{PASSWORD}"))));
    assert!(smtp.hear().starts_with("235 "));
    [(imap, "* BYE "), (pop3, "-ERR "), (smtp, "421 ")]
}

#[test]
fn connections_of_a_delegate_end_with_the_account_and_with_the_delegation() {
    for server in servers() {
        let (delegate, principal) = (server.account(), server.account());
        let mut own = Lines::connect(server.port(143));
        own.hear();
        own.imap(&format!("LOGIN {delegate} \"{PASSWORD}\""));
        let delegation = |order| postroad(server, &["account", "delegate", order, &principal, &delegate]).good();
        delegation("add");
        for (end, undo) in [("remove", "add"), ("suspend", "resume")] {
            let connections = opened(server, &delegate, &principal);
            match end {
                "remove" => delegation(end),
                _ => postroad(server, &["account", end, &principal]).good(),
            };
            for (mut connection, last) in connections {
                let heard = connection.rest();
                assert!(heard.starts_with(last), "{end}: {heard:?}");
            }
            own.imap("NOOP");
            match undo {
                "add" => delegation(undo),
                _ => postroad(server, &["account", undo, &principal]).good(),
            };
        }
        // They are let in again, and their own suspension ends all.
        let connections = opened(server, &delegate, &principal);
        postroad(server, &["account", "suspend", &delegate]).good();
        for (mut connection, last) in connections {
            assert!(connection.rest().starts_with(last));
        }
        assert!(own.rest().contains("* BYE "));
    }
}
