//! Labels: an account of ours that speaks as Gmail does is the source, and one that does not is where they go; then both do.

use postroad_testkit::Process;
use serde_json::Value;

use super::{OURS, imap, sum};
use crate::program::{ALICE, PROGRAM, run};

fn append(number: usize, flags: &str) -> String {
    let octets = format!("Subject: m{number}\r\nMessage-ID: <{number}@there.test>\r\n\r\nbody {number}\r\n");
    format!("APPEND INBOX ({flags}) \"17-Jul-2019 02:44:25 -0700\" {{{}+}}\r\n{octets}", octets.len())
}

fn counts(server: &Process, who: &str) -> Vec<(String, u64)> {
    let listed = run(server.data(), &["mailbox", "list", who]).with_code(0);
    let row = |row: &Value| {
        let count = row["messages"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        (row["mailbox"].as_str().or(row["name"].as_str()).unwrap_or_default().to_owned(), count)
    };
    let mut all: Vec<(String, u64)> = listed.as_array().expect("a table").iter().map(row).collect();
    all.retain(|(_, count)| *count > 0);
    all.sort();
    all
}

fn named(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
    rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn labels_come_over_as_mailboxes_each_message_once() {
    let (there, here) = (Process::quickstart(PROGRAM, OURS, &[]), Process::quickstart(PROGRAM, OURS, &[]));
    run(there.data(), &["account", "gmail", "on", ALICE]).with_code(0);
    let say = |commands: &[&str]| {
        let all: Vec<String> = commands.iter().map(|command| (*command).to_owned()).collect();
        imap(&there, ALICE, &all)
    };
    imap(&there, ALICE, &[append(1, "\\Seen"), append(2, "\\Flagged"), append(3, ""), append(4, "\\Seen")]);
    // One with two labels, one without any other, one with a label alone, one archived.
    say(&[
        "SELECT INBOX",
        "UID STORE 1 +X-GM-LABELS (work)",
        "UID STORE 3 +X-GM-LABELS (work)",
        "UID STORE 3:4 -X-GM-LABELS (\\Inbox)",
    ]);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let password = folder.path().join("password");
    std::fs::write(&password, OURS).expect("a file can be written");
    let password = password.to_str().expect("plain");
    let from = format!("imap+insecure://{ALICE}@127.0.0.1:{}", there.address(143).port());
    let migrate = |more: &[&str]| {
        let words = [&["migrate", ALICE, "--from", &from, "--password-file", password], more].concat();
        let report = run(here.data(), &words).with_code(0);
        assert_eq!(report["proved"], true, "{report:#}");
        run(here.data(), &["account", "audit", ALICE]).with_code(0);
        report
    };
    let report = migrate(&["--prove"]);
    assert_eq!(sum(&report, "taken"), 4, "each message once: {report:#}");
    assert_eq!(counts(&here, ALICE), named(&[("Archive", 1), ("INBOX", 2), ("work", 2)]));
    assert_eq!(sum(&migrate(&[]), "taken"), 0);

    // What is archived gets a label there, and another loses its last one.
    say(&["SELECT \"[Gmail]/All Mail\"", "UID STORE 4 +X-GM-LABELS (later)"]);
    say(&["SELECT work", "UID STORE 2 -X-GM-LABELS (work)"]);
    assert_eq!(sum(&migrate(&[]), "taken"), 0, "no octets come for that");
    assert_eq!(counts(&here, ALICE), named(&[("Archive", 1), ("INBOX", 2), ("later", 1), ("work", 1)]));

    // Here too they are labels from now on.
    run(here.data(), &["account", "gmail", "on", ALICE]).with_code(0);
    assert_eq!(sum(&migrate(&[]), "taken"), 0);
    let shown = imap(&here, ALICE, &["SELECT \"[Gmail]/All Mail\"".to_owned(), "FETCH 1:* (X-GM-LABELS)".to_owned()]);
    assert!(shown.contains("X-GM-LABELS (\"\\\\Inbox\" work)") && shown.contains("X-GM-LABELS (later)"), "{shown}");

    // What is only in All Mail from now on.
    let archive = ["SELECT later", "UID STORE 1 -X-GM-LABELS (later)"].map(str::to_owned);
    imap(&here, ALICE, &archive);

    // And from there into an account that has labels too, and into one that has none.
    run(there.data(), &["account", "gmail", "on", "bob@example.test"]).with_code(0);
    let to = from.replace("alice@", "bob@");
    let second = Process::quickstart(PROGRAM, OURS, &[]);
    let plain = from.replace(&there.address(143).port().to_string(), &second.address(143).port().to_string());
    let mirror = |to: &str| {
        let report = run(here.data(), &["mirror", ALICE, "--to", to, "--password-file", password]).with_code(0);
        assert_eq!(report["proved"], true, "{report:#}");
        (sum(&report, "taken"), sum(&report, "entries"))
    };
    for to in [&to, &plain] {
        // Of the four messages one has two labels.
        assert_eq!(mirror(to), (4, 1), "{to}");
        assert_eq!(mirror(to), (0, 0), "{to}");
    }
    assert_eq!(counts(&second, ALICE), named(&[("Archive", 2), ("INBOX", 2), ("work", 1)]));
    let shown = |name: &str| imap(&there, "bob@example.test", &[format!("STATUS \"{name}\" (MESSAGES)")]);
    assert!(shown("[Gmail]/All Mail").contains("(MESSAGES 4)"), "one message each: {}", shown("[Gmail]/All Mail"));

    // One gets a label more, another loses its last ones.
    let commands = [
        "SELECT INBOX",
        "UID STORE 2 +X-GM-LABELS (another)",
        "UID STORE 1 -X-GM-LABELS (work)",
        "UID STORE 1 -X-GM-LABELS (\\Inbox)",
    ];
    imap(&here, ALICE, &commands.map(str::to_owned));
    for to in [&to, &plain] {
        let (taken, _) = mirror(to);
        assert_eq!((taken, mirror(to)), (0, (0, 0)), "{to}");
    }
    assert_eq!(counts(&second, ALICE), named(&[("Archive", 3), ("INBOX", 1), ("another", 1)]));
    for (name, expected) in [("[Gmail]/All Mail", 4), ("INBOX", 1), ("another", 1), ("work", 0)] {
        assert!(shown(name).contains(&format!("(MESSAGES {expected})")), "{}", shown(name));
    }
}
