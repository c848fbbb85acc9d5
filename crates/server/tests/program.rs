//! The program itself: starting, stopping, being started twice, and what it says when it cannot.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Duration;

use postroad_testkit::{Process, output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");

fn postroad(arguments: &[&str]) -> Output {
    output(Command::new(PROGRAM).args(arguments), b"")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn connect(process: &Process, port: u16) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(process.address(port)).expect("it accepts");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket option");
    BufReader::new(stream)
}

fn line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("an answer in time");
    line
}

#[test]
fn a_second_server_in_the_folder_is_refused() {
    let process = Process::quickstart(PROGRAM, "pw", &[]);
    let data = process.data().display().to_string();
    let second = postroad(&["quickstart", "--data", &data, "--port-offset", "1", "--password", "pw"]);
    assert!(!second.status.success());
    assert!(said(&second).contains("a server is already running in"), "{}", said(&second));
    // The first one has noticed nothing.
    assert!(postroad(&["check", "--data", &data]).status.success());
}

#[test]
fn a_stop_tells_clients_and_what_was_made_is_there_again() {
    let mut process = Process::quickstart(PROGRAM, "pw", &[]);
    let data = process.data().display().to_string();
    let added = postroad(&["account", "add", "carol@example.test", "--password", "pw2", "--data", &data]);
    assert!(added.status.success(), "{}", said(&added));

    let (mut smtp, mut imap) = (connect(&process, 25), connect(&process, 143));
    assert!(line(&mut smtp).starts_with("220 "));
    assert!(line(&mut imap).starts_with("* OK "));
    assert!(process.stop().success(), "{}", process.printed());
    assert!(line(&mut smtp).starts_with("421 4.3.2 "));
    assert!(line(&mut imap).starts_with("* BYE "));

    // Without a running server the command acts on the store itself.
    let listed = postroad(&["account", "list", "--data", &data]);
    assert!(said(&listed).contains("carol@example.test"), "{}", said(&listed));
    process.start_again();
    let mut imap = connect(&process, 143);
    line(&mut imap);
    imap.get_mut().write_all(b"a LOGIN carol@example.test pw2\r\n").expect("it reads");
    assert!(line(&mut imap).starts_with("a OK "));
}

#[test]
fn mailboxes_are_shared_from_the_command_line() {
    let process = Process::quickstart(PROGRAM, "pw", &[]);
    let data = process.data().display().to_string();
    let run = |arguments: &[&str], good: bool| {
        let output = postroad(&[arguments, &["--data", &data]].concat());
        assert_eq!(output.status.success(), good, "{arguments:?}: {}", said(&output));
        said(&output)
    };
    run(&["account", "add", "info@example.test", "--shared"], true);
    let refused = run(&["account", "password", "info@example.test", "--password", "x"], false);
    assert!(refused.contains("a shared account has no passwords"), "{refused}");
    run(&["mailbox", "share", "info@example.test", "*", "anyone", "read"], true);
    run(&["mailbox", "share", "info@example.test", "INBOX", "bob@example.test", "+wite"], true);
    run(&["mailbox", "share", "info@example.test", "INBOX", "-bob@example.test", "s"], true);
    let shares = run(&["mailbox", "shares", "info@example.test"], true);
    for row in [["INBOX", "anyone", "lrs"], ["INBOX", "bob@example.test", "wite"], ["INBOX", "-bob@example.test", "s"]]
    {
        let there = shares.lines().any(|line| line.split_whitespace().eq(row));
        assert!(there, "{row:?} is not in {shares}");
    }
    let refused = run(&["mailbox", "share", "info@example.test", "INBOX", "bob@example.test", "lrz"], false);
    assert!(refused.contains("no right"), "{refused}");
    run(&["mailbox", "unshare", "info@example.test", "*", "-bob@example.test"], true);

    let mut imap = connect(&process, 143);
    line(&mut imap);
    let commands = b"a LOGIN bob@example.test pw\r\nb MYRIGHTS Shared/info@example.test/INBOX\r\n";
    imap.get_mut().write_all(commands).expect("it reads");
    assert!(line(&mut imap).starts_with("a OK "));
    assert_eq!(line(&mut imap), "* MYRIGHTS Shared/info@example.test/INBOX lrswited\r\n");
}

#[test]
fn mistakes_get_a_sentence_and_a_next_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let settings = folder.path().join("postroad.toml");
    std::fs::write(&settings, "hostnam = 'a'\n").expect("written");
    for (arguments, expected) in [
        (vec!["check", "--data", &data], "did you mean `hostname`?"),
        (vec!["account", "remove", "a@b.test", "--data", &data], "add --yes if you mean it"),
        (vec!["trace", "a@b.test", "--since", "5y", "--data", &data], "write 90m, 12h or 7d"),
        (vec!["check", "--settings", "/nowhere/postroad.toml"], "cannot be read"),
    ] {
        let output = postroad(&arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn settings_completion_and_manual_pages_are_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let man = folder.path().join("man").display().to_string();
    assert!(postroad(&["man", &man]).status.success());
    assert!(folder.path().join("man/postroad-quickstart.1").is_file());
    assert!(said(&postroad(&["completion", "bash"])).contains("_postroad"));
    let settings = folder.path().join("postroad.toml");
    std::fs::write(&settings, postroad(&["settings"]).stdout).expect("written");
    let data = folder.path().join("data").display().to_string();
    std::fs::create_dir(&data).expect("made");
    let place = ["--settings", &settings.display().to_string(), "--data", &data].map(str::to_string);
    let mut arguments = vec!["domain", "add", "example.org"];
    arguments.extend(place.iter().map(String::as_str));
    let added = postroad(&arguments);
    assert!(added.status.success(), "{}", said(&added));
}

/// A data folder that others may look into, and a shell without a mask: what is made is for the server's user alone.
#[test]
fn nothing_that_is_made_is_for_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let shell = ["-c", "umask 0; exec \"$0\" domain add example.test --data \"$1\"", PROGRAM];
    let made = output(Command::new("sh").args(shell).arg(&data), b"");
    assert!(made.status.success(), "{}", said(&made));
    let mut count = 0;
    let mut left = vec![data];
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(path).expect("a folder") {
            let (entry, mode) = entry
                .and_then(|entry| Ok((entry.path(), entry.metadata()?.permissions().mode())))
                .expect("it is there");
            assert_eq!(mode & 0o077, 0, "{} has {mode:o}", entry.display());
            count += 1;
            left.extend(Some(entry).filter(|entry| entry.is_dir()));
        }
    }
    assert!(count >= 2, "the database and the folder of messages");
}
