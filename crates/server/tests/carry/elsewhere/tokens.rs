//! Signing in elsewhere with tokens: somebody consents once, what is granted is kept sealed and renewed, and later runs, and
//! looks at a place by POP3, sign in with it.

use std::path::Path;
use std::process::{Command, Stdio};

use postroad_testkit::pages::allow;
use postroad_testkit::{Hasty, Process, ended, eventually, lines, output};

use super::{OURS, sum};
use crate::program::{ALICE, PROGRAM, count, put, run};

/// Runs a command that asks for consent, which is given; its code.
fn consenting(data: &Path, words: &[&str]) -> Option<i32> {
    let mut command = Command::new(PROGRAM);
    command.args(words).arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut lines = lines(child.stderr.take().expect("it is piped"));
    let mut said = Vec::new();
    for line in lines.by_ref() {
        said.push(line.clone());
        if let Some(complete) = line.strip_prefix("or open ") {
            allow(complete, ALICE, OURS);
            break;
        }
    }
    said.extend(lines);
    let code = ended(&mut child, "a command that asks for consent").code();
    assert_eq!(code, Some(0), "{said:#?}");
    code
}

/// An account with mail at a server that is its own provider.
fn there(messages: u64) -> Process {
    let mut server = Process::quickstart(PROGRAM, OURS, &[]);
    // Its pages in TLS would have a certificate of nobody.
    assert!(server.stop().success());
    let file = server.data().join("postroad.toml");
    let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
    let issuer = format!("issuer = \"http://127.0.0.1:{}\"", server.address(8080).port());
    let text = match text.contains("\n[oauth]\n") {
        true => text.replace("\n[oauth]\n", &format!("\n[oauth]\n{issuer}\n")),
        false => format!("{text}\n[oauth]\n{issuer}\n"),
    };
    std::fs::write(&file, text).expect("it can be written");
    server.start_again();
    run(server.data(), &["oauth", "client", "add", "Another server", "--id", "other"]).with_code(0);
    let mail = tempfile::tempdir().expect("a folder can be made");
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir(mail.path().join(part)).expect("a folder can be made");
    }
    for number in 0..messages {
        let text = format!("Subject: m{number}\nMessage-ID: <{number}@there.test>\n\nx\n");
        put(&mail.path().join("cur").join(format!("{number}.test:2,S")), &text, 1_500_000_000 + number);
    }
    run(server.data(), &["import", ALICE, mail.path().to_str().expect("plain")]).with_code(0);
    server
}

#[test]
fn a_run_outlives_its_token_and_the_next_needs_no_consent() {
    let (there, here) = (there(20), Process::quickstart(PROGRAM, OURS, &[]));
    let hasty = Hasty::bind();
    hasty.serve(there.address(8080).port());
    let issuer = hasty.issuer();
    let from = format!("imap+insecure://{ALICE}@127.0.0.1:{}", there.address(143).port());
    consenting(here.data(), &["migrate", ALICE, "--from", &from, "--oauth", &issuer, "--client-id", "other"]);
    assert_eq!(count(here.data()), 20);
    // Without a word about tokens, again and again, each connection with one that is good then.
    eventually("a token is renewed", || {
        let report = bare(here.data(), &["migrate", ALICE, "--from", &from]);
        assert_eq!((&report["proved"], sum(&report, "taken")), (&true.into(), 0), "{report:#}");
        (hasty.renewed() >= 2).then_some(())
    });
    // Who has no grant is asked for a password: there is none on standard input.
    let stranger = from.replace("alice@", "bob@");
    let mut command = Command::new(PROGRAM);
    let said = output(command.args(["migrate", ALICE, "--from", &stranger, "--data"]).arg(here.data()), b"");
    assert!(String::from_utf8_lossy(&said.stderr).contains("no password"), "{said:?}");
    // Cut off there: it says so, and that somebody has to sign in again.
    let sessions = run(there.data(), &["account", "sessions", ALICE]).with_code(0);
    let rows = sessions.as_array().expect("a table");
    let program = rows.iter().find(|row| row.to_string().contains("Another server")).expect("it is there");
    let id = program["id"].as_str().expect("a number").to_owned();
    run(there.data(), &["account", "cut-off", ALICE, &id]).with_code(0);
    eventually("the provider says no", || {
        let report = bare(here.data(), &["migrate", ALICE, "--from", &from, "--tries", "0"]);
        report["error"].as_str().filter(|why| why.contains("sign in") || why.contains("let ")).map(|_| ())
    });
}

/// Runs a command that is told no password.
fn bare(data: &Path, words: &[&str]) -> serde_json::Value {
    let mut command = Command::new(PROGRAM);
    let output = output(command.args(words).args(["--json", "--data"]).arg(data), b"");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[test]
fn mail_is_collected_by_pop3_with_a_token() {
    let (there, here) = (there(30), Process::quickstart(PROGRAM, OURS, &[]));
    let issuer = format!("http://127.0.0.1:{}", there.address(8080).port());
    let from = format!("pop3+insecure://{ALICE}@127.0.0.1:{}", there.address(110).port());
    consenting(
        here.data(),
        &["collect", "add", ALICE, "--from", &from, "--oauth", &issuer, "--client-id", "other", "--delete-after", "0"],
    );
    eventually("the mail is here", || (count(here.data()) == 30).then_some(()));
    eventually("it is gone there", || (count(there.data()) == 0).then_some(()));
    let listed = run(here.data(), &["collect", "list", ALICE]).with_code(0).to_string();
    assert!(listed.contains("good") || listed.contains("removed at once"), "{listed}");
}
