//! The file of a large message is damaged on the disk.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::world::{ALICE, Server, eventually, message};

/// The files of large messages, those that came first first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true if entry.file_name() != "tmp" => found.extend(files(&path)),
            true => {}
            // The mark of whose folder it is has a name of words.
            false
                if entry.file_name().to_string_lossy().contains('-')
                    && path.metadata().is_ok_and(|m| m.len() > 1_000) =>
            {
                found.push(path)
            }
            false => {}
        }
    }
    found.sort_by_key(|path| path.file_name().map(|name| name.to_owned()));
    found
}

/// Flips one bit there.
fn damage(path: &Path, place: usize) {
    let mut bytes = fs::read(path).expect("it can be read");
    bytes[place] ^= 0x10;
    fs::write(path, bytes).expect("it can be written");
}

#[test]
fn damaged_messages_are_named_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::quickstart(folder.path(), &[]);
    let mut smtp = Client::smtp(server.at(25));
    let (first, second) = (message("first", 400_000), message("second", 4_000_000));
    for text in [&first, &second, &message("third", 400_000), &message("fourth", 1_000)] {
        let reply = smtp.deliver(ALICE, text);
        assert!(reply.starts_with("250 "), "{reply}");
    }
    let blobs = files(&folder.path().join("blobs"));
    assert_eq!(blobs.len(), 3, "{blobs:?}");
    let name = |path: &Path| path.file_name().expect("a file").to_string_lossy().into_owned();
    let ids: Vec<String> = blobs.iter().map(|path| name(path).split('-').next().unwrap_or_default().into()).collect();

    damage(&blobs[0], 1_000);
    let mut imap = Client::inbox(server.at(143), ALICE);
    let answer = imap.imap("FETCH 1 BODY.PEEK[]");
    assert!(answer.tagged.starts_with("NO [CORRUPTION] "), "{answer:?}");
    let noise = |line: &String| line.len() == 76 && first.contains(line.as_str());
    assert!(!answer.lines.iter().any(noise), "octets of a damaged message");
    server.logged(&["imap: ", &ids[0], "restore what is named here from the backup"]);
    // What is not in the file is still there, and so are the other messages.
    let lines = imap.imap("FETCH 1 (ENVELOPE RFC822.SIZE)").good();
    assert!(lines.iter().any(|line| line.contains("\"first\"")), "{lines:?}");
    for other in [3, 4] {
        let lines = imap.imap(&format!("FETCH {other} BODY.PEEK[]")).good();
        assert!(lines.iter().any(|line| line == "The end."), "{other}");
    }
    let mut reader = Client::pop3(server.at(110), ALICE);
    let answer = reader.line("RETR 1");
    assert!(answer.starts_with("-ERR [SYS/PERM] "), "{answer}");
    server.logged(&["pop3: ", &ids[0]]);
    assert!(reader.line("RETR 4").starts_with("+OK"));

    // Damage behind what was sent already: nothing wrong follows, and the message is not taken for whole.
    damage(&blobs[1], 2_500_000);
    imap.say("zz FETCH 2 BODY.PEEK[]");
    let lines: HashSet<&str> = second.lines().collect();
    let (mut heard, mut wrong) = (0, 0);
    while let Some(line) = imap.next() {
        heard += line.len() + 2;
        assert!(!line.starts_with("zz OK"), "a damaged message was told to be whole");
        if line.len() == 76 && !lines.contains(line.as_str()) {
            wrong += 1;
        }
        if line.starts_with("zz NO [CORRUPTION] ") {
            break;
        }
    }
    assert_eq!(wrong, 0, "of {heard} octets");
    server.logged(&["imap: ", &ids[1], "restore"]);

    // A file that is gone is damage as well.
    fs::remove_file(&blobs[2]).expect("it is there");
    let mut imap = Client::inbox(server.at(143), ALICE);
    let answer = imap.imap("FETCH 3 BODY.PEEK[]");
    assert!(answer.tagged.starts_with("NO [CORRUPTION] "), "{answer:?}");
    server.logged(&[&ids[2], "is missing"]);
    // New mail is taken as ever.
    let reply = smtp.deliver(ALICE, &message("fifth", 400_000));
    assert!(reply.starts_with("250 "), "{reply}");
    imap.imap("FETCH 5 BODY.PEEK[]").good();
}

#[test]
fn a_client_that_vanishes_in_mid_message_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::quickstart(folder.path(), &[]);
    let arriving = || fs::read_dir(folder.path().join("blobs/tmp")).expect("a folder").count();
    let text = message("half", 1_000_000);

    let mut smtp = Client::smtp(server.at(25));
    for command in ["MAIL FROM:<carol@elsewhere.test>".to_owned(), format!("RCPT TO:<{ALICE}>"), "DATA".to_owned()] {
        smtp.ask(&command);
    }
    smtp.send(text.as_bytes());
    let mut imap = Client::inbox(server.at(143), ALICE);
    imap.send(format!("zz APPEND INBOX {{{}+}}\r\n{text}", 2 * text.len()).as_bytes());
    eventually("two messages on their way", || arriving() == 2);
    drop((smtp, imap));
    eventually("an empty folder of arriving messages", || arriving() == 0);
    let mut imap = Client::inbox(server.at(143), ALICE);
    assert_eq!(imap.subjects(), Vec::<String>::new());
    assert_eq!(files(&folder.path().join("blobs")), Vec::<PathBuf>::new());
}
