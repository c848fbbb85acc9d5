//! The disk is full, or cannot be written.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::Client;
use crate::world::{ALICE, Server, complaint_of_a_start, eventually, message, program};

/// Below and above what lies in the database.
const SMALL: usize = 50_000;
const LARGE: usize = 2 * postroad_store::BLOB_INLINE_MAX + 40_000;
/// Small messages that still find room in what the database has taken already.
const STILL_FITTING: usize = 500;

/// A mounted place that goes with the test.
struct Mounted(PathBuf);

impl Mounted {
    /// A small file system in memory; `None` when the tests may not mount.
    fn tmpfs(path: &Path, size: &str) -> Option<Mounted> {
        mounted(path, &["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs", &shown(path)])
    }

    /// A folder seen through a mount of its own; `None` when the tests may not mount.
    fn over_itself(path: &Path) -> Option<Mounted> {
        mounted(path, &["--bind", &shown(path), &shown(path)])
    }

    fn remount(&self, options: &str) {
        program("mount", &["-o", &format!("remount,{options}"), &shown(&self.0)]);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What still has files open here ends a moment later.
        let _ = Command::new("umount").args(["--lazy"]).arg(&self.0).status();
    }
}

/// Root in a container often may not, others never.
fn mounted(path: &Path, arguments: &[&str]) -> Option<Mounted> {
    let output = Command::new("mount").args(arguments).output().expect("mount is installed");
    output.status.success().then(|| Mounted(path.to_owned()))
}

/// Lets a place be written, or not: by its mount where it has one, else by its permissions.
fn set_writable(place: Option<&Mounted>, path: &Path, how: &str, writable: bool) {
    match place {
        Some(place) => place.remount(&format!("{how}{}", if writable { "rw" } else { "ro" })),
        None => {
            program("chmod", &["-R", if writable { "u+w" } else { "u-w" }, &shown(path)]);
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Takes all room that is left.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).expect("there is room for nothing at least");
    for piece in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![7; piece]).is_ok() {}
    }
}

/// What was acknowledged, over both ways in.
struct Sent {
    smtp: Client,
    imap: Client,
    subjects: Vec<String>,
}

impl Sent {
    fn start(server: &Server) -> Sent {
        Sent { smtp: Client::smtp(server.at(25)), imap: Client::inbox(server.at(143), ALICE), subjects: Vec::new() }
    }

    fn subject(&self, way: &str) -> String {
        format!("{way}-{}", self.subjects.len())
    }

    fn deliver(&mut self, size: usize) -> String {
        let subject = self.subject("smtp");
        let reply = self.smtp.deliver(ALICE, &message(&subject, size));
        if reply.starts_with("250 ") {
            self.subjects.push(subject);
        }
        reply
    }

    fn append(&mut self, size: usize) -> String {
        let subject = self.subject("imap");
        let answer = self.imap.append(&message(&subject, size));
        if answer.tagged.starts_with("OK") {
            self.subjects.push(subject);
        }
        answer.tagged
    }

    /// Both ways and both sizes work.
    fn all_work(&mut self) {
        for size in [SMALL, LARGE] {
            let reply = self.deliver(size);
            assert!(reply.starts_with("250 "), "{reply}");
            let answer = self.append(size);
            assert!(answer.starts_with("OK [APPENDUID "), "{answer}");
        }
    }

    /// Everything acknowledged is there once, and nothing else.
    fn all_there(&mut self) {
        let mut there = self.imap.subjects();
        there.sort();
        let mut expected = self.subjects.clone();
        expected.sort();
        assert_eq!(there, expected);
    }
}

/// Reading goes on, for who is there and who comes.
fn reading_works(server: &Server, sent: &mut Sent) {
    sent.all_there();
    let mut late = Client::inbox(server.at(143), ALICE);
    for uid in 1..=4 {
        let lines = late.imap(&format!("UID FETCH {uid} BODY.PEEK[]")).good();
        assert!(lines.iter().any(|line| line == "The end."), "{uid}");
    }
    let mut reader = Client::pop3(server.at(110), ALICE);
    assert!(reader.line("RETR 1").starts_with("+OK"));
}

/// No half-written message stays behind.
fn nothing_abandoned(data: &Path) {
    let arriving = data.join("blobs/tmp");
    eventually("an empty folder of arriving messages", || {
        fs::read_dir(&arriving).is_ok_and(|mut entries| entries.next().is_none())
    });
}

