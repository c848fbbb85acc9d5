//! Headers that are not ASCII, and such names of folders, between servers of ours: with UTF8=ACCEPT everything goes as it is.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use postroad_testkit::Process;
use serde_json::Value;

use super::{Contents, OURS, imap, proved, same, sum};
use crate::program::{ALICE, PROGRAM, contents, run};

/// Folders as Maildir++ has them: `Bücher`, `Bücher/R&D`, `Grüße & Küße`, and one that only looks encoded, `&APw-`.
const FOLDERS: [&str; 5] = ["", ".B&APw-cher", ".B&APw-cher.R&-D", ".Gr&APwA3w-e &- K&APwA3w-e", ".&-APw-"];

fn messages() -> Vec<Vec<u8>> {
    let large = |subject: &[u8]| {
        let line = b"a line of a message that goes in pieces, as large ones do\r\n".repeat(40_000);
        [b"From: a@there.test\r\nSubject: ", subject, b"\r\n\r\n", &line].concat()
    };
    vec![
        b"From: a@there.test\r\nSubject: plain\r\n\r\nascii\r\n".to_vec(),
        "From: a@there.test\r\nSubject: Grüße aus Köln\r\n\r\nGrüße\r\n".as_bytes().to_vec(),
        // An address that is not ASCII (RFC 6532), a name and a Message-ID that are neither.
        "From: Jörg <jörg@bücher.example>\r\nTo: 用户@例子.example\r\nMessage-ID: <é@there.test>\r\nSubject: 日本\r\n\r\nx\r\n"
            .as_bytes()
            .to_vec(),
        // Latin-1, and both in one header.
        b"From: J\xf6rg <a@there.test>\r\nSubject: Gr\xfc\xdfe\r\n\r\nGr\xfc\xdfe\r\n".to_vec(),
        b"From: J\xf6rg <a@there.test>\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx\r\n".to_vec(),
        // The header of a part.
        "Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: \
         application/pdf; name=\"Grüße.pdf\"\r\n\r\nx\r\n--x--\r\n"
            .as_bytes()
            .to_vec(),
        b"Subject: an 8-bit body\r\n\r\n\xff\xfe\r\n".to_vec(),
        large("große".as_bytes()),
        large(b"gro\xdfe"),
    ]
}

fn maildir(root: &Path) {
    for (number, folder) in FOLDERS.iter().enumerate() {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join(folder).join(part)).expect("a folder can be made");
        }
        for (at, octets) in messages().into_iter().enumerate() {
            let letters = ["", "S", "FS"][(at + number) % 3];
            let path = root.join(folder).join("cur").join(format!("{at}.host:2,{letters}"));
            fs::write(&path, octets).expect("a file can be written");
            let file = fs::File::options().append(true).open(path).expect("it was just written");
            let seconds = Duration::from_secs(1_500_000_000 + at as u64);
            file.set_modified(SystemTime::UNIX_EPOCH + seconds).expect("times can be set");
        }
    }
}

fn of(server: &Process) -> Contents {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let to = folder.path().join("out");
    run(server.data(), &["export", ALICE, to.to_str().expect("plain"), "--newline", "crlf"]).with_code(0);
    contents(&to)
}

#[test]
fn headers_and_names_that_are_not_ascii_go_over_and_back_as_they_are() {
    let [there, here, back] = [(); 3].map(|()| Process::quickstart(PROGRAM, OURS, &[]));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let password = folder.path().join("password");
    fs::write(&password, OURS).expect("a file can be written");
    let password = password.to_str().expect("plain");
    let source = folder.path().join("maildir");
    maildir(&source);
    run(there.data(), &["import", ALICE, source.to_str().expect("plain")]).with_code(0);
    assert!(of(&there) == contents(&source), "what is to go over is what was meant");

    let place = |server: &Process| format!("imap+insecure://{ALICE}@127.0.0.1:{}", server.address(143).port());
    let moved = |words: &[&str], taken: usize| {
        let words = [words, &["--password-file", password]].concat();
        let report: Value = proved(run(here.data(), &words));
        assert_eq!(sum(&report, "taken"), taken as u64, "{report:#}");
        report
    };
    let all = FOLDERS.len() * messages().len();
    let from = place(&there);
    let report = moved(&["migrate", ALICE, "--from", &from, "--prove"], all);
    assert_eq!((sum(&report, "equal"), sum(&report, "fetched-again")), (all as u64, all as u64), "{report:#}");
    same(&of(&here), &of(&there), "after the way over");
    moved(&["migrate", ALICE, "--from", &from], 0);

    // Back into an account that has some of these folders.
    imap(&back, ALICE, &["CREATE \"B&APw-cher\"".to_owned()]);
    let to = place(&back);
    let report = moved(&["mirror", ALICE, "--to", &to], all);
    assert_eq!(sum(&report, "equal"), all as u64, "{report:#}");
    same(&of(&back), &of(&there), "after the way back");
    moved(&["mirror", ALICE, "--to", &to], 0);
    for server in [&here, &back] {
        run(server.data(), &["account", "audit", ALICE]).with_code(0);
    }
}
