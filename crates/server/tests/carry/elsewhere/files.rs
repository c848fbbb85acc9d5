//! `migrate --from maildir:` and `mbox:`: taken, read again on both sides, and proved.

use std::fs;
use std::path::Path;

use super::imap;
use crate::program::{ALICE, contents, on_each_database, run, tree};

fn text(path: &Path) -> String {
    path.to_str().expect("plain").to_owned()
}

#[test]
fn a_maildir_and_its_mbox_are_proved() {
    on_each_database(|server| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let at = |name: &str| folder.path().join(name);
        tree(&at("maildir"), 600);
        let data = server.data();
        let from = format!("maildir:{}", text(&at("maildir")));
        let looked = run(data, &["migrate", ALICE, "--from", &from, "--dry-run"]).with_code(0);
        assert_eq!((looked["messages"].as_u64(), &looked["proved"]), (Some(600), &serde_json::Value::Null), "{looked}");
        for (taken, there_already) in [(600, 0), (0, 600)] {
            let report = run(data, &["migrate", ALICE, "--from", &from]).with_code(0);
            assert_eq!(report["proved"], true, "{report}");
            let number = |name: &str| report[name].as_u64().unwrap_or(u64::MAX);
            assert_eq!((number("messages"), number("there-already")), (taken, there_already), "{report}");
            assert_eq!((number("there"), number("equal"), number("removed")), (600, 600, 0), "{report}");
        }
        run(data, &["export", ALICE, &text(&at("out"))]).with_code(0);
        assert!(contents(&at("maildir")) == contents(&at("out")), "octets, flags, keywords, dates");

        // The same by way of an mbox (mboxrd), into another account.
        run(data, &["export", ALICE, &text(&at("mbox")), "--format", "mbox"]).with_code(0);
        let from = format!("mboxrd:{}", text(&at("mbox")));
        let report = run(data, &["migrate", "bob@example.test", "--from", &from]).with_code(0);
        assert_eq!((&report["proved"], report["equal"].as_u64()), (&true.into(), Some(600)), "{report}");
        run(data, &["export", "bob@example.test", &text(&at("bob"))]).with_code(0);
        assert!(contents(&at("maildir")) == contents(&at("bob")));

        // What its owner removed is told apart from what is missing, and what is new in the source is taken.
        let removed = ["SELECT Work/2019", "STORE 1:* +FLAGS.SILENT (\\Deleted)", "EXPUNGE"].map(str::to_owned);
        imap(&server, ALICE, &removed);
        let removed =
            run(data, &["migrate", ALICE, "--from", &format!("maildir:{}", text(&at("maildir")))]).with_code(0);
        assert_eq!((removed["equal"].as_u64(), removed["removed"].as_u64()), (Some(450), Some(150)), "{removed}");
        assert_eq!(removed["proved"], true, "{removed}");
    });
}

/// Of each message: subject, body, letters.
#[test]
fn others_mboxes_are_read_as_they_are_quoted_and_flagged() {
    on_each_database(|server| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let at = |name: &str| folder.path().join(name);
        let message = |subject: &str, marks: &str, body: &str| {
            format!("From a@b.test Tue Mar  5 10:10:10 2019\nSubject: {subject}\n{marks}\n{body}\n\n")
        };
        let all = [
            message("read", "Status: RO\nX-Status: \n", ">From me\n>>From you\n"),
            message("answered", "Status: RO\nX-Status: AF\nX-Keywords: work\n", "x\n"),
            message("new", "Status: O\nX-Status: D\n", "y\n"),
            message("draft", "Status: \nX-Status: T\n", "z\n"),
        ];
        for (scheme, account, expected) in
            [("mboxo", ALICE, "From me\n>>From you\n"), ("mboxrd", "bob@example.test", "From me\n>From you\n")]
        {
            let file = at(scheme);
            fs::create_dir(&file).expect("a folder can be made");
            fs::write(file.join("Old mail"), all.concat()).expect("a file can be written");
            let from = format!("{scheme}:{}", text(&file));
            let report = run(server.data(), &["migrate", account, "--from", &from]).with_code(0);
            assert_eq!(report["proved"], true, "{report}");
            let out = at(&format!("{scheme} out"));
            run(server.data(), &["export", account, &text(&out)]).with_code(0);
            let found = contents(&out);
            let of = |subject: &str| {
                let holds = |octets: &[u8]| String::from_utf8_lossy(octets).contains(&format!("Subject: {subject}\n"));
                let mut all = found.iter().flat_map(|(key, mails)| mails.iter().map(move |mail| (key, mail)));
                let (key, mail) = all.find(|(_, mail)| holds(mail)).unwrap_or_else(|| panic!("no {subject}: {report}"));
                (key.2.clone(), String::from_utf8_lossy(mail).into_owned())
            };
            assert_eq!(of("read"), ("S".to_owned(), format!("Subject: read\n\n{expected}\n")), "{scheme}");
            assert_eq!(of("answered").0, "FRSa", "{scheme}");
            assert_eq!(of("draft").0, "D", "{scheme}");
        }
    });
}
