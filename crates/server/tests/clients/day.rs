//! A day of use: mutt, isync and offlineimap on one account, each changing what the others see, and a mailbox shared with
//! somebody else. At its end all agree, and the server's log has nothing to complain of.

use std::path::{Path, PathBuf};

use postroad_testkit::postgres;

use super::lines::Lines;
use super::program::{PASSWORD, Server, message, run_in};
use super::{mbsync, mutt, offlineimap};

struct Day<'a> {
    server: &'a Server,
    who: String,
    home: tempfile::TempDir,
    mbsyncrc: String,
    offlineimaprc: PathBuf,
}

impl Day<'_> {
    fn begin(server: &Server) -> Day<'_> {
        let who = server.account();
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join("mail")).expect("made");
        let mbsyncrc = home.path().join("mbsyncrc");
        std::fs::write(&mbsyncrc, mbsync::configuration(server, &who, home.path())).expect("written");
        let offlineimaprc = offlineimap::configure(server, &who, home.path());
        Day { server, who, home, mbsyncrc: mbsyncrc.display().to_string(), offlineimaprc }
    }

    /// isync and offlineimap, each twice: what one brings the other fetches.
    fn sync(&self) {
        for _ in 0..2 {
            run_in(self.home.path(), "mbsync", &["-c", &self.mbsyncrc, "-a"], b"").good();
            offlineimap::sync(&self.offlineimaprc, self.home.path());
        }
    }

    fn isync(&self, folder: &str) -> PathBuf {
        self.home.path().join("mail").join(folder)
    }

    fn offline(&self, folder: &str) -> PathBuf {
        self.home.path().join("offline").join(folder)
    }

    /// The subject and the flags of each message in both Maildirs, which must agree.
    fn agreed(&self, folder: &str) -> Vec<(String, String)> {
        let one = contents(&self.isync(folder));
        assert_eq!(one, contents(&self.offline(folder)), "{folder}");
        one
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    mbsync::messages(folder)
}

fn contents(folder: &Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = files(folder)
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("readable");
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
            let name = path.file_name().expect("a name").to_string_lossy();
            (subject.to_string(), name.split_once(":2,").map(|(_, flags)| flags.to_string()).unwrap_or_default())
        })
        .collect();
    all.sort();
    all
}

fn file_of(folder: &Path, subject: &str) -> PathBuf {
    let line = format!("Subject: {subject}\n");
    let found = files(folder).into_iter().find(|path| std::fs::read_to_string(path).expect("readable").contains(&line));
    found.unwrap_or_else(|| panic!("{subject} is not in {}", folder.display()))
}

fn reflag(path: &Path, flags: &str) {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let stem = name.split(":2,").next().expect("a first part");
    let folder = path.parent().and_then(Path::parent).expect("a Maildir");
    std::fs::rename(path, folder.join("cur").join(format!("{stem}:2,{flags}"))).expect("renamed");
}

fn entry(subject: &str, flags: &str) -> (String, String) {
    (subject.to_string(), flags.to_string())
}

#[test]
fn goes_by_without_a_complaint() {
    // Servers of its own: what other tests make them say would be in their logs.
    let database = postgres::fresh_database();
    for more in [vec![], vec!["--database", &database]] {
        let server = &Server::start(&more);
        let day = Day::begin(server);
        let mut imap = Lines::connect(server.port(143));
        imap.hear();
        imap.imap(&format!("LOGIN {} \"{PASSWORD}\"", day.who));
        for n in 0..6 {
            let text = message("carol@elsewhere.test", &day.who, &format!("n{n}"));
            imap.imap(&format!("APPEND INBOX {{{}+}}\r\n{text}", text.len()));
        }
        day.sync();
        assert_eq!(day.agreed("INBOX").len(), 6);

        // Each side changes something else: mutt reads and deletes, isync flags and files, offlineimap deletes.
        mutt::drive(
            server,
            &day.who,
            day.home.path(),
            "<first-entry><display-message><exit><next-entry><delete-message>",
        );
        reflag(&file_of(&day.isync("INBOX"), "n2"), "FS");
        let moved = file_of(&day.isync("INBOX"), "n3");
        std::fs::create_dir_all(day.isync("Projects/2026")).expect("made");
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(day.isync("Projects/2026").join(part)).expect("made");
        }
        std::fs::copy(&moved, day.isync("Projects/2026").join("cur/moved.1:2,S")).expect("copied");
        std::fs::remove_file(&moved).expect("removed");
        std::fs::remove_file(file_of(&day.offline("INBOX"), "n4")).expect("removed");
        reflag(&file_of(&day.offline("INBOX"), "n5"), "RS");
        day.sync();
        assert_eq!(day.agreed("INBOX"), [entry("n0", "S"), entry("n2", "FS"), entry("n5", "RS")]);
        assert_eq!(day.agreed("Projects/2026"), [entry("n3", "S")]);

        // Another session renames, empties and deletes meanwhile; the folder comes back under its new name.
        imap.imap("CREATE Later");
        imap.imap("SELECT INBOX");
        imap.imap("MOVE 1 Later");
        imap.imap("RENAME Later Archive/Later");
        imap.imap("UNSELECT");
        day.sync();
        assert_eq!(day.agreed("Archive/Later"), [entry("n0", "S")]);
        assert_eq!(day.agreed("INBOX").len(), 2);

        shares(&day, &mut imap);
        let said = server.complaints();
        assert!(said.is_empty(), "{said}");
    }
}

/// A mailbox is shared with somebody whose isync then writes into it.
fn shares(day: &Day<'_>, imap: &mut Lines) {
    let friend = Day::begin(day.server);
    imap.imap("CREATE Team");
    imap.imap(&format!("SETACL Team {} lrswite", friend.who));
    let shared = format!("Other Users/{}/Team", day.who);
    let mut theirs = Lines::connect(day.server.port(143));
    theirs.hear();
    theirs.imap(&format!("LOGIN {} \"{PASSWORD}\"", friend.who));
    let text = message(&friend.who, &day.who, "from a friend");
    theirs.imap(&format!("APPEND \"{shared}\" (\\Flagged) {{{}+}}\r\n{text}", text.len()));
    friend.sync();
    assert_eq!(contents(&friend.isync(&shared)), [entry("from a friend", "F")]);
    reflag(&file_of(&friend.isync(&shared), "from a friend"), "FRS");
    friend.sync();
    day.sync();
    assert_eq!(day.agreed("Team"), [entry("from a friend", "FRS")]);
}
