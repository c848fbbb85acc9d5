//! `postroad collect` and the server that looks: from a real Dovecot, left there, removed after its time, and killed in between.

use postroad_testkit::{Dovecot, Process, eventually};
use serde_json::Value;

use super::OURS;
use super::whole::message;
use crate::program::{ALICE, PROGRAM, count, on_each_database, run};

fn mails(numbers: std::ops::Range<u64>) -> Vec<(&'static str, u64, Vec<u8>)> {
    numbers.map(|number| ("", 1_500_000_000 + number, message(&format!("m{number}"), ".dot\n..\n"))).collect()
}

fn add(server: &Process, dovecot: &Dovecot, more: &[&str]) {
    let from = format!("pop3+insecure://alice@127.0.0.1:{}", dovecot.port(110));
    run(server.data(), &[&["collect", "add", ALICE, "--from", &from], more].concat()).with_code(0);
}

/// The row of the only place.
fn place(server: &Process) -> Value {
    let listed = run(server.data(), &["collect", "list"]).with_code(0);
    listed.as_array().expect("a table")[0].clone()
}

fn taken(server: &Process) -> Option<u64> {
    place(server)["taken"].as_str()?.parse().ok()
}

#[test]
fn what_is_there_comes_once_and_stays_until_its_time() {
    on_each_database(|server| {
        let dovecot = Dovecot::start();
        dovecot.put("alice", "INBOX", &mails(0..5));
        add(&server, &dovecot, &["--into", "Collected"]);
        eventually("the mail is here", || (count(server.data()) == 5).then_some(()));
        // Again: only what is new, told apart by UIDL.
        dovecot.put("alice", "INBOX", &mails(5..7));
        run(server.data(), &["collect", "now", ALICE]).with_code(0);
        eventually("the rest is here", || (taken(&server) == Some(7)).then_some(()));
        assert_eq!((count(server.data()), dovecot.count("alice", "INBOX")), (7, 7));
        // Collected from no more, and then anew, with a time: what is known of it was forgotten with the place.
        let id = place(&server)["id"].as_str().expect("a number").to_owned();
        run(server.data(), &["collect", "remove", ALICE, &id]).with_code(0);
        run(server.data(), &["mailbox", "delete", ALICE, "Collected"]).with_code(0);
        add(&server, &dovecot, &["--delete-after", "1s"]);
        eventually("the mail is here again", || (taken(&server) == Some(7)).then_some(()));
        eventually("it is gone there", || {
            run(server.data(), &["collect", "now", ALICE]).with_code(0);
            (dovecot.count("alice", "INBOX") == 0).then_some(())
        });
        assert_eq!(count(server.data()), 7);
        run(server.data(), &["account", "audit", ALICE]).with_code(0);
    });
}

#[test]
fn a_server_that_is_killed_while_it_collects_goes_on_and_doubles_nothing() {
    let dovecot = Dovecot::start();
    dovecot.put("alice", "INBOX", &mails(0..800));
    let mut server = Process::quickstart(PROGRAM, OURS, &[]);
    add(&server, &dovecot, &["--delete-after", "0"]);
    let mut before = 0;
    for _ in 0..2 {
        eventually("mail comes", || (count(server.data()) > before).then_some(()));
        server.kill();
        assert_eq!(dovecot.count("alice", "INBOX"), 800, "nothing goes before all of a look is here");
        before = count(server.data());
        assert!(before < 800, "{before}");
        server.start_again();
        run(server.data(), &["collect", "now", ALICE]).with_code(0);
    }
    eventually("all is here", || (count(server.data()) == 800).then_some(()));
    eventually("all is gone there", || (dovecot.count("alice", "INBOX") == 0).then_some(()));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let out = folder.path().join("out");
    run(server.data(), &["export", ALICE, out.to_str().expect("plain")]).with_code(0);
    let all = crate::program::contents(&out);
    let subjects: std::collections::BTreeSet<String> = all
        .values()
        .flatten()
        .filter_map(|octets| {
            String::from_utf8_lossy(octets).lines().find(|line| line.starts_with("Subject: ")).map(str::to_owned)
        })
        .collect();
    assert_eq!((subjects.len(), all.values().map(Vec::len).sum::<usize>()), (800, 800));
    run(server.data(), &["account", "audit", ALICE]).with_code(0);
}

#[test]
fn a_wrong_password_is_told_in_the_list() {
    let dovecot = Dovecot::start();
    let server = Process::quickstart(PROGRAM, OURS, &[]);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "wrong\n").expect("a file can be written");
    add(&server, &dovecot, &["--password-file", wrong.to_str().expect("plain")]);
    let told = eventually("it is told", || {
        let row = place(&server).to_string();
        row.contains("does not let alice in").then_some(row)
    });
    assert!(!told.contains("wrong"), "{told}");
}
