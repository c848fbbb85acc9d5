//! The whole way over and back.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use postroad_testkit::run::PATIENCE;
use postroad_testkit::{Dovecot, Process, StopAtEnd, eventually};

use super::{here, migrate, mirror, place, proved, same, sum, there};
use crate::program::{ALICE, on_each_database, run};

pub(super) fn message(subject: &str, body: &str) -> Vec<u8> {
    let head = "From: a@there.test\nTo: alice@there.test\nDate: Mon, 7 Feb 2022 21:52:25 -0800\n";
    format!("{head}Subject: {subject}\nMessage-ID: <{subject}@there.test>\n\n{body}\n").into_bytes()
}

/// Dovecot's files have LF; letters `a` are the keyword of each folder.
fn fill(dovecot: &Dovecot) {
    let large = "0123456789abcdef 0123456789abcdef 0123456789abcdef\n".repeat(60_000);
    let odd = [
        ("S", message("seen", "plain")),
        ("FRS", message("flagged-answered", "plain")),
        ("D", message("draft", "plain")),
        ("T", message("deleted", "plain")),
        ("Sa", message("keyword", "plain")),
        ("", message("new", "plain")),
        ("", message("same", "twice")),
        ("", message("same", "twice")),
        ("", message("8bit", "\u{fc}\u{20ac}")),
        ("", message("braces", "{5}\n* OK [ALERT] no\n)\nP1 OK done")),
        ("F", message("dots", ".\n..\n.x")),
        ("", b"no header at all".to_vec()),
        ("", message("large", &large)),
        ("S", message("latin", "x").into_iter().chain(*b"\xe9\xff\xfe\n").collect()),
    ];
    let dated: Vec<_> = (1_500_000_000..).zip(odd).map(|(at, (flags, octets))| (flags, at, octets)).collect();
    let many: Vec<_> = (1_400_000_000..1_400_000_250)
        .map(|at| {
            (["", "S", "FS", "Sa"][at as usize % 4], at, message(&format!("m{at}"), &"text\n".repeat(at as usize % 90)))
        })
        .collect();
    for (folder, mails) in [("INBOX", &dated), ("Sent", &many), ("Work", &many), ("Work.Entw&APw-rfe", &many)] {
        dovecot.put("alice", folder, mails);
        dovecot.keywords("alice", folder, &["$Label1"]);
    }
}

/// Delivers mail to alice by LMTP until it is told to stop.
fn deliver(to: SocketAddr, stop: &AtomicBool, delivered: &AtomicUsize) {
    while !stop.load(Ordering::SeqCst) {
        deliver_some(to, stop, delivered);
    }
}

