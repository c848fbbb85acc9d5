//! SIGKILL in the middle: of the command, of the server that it works with, of the other server.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use postroad_testkit::{Dovecot, Lines, ended, lines};

use super::whole::message;
use super::{here, migrate, mirror, place, proved, same, sum, there};
use crate::program::{ALICE, command, on_each_database, run};

const MESSAGES: u64 = 2_500;

fn fill(dovecot: &Dovecot) {
    let mails = |folder: u64| -> Vec<(&'static str, u64, Vec<u8>)> {
        let all = (0..MESSAGES).filter(|number| number % 2 == folder);
        let one = |number: u64| {
            let body = "yes and no\n".repeat(number as usize % 200);
            (
                ["", "S", "FS", "RS"][number as usize / 2 % 4],
                1_400_000_000 + number,
                message(&format!("m{number}"), &body),
            )
        };
        all.map(one).collect()
    };
    dovecot.put("alice", "INBOX", &mails(0));
    dovecot.put("alice", "Work.Old", &mails(1));
}

/// A run that says how far it is.
struct Run {
    child: Child,
    lines: Lines,
    said: Vec<String>,
}

fn begin(data: &Path, words: &[&str]) -> Run {
    let mut command: Command = command(data, words);
    command.args(["--progress-every", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let stderr = child.stderr.take().expect("it is piped");
    Run { child, lines: lines(stderr), said: Vec::new() }
}

/// A run that is killed as soon as it has dealt with so many messages.
fn killed_at(data: &Path, words: &[&str], messages: u64) {
    let mut run = begin(data, words);
    run.reaches(messages);
    run.kill();
}

impl Run {
    /// Reads on until so many messages were dealt with in this run.
    fn reaches(&mut self, messages: u64) {
        loop {
            let line = self.lines.next();
            let line = line.unwrap_or_else(|| panic!("it ended before {messages}: {:#?}", self.said));
            let done = line.split(" of ").next().and_then(|text| text.replace(',', "").parse::<u64>().ok());
            self.said.push(line);
            if done.is_some_and(|done| done >= messages) {
                return;
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        let status = ended(&mut self.child, "what was killed");
        assert!(!status.success(), "it ended before it was killed: {:#?}", self.said);
    }

    /// Reads on to its end.
    fn code(mut self) -> (Option<i32>, Vec<String>) {
        self.said.extend(self.lines.by_ref());
        (ended(&mut self.child, "a run").code(), self.said)
    }
}

#[test]
fn runs_that_are_killed_go_on_lose_nothing_and_double_nothing() {
    on_each_database(|mut server| {
        let mut dovecot = Dovecot::start();
        fill(&dovecot);
        let data = server.data().to_owned();
        let (alice, bob) = (place("alice", &dovecot), place("bob", &dovecot));

        // The command, at its beginning and later.
        let inwards = ["migrate", ALICE, "--from", &alice];
        for reached in [1, 600] {
            killed_at(&data, &inwards, reached);
        }
        // The server that it works with: the command says so.
        let mut under_way = begin(&data, &inwards);
        under_way.reaches(200);
        server.kill();
        let (code, said) = under_way.code();
        assert_eq!(code, Some(1), "{said:#?}");
        assert!(said.iter().any(|line| line.contains("run the same command again")), "{said:#?}");
        // The command that is both.
        killed_at(&data, &inwards, 150);
        server.start_again();
        // The other server's processes, and all of it: the run goes on by itself.
        let mut under_way = begin(&data, &inwards);
        under_way.reaches(100);
        dovecot.break_connections();
        under_way.reaches(250);
        dovecot.kill();
        dovecot.start_again();
        let (code, said) = under_way.code();
        assert_eq!(code, Some(0), "{said:#?}");
        assert!(said.iter().any(|line| line.contains("going on in")), "{said:#?}");
        let report = proved(migrate(&data, &alice, &["--prove"]));
        assert_eq!((sum(&report, "there"), sum(&report, "taken"), sum(&report, "equal")), (MESSAGES, 0, MESSAGES));
        same(&here(&data), &there(&dovecot, "alice"), "inwards");

        // And back.
        let outwards = ["mirror", ALICE, "--to", &bob];
        for reached in [1, 700] {
            killed_at(&data, &outwards, reached);
        }
        let mut under_way = begin(&data, &outwards);
        under_way.reaches(1_000);
        server.kill();
        let (code, said) = under_way.code();
        assert_eq!(code, Some(1), "{said:#?}");
        killed_at(&data, &outwards, 1_200);
        server.start_again();
        let mut under_way = begin(&data, &outwards);
        under_way.reaches(1_500);
        dovecot.break_connections();
        under_way.reaches(2_000);
        dovecot.kill();
        dovecot.start_again();
        let (code, said) = under_way.code();
        assert_eq!(code, Some(0), "{said:#?}");
        let report = proved(mirror(&data, &bob, &[]));
        assert_eq!((sum(&report, "taken"), sum(&report, "equal")), (0, MESSAGES), "{report:#}");
        same(&there(&dovecot, "bob"), &there(&dovecot, "alice"), "outwards");
        run(&data, &["account", "audit", ALICE]).with_code(0);
    });
}
