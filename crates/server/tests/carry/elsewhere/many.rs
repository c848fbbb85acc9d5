//! A mailbox of 20,000 messages, from a real Dovecot and back, measured. Run by hand, with a program that was built to be used:
//! `POSTROAD_PROGRAM=target/release/postroad cargo test -p postroad-server --test carry -- --ignored --nocapture many`.

use std::path::Path;
use std::time::Instant;

use postroad_testkit::{Dovecot, Process, run_in};

use super::whole::message;
use super::{OURS, here, place, same, there};
use crate::program::{ALICE, PROGRAM};

const MESSAGES: u64 = 20_000;

/// Mail as people have it: most of it some kilobytes, now and then a hundred, four folders, flags and keywords.
fn fill(dovecot: &Dovecot) -> u64 {
    let mut octets = 0;
    for (at, folder) in (0..).zip(["INBOX", "Sent", "Work", "Work.Old"]) {
        let one = |number: u64| {
            let lines = if number.is_multiple_of(50) { 2_000 } else { 20 + number % 200 };
            let body: String =
                (0..lines).map(|line| format!("line {line} of message {number}, no two are alike\n")).collect();
            (
                ["", "S", "FS", "RSa"][number as usize / 4 % 4],
                1_400_000_000 + number,
                message(&format!("m{number}"), &body),
            )
        };
        let mails: Vec<_> = (0..MESSAGES).filter(|number| number % 4 == at).map(one).collect();
        octets += mails.iter().map(|mail| mail.2.len() as u64).sum::<u64>();
        dovecot.put("alice", folder, &mails);
        dovecot.keywords("alice", folder, &["$Label1"]);
    }
    octets
}

/// Runs a command that proves; says what it took, of it and of the server.
fn measured(program: &Path, server: &Process, words: &[&str]) {
    let id = server.id().expect("it runs");
    let used = || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        fields[11..13].iter().filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
    };
    let (before, begun) = (used(), Instant::now());
    let script = "import os, resource, subprocess, sys\ncode = subprocess.call(sys.argv[1:])\n\
                  used = resource.getrusage(resource.RUSAGE_CHILDREN)\n\
                  print('command: CPU %.1f s, peak %d MB' % (used.ru_utime + used.ru_stime, used.ru_maxrss // 1024))\nsys.exit(code)";
    let (program, data) = (program.display().to_string(), server.data().display().to_string());
    let password = format!("POSTROAD_REMOTE_PASSWORD={}", Dovecot::PASSWORD);
    let words = [&[&password, "python3", "-c", script, &program], words, &["--data", &data]].concat();
    let said = run_in(server.data(), "env", &words, b"").good();
    let took = begun.elapsed().as_secs_f64();
    let peak = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let peak: u64 = peak
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0);
    eprintln!("{said}wall {took:.1} s; server: CPU {:.1} s, peak {} MB\n", used() - before, peak / 1024);
    assert!(said.contains("PROVED"), "{said}");
}

#[test]
#[ignore = "minutes: 20,000 messages, there and back"]
fn twenty_thousand_messages_come_over_and_go_back() {
    let program = std::env::var("POSTROAD_PROGRAM").map_or_else(|_| PROGRAM.into(), std::path::PathBuf::from);
    let program = program.canonicalize().expect("there is a program");
    let dovecot = Dovecot::start();
    let octets = fill(&dovecot);
    eprintln!("{MESSAGES} messages, {} MB", octets / 1_000_000);
    let server = Process::quickstart(&program, OURS, &[]);
    measured(&program, &server, &["migrate", ALICE, "--from", &place("alice", &dovecot)]);
    measured(&program, &server, &["migrate", ALICE, "--from", &place("alice", &dovecot), "--prove"]);
    measured(&program, &server, &["mirror", ALICE, "--to", &place("bob", &dovecot)]);
    measured(&program, &server, &["mirror", ALICE, "--to", &place("bob", &dovecot)]);
    same(&here(server.data()), &there(&dovecot, "bob"), "back");
    same(&there(&dovecot, "alice"), &there(&dovecot, "bob"), "there and back");
}
