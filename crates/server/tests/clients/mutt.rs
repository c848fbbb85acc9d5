//! mutt: a person's client, driven by keys in a terminal of its own (util-linux's `script`).

use std::path::Path;

use super::lines::Lines;
use super::program::{PASSWORD, Server, message, run_in, servers};

/// Opens the inbox, presses these keys and leaves.
pub(crate) fn drive(server: &Server, who: &str, home: &Path, keys: &str) {
    let settings = format!(
        "set imap_user=\"{who}\"\nset imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\nset ssl_force_tls=no\n\
         set folder=\"imap://127.0.0.1:{port}/\"\nset spoolfile=\"+INBOX\"\nset confirmappend=no\nset quit=yes\n\
         set delete=yes\nset wait_key=no\nset sort=mailbox-order\nset mail_check=0\n",
        port = server.port(143)
    );
    let file = home.join("muttrc");
    std::fs::write(&file, settings).expect("written");
    let line = format!("mutt -n -F {} -e \"push '{keys}<quit>'\"", file.display());
    run_in(home, "script", &["-qec", &line, "/dev/null"], b"").good();
}

#[test]
fn opens_reads_and_deletes() {
    for server in servers() {
        let who = server.account();
        let home = tempfile::tempdir().expect("a folder");
        let mut imap = Lines::connect(server.port(143));
        imap.hear();
        imap.imap(&format!("LOGIN {who} \"{PASSWORD}\""));
        for subject in ["first", "second"] {
            let text = message("carol@elsewhere.test", &who, subject);
            imap.imap(&format!("APPEND INBOX {{{}+}}\r\n{text}", text.len()));
        }

        // Save the first message's text beside, delete the second.
        let keys = "<first-entry><pipe-message>cat > seen.eml<enter><next-entry><delete-message>";
        drive(server, &who, home.path(), keys);

        let seen = std::fs::read_to_string(home.path().join("seen.eml")).expect("mutt has piped the message");
        assert!(seen.contains("Subject: first") && seen.contains("First line."), "{seen}");
        let selected = imap.imap("SELECT INBOX");
        assert!(selected.contains(&"* 1 EXISTS".to_string()), "{selected:?}");
        let fetched = imap.imap("FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
        assert!(fetched.iter().any(|line| line == "Subject: first"), "{fetched:?}");
    }
}
