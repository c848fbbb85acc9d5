//! fetchmail, mpop and getmail: a maildrop is fetched, kept, fetched on and emptied, in clear, with STLS and with TLS.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::lines::Lines;
use super::program::{PASSWORD, Server, message, run_in, servers};

/// Puts messages into an account's INBOX.
fn fill(server: &Server, who: &str, subjects: std::ops::Range<usize>) {
    let mut imap = Lines::connect(server.port(143));
    imap.hear();
    imap.imap(&format!("LOGIN {who} \"{PASSWORD}\""));
    for subject in subjects {
        let text = message("carol@elsewhere.test", who, &format!("number {subject}"));
        imap.imap(&format!("APPEND INBOX {{{}+}}\r\n{text}", text.len()));
    }
    imap.imap("LOGOUT");
}

/// How many messages INBOX has, and how many of them are seen.
fn left(server: &Server, who: &str) -> String {
    let mut imap = Lines::connect(server.port(143));
    imap.hear();
    imap.imap(&format!("LOGIN {who} \"{PASSWORD}\""));
    imap.imap("STATUS INBOX (MESSAGES UNSEEN)").remove(0)
}

/// A file that its owner alone may read, as these programs ask.
fn secret(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its owner's");
    path.display().to_string()
}

fn maildir(folder: &Path) {
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(folder.join(part)).expect("made");
    }
}

/// The messages of a Maildir, whose lines all end in LF.
fn messages(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("new")).expect("a Maildir");
    let mut all: Vec<String> =
        files.map(|file| std::fs::read_to_string(file.expect("readable").path()).expect("text")).collect();
    all.sort();
    all
}

fn check(texts: &[String], count: usize) {
    assert_eq!(texts.len(), count, "{texts:?}");
    for number in 0..count {
        let subject = format!("Subject: number {number}\n");
        let text = texts.iter().find(|text| text.contains(&subject)).unwrap_or_else(|| panic!("{subject} {texts:?}"));
        assert!(text.ends_with("\n\nFirst line.\n.A line with a dot.\n"), "{text:?}");
    }
}

#[test]
fn mpop_fetches_what_is_new_and_empties() {
    for server in servers() {
        let who = server.account();
        let home = tempfile::tempdir().expect("a folder");
        maildir(&home.path().join("mail"));
        let mpop = |port: u16, tls: &str, keep: &str| {
            let text = format!(
                "account default\nhost 127.0.0.1\nport {}\nuser {who}\npassword {PASSWORD}\nauth plain\n{tls}\n\
                 delivery maildir {home}/mail\nuidls_file {home}/uidls\nkeep {keep}\nreceived_header off\n",
                server.port(port),
                home = home.path().display(),
            );
            let file = secret(home.path(), "mpoprc", &text);
            run_in(home.path(), "mpop", &["-C", &file], b"").good();
        };
        fill(server, &who, 0..20);
        mpop(110, "tls off", "on");
        check(&messages(&home.path().join("mail")), 20);
        fill(server, &who, 20..25);
        mpop(110, "tls on\ntls_starttls on\ntls_certcheck off", "on");
        check(&messages(&home.path().join("mail")), 25);
        assert!(left(server, &who).contains("MESSAGES 25 UNSEEN 25"), "fetching by POP3 leaves flags alone");
        mpop(995, "tls on\ntls_starttls off\ntls_certcheck off", "off");
        assert!(left(server, &who).contains("MESSAGES 0"));
        check(&messages(&home.path().join("mail")), 25);
    }
}

#[test]
fn fetchmail_hands_everything_on() {
    for server in servers() {
        let who = server.account();
        let home = tempfile::tempdir().expect("a folder");
        fill(server, &who, 0..5);
        let fetch = |options: &str, tls: &str, port: u16| {
            let text = format!(
                "poll 127.0.0.1 service {} protocol pop3 uidl\n user \"{who}\" password \"{PASSWORD}\" {tls} {options}\n \
                 mda \"cat >> {}/mbox\"\n",
                server.port(port),
                home.path().display()
            );
            let file = secret(home.path(), "fetchmailrc", &text);
            run_in(home.path(), "fetchmail", &["-f", &file, "--nosyslog", "--nodetach"], b"")
        };
        fetch("keep", "sslproto ''", 110).good();
        // Nothing is new: fetchmail's exit status says so.
        assert!(!fetch("keep", "no sslcertck sslproto auto", 110).success);
        fill(server, &who, 5..8);
        fetch("fetchall no keep", "ssl no sslcertck", 995).good();
        let mbox = std::fs::read_to_string(home.path().join("mbox")).expect("a file");
        assert_eq!(mbox.matches("Subject: number ").count(), 5 + 8, "{mbox}");
        assert_eq!(mbox.matches("\n.A line with a dot.\n").count(), 5 + 8);
        assert!(left(server, &who).contains("MESSAGES 0"));
    }
}

#[test]
fn getmail_fetches_and_deletes() {
    for server in servers() {
        let who = server.account();
        let home = tempfile::tempdir().expect("a folder");
        fill(server, &who, 0..12);
        // It delivers nothing itself as root, but lets a program do it.
        let text = format!(
            "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {}\nusername = {who}\npassword = {PASSWORD}\n\
             [destination]\ntype = MDA_external\npath = /usr/bin/tee\narguments = (\"-a\", \"{home}/mbox\")\n\
             allow_root_commands = true\n\
             [options]\ndelete = true\ndelivered_to = false\nreceived = false\n",
            server.port(110),
            home = home.path().display(),
        );
        let file = secret(home.path(), "getmailrc", &text);
        let folder = home.path().display().to_string();
        run_in(home.path(), "getmail", &["--getmaildir", &folder, "--rcfile", &file], b"").good();
        let mbox = std::fs::read_to_string(home.path().join("mbox")).expect("a file");
        assert_eq!(mbox.matches("Subject: number ").count(), 12, "{mbox}");
        assert_eq!(mbox.matches("\n.A line with a dot.\n").count(), 12);
        assert!(left(server, &who).contains("MESSAGES 0"));
    }
}
