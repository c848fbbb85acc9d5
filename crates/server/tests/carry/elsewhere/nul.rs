//! NULs, which BODY[] shows as 0x80: from one server of ours to another and back, every octet.

use postroad_testkit::Process;

use super::{OURS, here, imap, mirror, same, sum};
use crate::program::{ALICE, PROGRAM, run};

/// With NULs in headers, in texts, between parts that are encoded, in an encoding that is broken; with 0x80 beside them.
fn messages() -> Vec<String> {
    let encoded = "Content-Transfer-Encoding: base64\r\n\r\nAAECIGhlbGxv\r\n";
    let head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n";
    vec![
        "Subject: a\0b\r\n\r\nplain\r\n".to_owned(),
        "Subject: text\r\n\r\na\0b\u{80}\0c\r\n".to_owned(),
        format!("Subject: between\r\n{head}--X\r\n{encoded}--X\r\n\r\na\0b\r\n--X\r\n{encoded}--X--\r\n"),
        "Subject: broken\r\nContent-Transfer-Encoding: base64\r\n\r\n\0=\0\r\n".to_owned(),
        "Subject: binary\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\u{1}\u{2}\r\n".to_owned(),
        format!("Subject: large\r\n\r\n{}", "a long line with \0 in it\r\n".repeat(60_000)),
        "Subject: none\r\n\r\n\u{20ac}\r\n".to_owned(),
    ]
}

#[test]
fn nuls_come_over_and_go_back() {
    let (there, ours) = (Process::quickstart(PROGRAM, OURS, &[]), Process::quickstart(PROGRAM, OURS, &[]));
    let append = |message: &String| format!("APPEND INBOX ~{{{}+}}\r\n{message}", message.len());
    imap(&there, ALICE, &messages().iter().map(append).collect::<Vec<String>>());
    let all = messages().len() as u64;
    let original = here(there.data());
    assert_eq!(original.values().flatten().filter(|octets| octets.contains(&0)).count() as u64, all - 1);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let password = folder.path().join("password");
    std::fs::write(&password, OURS).expect("a file can be written");
    let password = ["--password-file", password.to_str().expect("plain")];
    let url = |user: &str| format!("imap+insecure://{user}@127.0.0.1:{}", there.address(143).port());

    let (from, prove) = (url(ALICE), ["--prove"]);
    let words = [&["migrate", ALICE, "--from", &from], &password[..], &prove[..]].concat();
    let report = run(ours.data(), &words).with_code(0);
    assert_eq!((sum(&report, "taken"), sum(&report, "fetched-again")), (all, all), "{report:#}");
    same(&here(ours.data()), &original, "after the way over");

    // Back, into another account; and over from that one.
    let to = url("bob@example.test");
    for taken in [all, 0] {
        let report = mirror(ours.data(), &to, &password).with_code(0);
        assert_eq!((&report["proved"], sum(&report, "taken")), (&true.into(), taken), "{report:#}");
    }
    let third = Process::quickstart(PROGRAM, OURS, &[]);
    run(third.data(), &[&["migrate", ALICE, "--from", &to], &password[..]].concat()).with_code(0);
    same(&here(third.data()), &original, "after the way back");
}
