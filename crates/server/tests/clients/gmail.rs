//! Clients that know Gmail, with an account that has labels: offlineimap's `type = Gmail` with `synclabels`, and what
//! Python's standard library says without knowing of it.

use std::fs;
use std::path::{Path, PathBuf};

use super::program::{PASSWORD, Server, postroad, run_in, servers};

fn switch_on(server: &Server, who: &str) {
    let said = postroad(server, &["account", "gmail", "on", who]).good();
    assert!(said.contains("has labels"), "{said}");
}

fn configuration(server: &Server, who: &str, home: &Path) -> PathBuf {
    let text = format!(
        "[general]\naccounts = here\nmetadata = {home}/offlineimap\nui = basic\n\n\
         [Account here]\nlocalrepository = near\nremoterepository = far\nsynclabels = yes\n\n\
         [Repository near]\ntype = GmailMaildir\nlocalfolders = {home}/mail\nsep = /\n\n\
         [Repository far]\ntype = Gmail\nremotehost = 127.0.0.1\nremoteport = {port}\nssl = no\nstarttls = no\n\
         remoteuser = {who}\nremotepass = {PASSWORD}\ntrashfolder = Trash\nspamfolder = Junk\n\
         folderfilter = lambda name: name == 'INBOX'\n",
        home = home.display(),
        port = server.port(143),
    );
    let file = home.join("offlineimaprc");
    fs::write(&file, text).expect("written");
    file
}

/// What Python says, line by line; each line of `script` is one statement with `imap` logged in.
fn python(server: &Server, who: &str, home: &Path, script: &str) -> String {
    let head = format!(
        "import imaplib\nimap = imaplib.IMAP4('127.0.0.1', {port})\nbefore = 'X-GM-EXT-1' in imap.capabilities\n\
         imap.login('{who}', '{PASSWORD}')\n",
        port = server.port(143),
    );
    run_in(home, "python3", &["-c", &format!("{head}{script}\nimap.logout()\n")], b"").good()
}

/// The file of the only message of the Maildir.
fn only_message(home: &Path) -> PathBuf {
    let mut files = Vec::new();
    for folder in ["new", "cur"] {
        let inside = fs::read_dir(home.join("mail/INBOX").join(folder)).expect("a Maildir");
        files.extend(inside.map(|entry| entry.expect("an entry").path()));
    }
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn offlineimap_keeps_labels_in_step() {
    for server in servers() {
        let who = server.account();
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path();
        switch_on(server, &who);
        let said = python(
            server,
            &who,
            home,
            "print(before, 'X-GM-EXT-1' in imap.capability()[1][0].decode())\n\
             message = b'From: a@example.test\\r\\nSubject: Labels\\r\\nMessage-ID: <l@example.test>\\r\\n\\r\\nHello\\r\\n'\n\
             imap.append('INBOX', None, None, message)\nimap.select('INBOX')\n\
             print(imap.store('1', '+X-GM-LABELS', '(work \"two words\")'))",
        );
        assert!(said.starts_with("False True\n"), "{said}");
        assert!(said.contains(r#"X-GM-LABELS ("two words" work)"#), "{said}");
        let file = configuration(server, &who, home);
        let sync = || {
            let ran = run_in(home, "offlineimap", &["-c", &file.display().to_string(), "-o"], b"");
            let said = format!("{}\n{}", ran.out, ran.err);
            assert!(!said.contains("ERROR") && !said.contains("Traceback"), "{said}");
            ran.good();
        };
        sync();
        let text = fs::read_to_string(only_message(home)).expect("a message");
        assert!(text.contains("X-Keywords: two words,work"), "{text}");
        // A label that comes here, and one that comes there.
        python(server, &who, home, "imap.select('INBOX')\nimap.store('1', '+X-GM-LABELS', '(later)')");
        sync();
        let message = only_message(home);
        let text = fs::read_to_string(&message).expect("a message");
        assert!(text.contains("X-Keywords: later,two words,work"), "{text}");
        fs::write(&message, text.replace("X-Keywords: later,two words,work", "X-Keywords: later,mine"))
            .expect("written");
        let touched = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        fs::File::options().append(true).open(&message).and_then(|file| file.set_modified(touched)).expect("touched");
        sync();
        let said = python(
            server,
            &who,
            home,
            "imap.select('\"[Gmail]/All Mail\"')\nprint(imap.fetch('1:*', '(X-GM-LABELS)'))\n\
             print(imap.uid('search', 'X-GM-RAW', '\"label:mine subject:labels\"'))",
        );
        assert!(said.contains(r#"X-GM-LABELS ("\\\\Inbox" later mine)"#), "{said}");
        assert!(said.contains("[b'1']"), "{said}");
        assert_eq!(server.complaints(), "");
    }
}