#[test]
fn a_full_disk_is_said_and_room_is_taken_again() {
    let folder = tempfile::tempdir().expect("a folder");
    // Without a mount the largest file is limited, which fails the same calls.
    let place = Mounted::tmpfs(folder.path(), "24m");
    let data = folder.path().join("data");
    let ballast = folder.path().join("ballast");
    let server = Server::that_may_be_denied(&data);
    let mut sent = Sent::start(&server);
    sent.all_work();

    match place {
        Some(_) => fill(&ballast),
        None => server.largest_file("0"),
    }
    let reply = sent.deliver(LARGE);
    assert!(reply.starts_with("452 4.3.1 "), "{reply}");
    let answer = sent.append(LARGE);
    assert!(answer.starts_with("NO [UNAVAILABLE] "), "{answer}");
    let refused = (0..STILL_FITTING).map(|_| sent.deliver(SMALL)).find(|reply| !reply.starts_with("250 "));
    let refused = refused.expect("the database has no room either");
    assert!(refused.starts_with(if place.is_some() { "452 4.3.1 " } else { "451 4.3.0 " }), "{refused}");
    let answer = sent.append(SMALL);
    assert!(answer.starts_with("NO [UNAVAILABLE] "), "{answer}");
    let answer = sent.imap.imap("UID STORE 1 +FLAGS (kept)");
    assert!(answer.tagged.starts_with("NO [UNAVAILABLE] "), "{answer:?}");
    reading_works(&server, &mut sent);
    nothing_abandoned(&data);
    server.logged(&["taking a message failed", "free space"]);
    server.logged(&["delivering a message failed", if place.is_some() { "free space" } else { "check the disk" }]);
    server.logged(&["listener=\"imap\"", "imap: no room", "free space"]);

    match place {
        Some(_) => fs::remove_file(&ballast).expect("it is ours"),
        None => server.largest_file("unlimited"),
    }
    sent.all_work();
    sent.imap.imap("UID STORE 1 +FLAGS (kept)").good();
    sent.all_there();
    run_audit(&data);
    drop(server);
}

#[test]
fn a_disk_that_cannot_be_written_is_still_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::that_may_be_denied(&data);
    let mut sent = Sent::start(&server);
    sent.all_work();

    // The system makes no disk read-only while files on it are open for writing; a failing disk does it by itself.
    // Here every write of the program fails instead.
    server.largest_file("0");
    let reply = sent.deliver(SMALL);
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    let answer = sent.append(SMALL);
    assert!(answer.starts_with("NO [UNAVAILABLE] "), "{answer}");
    for command in ["CREATE Elsewhere", "UID STORE 1 +FLAGS (kept)", "UID COPY 1 Archive", "UID MOVE 1 Archive"] {
        let answer = sent.imap.imap(command);
        assert!(answer.tagged.starts_with("NO [UNAVAILABLE] "), "{command}: {answer:?}");
    }
    // POP3 deletes at QUIT, and says that it could not.
    let mut reader = Client::pop3(server.at(110), ALICE);
    assert!(reader.line("DELE 1").starts_with("+OK"));
    let answer = reader.line("QUIT");
    assert!(answer.starts_with("-ERR [SYS/TEMP] "), "{answer}");
    reading_works(&server, &mut sent);
    server.logged(&["delivering a message failed", "check the disk"]);
    server.is_told_by_healthz("503");

    server.largest_file("unlimited");
    server.is_told_by_healthz("200");
    sent.all_work();
    sent.imap.imap("CREATE Elsewhere").good();
    sent.all_there();
    run_audit(&data);
}

#[test]
fn a_read_only_folder_of_large_messages_takes_small_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::that_may_be_denied(&data);
    let mut sent = Sent::start(&server);
    sent.all_work();

    let blobs = data.join("blobs");
    let place = Mounted::over_itself(&blobs);
    let set = |writable| set_writable(place.as_ref(), &blobs, "bind,", writable);
    set(false);
    let reply = sent.deliver(LARGE);
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    let answer = sent.append(LARGE);
    assert!(answer.starts_with("NO [UNAVAILABLE] "), "{answer}");
    server.logged(&["taking a message failed", "make the data folder writable"]);
    let reply = sent.deliver(SMALL);
    assert!(reply.starts_with("250 "), "{reply}");
    reading_works(&server, &mut sent);

    set(true);
    sent.all_work();
    sent.all_there();
    drop(server);
}

#[test]
fn a_start_on_a_read_only_disk_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Mounted::tmpfs(folder.path(), "24m");
    let data = folder.path().join("data");
    let mut server = Server::that_may_be_denied(&data);
    let mut sent = Sent::start(&server);
    sent.all_work();
    assert!(server.process.stop().success());

    let set = |writable| set_writable(place.as_ref(), &data, "", writable);
    set(false);
    let complaint = complaint_of_a_start(&data);
    assert!(complaint.starts_with("error: ") && complaint.contains(&shown(&data)), "{complaint}");
    assert!(complaint.contains("make the data folder writable"), "{complaint}");

    set(true);
    server.process.start_again();
    let mut again = Sent { subjects: sent.subjects, ..Sent::start(&server) };
    again.all_work();
    again.all_there();
    drop(server);
}

/// The kept counters equal a recount.
fn run_audit(data: &Path) {
    crate::world::run(&["account", "audit", "--data", &shown(data)]);
}