/// As much as one connection may bring at least, each message when the one before it was taken.
fn deliver_some(to: SocketAddr, stop: &AtomicBool, delivered: &AtomicUsize) {
    let socket = TcpStream::connect(to).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    let mut lines = BufReader::new(socket.try_clone().expect("a socket")).lines();
    let mut heard = |what: &str| {
        loop {
            let line = lines.next().expect("it answers").expect("it answers");
            if line.as_bytes().get(3) != Some(&b'-') {
                assert!(line.starts_with(['2', '3']), "{what}: {line}");
                return;
            }
        }
    };
    heard("the greeting");
    let mut say = |words: &str| {
        (&socket).write_all(format!("{words}\r\n").as_bytes()).expect("it reads");
        heard(words);
    };
    say("LHLO sender.test");
    for _ in 0..100 {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let number = delivered.load(Ordering::SeqCst);
        say("MAIL FROM:<a@sender.test>");
        say(&format!("RCPT TO:<{ALICE}>"));
        say("DATA");
        say(&format!("From: a@sender.test\r\nSubject: meanwhile\r\nMessage-ID: <{number}@sender.test>\r\n\r\nx\r\n."));
        delivered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Works while mail comes in; how much came.
fn while_delivering<R>(server: &Process, work: impl FnOnce() -> R) -> (R, usize) {
    let (stop, delivered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let port = server.address(24);
    let done = std::thread::scope(|scope| {
        let _at_end = StopAtEnd(&stop);
        scope.spawn(|| deliver(port, &stop, &delivered));
        eventually("mail comes in", || (delivered.load(Ordering::SeqCst) > 0).then_some(()));
        work()
    });
    (done, delivered.load(Ordering::SeqCst))
}

#[test]
fn an_account_comes_over_while_mail_comes_in_and_goes_back_as_it_was() {
    on_each_database(|mut server| {
        let dovecot = Dovecot::start();
        fill(&dovecot);
        let all = 14 + 3 * 250;
        let data = server.data().to_owned();
        let alice = place("alice", &dovecot);

        let looked = migrate(&data, &alice, &["--dry-run"]).with_code(0);
        assert_eq!(sum(&looked, "taken"), all, "{looked:#}");
        assert!(here(&data).is_empty(), "a dry run writes nothing");

        let (report, meanwhile) = while_delivering(&server, || proved(migrate(&data, &alice, &["--prove"])));
        assert_eq!((sum(&report, "taken"), sum(&report, "equal"), sum(&report, "fetched-again")), (all, all, all));
        assert!(meanwhile > 1, "{meanwhile}");
        // What came in meanwhile is here too, once each; without it, all is what it is there.
        let mut ours = here(&data);
        let before: usize = ours.values().map(Vec::len).sum();
        ours.values_mut()
            .for_each(|all| all.retain(|octets| !String::from_utf8_lossy(octets).contains("@sender.test")));
        ours.retain(|_, all| !all.is_empty());
        assert_eq!(before - ours.values().map(Vec::len).sum::<usize>(), meanwhile);
        same(&ours, &there(&dovecot, "alice"), "after the first run");

        // Incremental until the cut: new mail, other flags, what went.
        assert_eq!(sum(&proved(migrate(&data, &alice, &[])), "taken"), 0, "nothing comes twice");
        dovecot.put("alice", "Work", &[("S", 1_600_000_000, message("later", "x"))]);
        dovecot.flag("alice", "INBOX", "<seen@there.test>", "FSa");
        dovecot.remove("alice", "INBOX", "<new@there.test>");
        let third = proved(migrate(&data, &alice, &[]));
        assert_eq!((sum(&third, "taken"), sum(&third, "flags"), sum(&third, "gone")), (1, 1, 1), "{third:#}");
        assert_eq!(sum(&proved(migrate(&data, &alice, &["--cut-over"])), "taken"), 0);
        dovecot.remove("alice", "Work", "<later@there.test>");
        dovecot.flag("alice", "INBOX", "<draft@there.test>", "DF");
        dovecot.put("alice", "INBOX", &[("", 1_600_000_001, message("last", "x"))]);
        let after = migrate(&data, &alice, &[]).with_code(0);
        assert_eq!((sum(&after, "taken"), sum(&after, "flags")), (1, 0), "only what is new: {after:#}");
        let here_now = here(&data);
        let flat = |of: &super::Contents| {
            of.values().flatten().map(|octets| String::from_utf8_lossy(octets).into_owned()).collect::<String>()
        };
        assert!(flat(&here_now).contains("<later@there.test>") && flat(&here_now).contains("<last@there.test>"));

        // Back, into an account that has nothing, while mail comes in; then what came in meanwhile.
        let bob = place("bob", &dovecot);
        let (report, _) = while_delivering(&server, || proved(mirror(&data, &bob, &[])));
        assert!(sum(&report, "taken") > all);
        // The second half without a server.
        assert!(server.stop().success());
        proved(mirror(&data, &bob, &[]));
        same(&here(&data), &there(&dovecot, "bob"), "after the way back");
        assert_eq!(sum(&proved(mirror(&data, &bob, &[])), "taken"), 0, "nothing goes twice");
        let again = proved(migrate(&data, &alice, &[]));
        assert_eq!(sum(&again, "taken"), 0, "{again:#}");
        run(&data, &["account", "audit", ALICE]).with_code(0);
    });
}
