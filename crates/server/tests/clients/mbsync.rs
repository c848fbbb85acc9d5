//! isync (mbsync): keeps a Maildir in step with a mailbox, both ways.

use std::path::{Path, PathBuf};

use super::lines::Lines;
use super::program::{PASSWORD, Server, message, run_in, servers};

/// All mailboxes, both ways, in the Maildirs of `mail/`.
pub(crate) fn configuration(server: &Server, who: &str, home: &Path) -> String {
    format!(
        "IMAPAccount here\nHost 127.0.0.1\nPort {port}\nUser {who}\nPass \"{PASSWORD}\"\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount here\n\n\
         MaildirStore near\nPath {home}/mail/\nInbox {home}/mail/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\nExpunge Both\nSync All\nSyncState *\n",
        port = server.port(143),
        home = home.display(),
    )
}

/// The files of a Maildir's messages.
pub(crate) fn messages(folder: &Path) -> Vec<PathBuf> {
    let inside = |name: &str| {
        std::fs::read_dir(folder.join(name)).expect("a Maildir").map(|entry| entry.expect("readable").path())
    };
    inside("new").chain(inside("cur")).collect()
}

#[test]
fn keeps_both_sides_in_step() {
    for server in servers() {
        let who = server.account();
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join("mail")).expect("made");
        let file = home.path().join("mbsyncrc");
        std::fs::write(&file, configuration(server, &who, home.path())).expect("written");
        let file = file.display().to_string();
        let sync = || run_in(home.path(), "mbsync", &["-c", &file, "-a"], b"").good();

        let mut imap = Lines::connect(server.port(143));
        imap.hear();
        imap.imap(&format!("LOGIN {who} \"{PASSWORD}\""));
        let texts: Vec<String> =
            (0..25).map(|n| message("carol@elsewhere.test", &who, &format!("number {n}"))).collect();
        for text in &texts {
            imap.imap(&format!("APPEND INBOX (\\Flagged) {{{}+}}\r\n{text}", text.len()));
        }
        sync();
        let inbox = home.path().join("mail/INBOX");
        // mbsync stores with LF and adds an X-TUID of its own.
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).expect("readable");
            text.split_inclusive('\n').filter(|line| !line.starts_with("X-TUID: ")).collect::<String>()
        };
        let mut here: Vec<String> = messages(&inbox).iter().map(read).collect();
        let mut expected: Vec<String> = texts.iter().map(|text| text.replace("\r\n", "\n")).collect();
        here.sort();
        expected.sort();
        assert_eq!(here, expected);
        assert!(messages(&inbox).iter().all(|path| path.to_string_lossy().contains(":2,F")));

        // A message is made here, another deleted here, a folder is made there.
        std::fs::write(
            inbox.join("cur/fresh.1:2,S"),
            message("me@elsewhere.test", &who, "made here").replace("\r\n", "\n"),
        )
        .expect("written");
        std::fs::remove_file(&messages(&inbox)[3]).expect("removed");
        imap.imap("CREATE Projects/2026");
        sync();
        assert!(home.path().join("mail/Projects/2026").is_dir());
        imap.imap("SELECT INBOX");
        let found = imap.imap("SEARCH SEEN SUBJECT \"made here\"");
        assert!(found[0].starts_with("* SEARCH ") && found[0].len() > "* SEARCH ".len(), "{found:?}");
        let status = imap.imap("STATUS Sent (MESSAGES)");
        assert!(status[0].contains("MESSAGES 0"), "{status:?}");
        assert_eq!(messages(&inbox).len(), 25);
    }
}
