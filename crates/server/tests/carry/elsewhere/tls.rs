//! STARTTLS and certificates over real sockets, and somebody in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use postroad_testkit::certificates::Authority;
use postroad_testkit::{Dovecot, Process};

use super::whole::message;
use super::{OURS, migrate, mirror, proved, sum};
use crate::program::PROGRAM;

fn start() -> Process {
    Process::quickstart(PROGRAM, OURS, &[])
}

#[test]
fn certificates_are_verified_and_starttls_is_not_left_out() {
    let authority = Authority::new();
    let dovecot = Dovecot::secured(&authority.issue(&["localhost"]));
    dovecot.put("alice", "INBOX", &[("S", 1_500_000_000, message("one", "x"))]);
    let server = start();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("a file can be written");
    let ca = ca.to_str().expect("plain");
    let (after, at_once) = (dovecot.port(143), dovecot.port(993));
    for (at, port) in [("imap://alice@localhost", after), ("imaps://alice@localhost", at_once)] {
        let url = format!("{at}:{port}");
        let stranger = migrate(server.data(), &url, &["--tries", "0"]);
        assert!(stranger.json["error"].as_str().is_some_and(|why| why.contains("--ca")), "{}", stranger.json);
        stranger.with_code(1);
        proved(migrate(server.data(), &url, &["--ca", ca]));
        // The certificate is for another name.
        let other = migrate(server.data(), &url.replace("localhost", "127.0.0.1"), &["--ca", ca]);
        assert!(other.json["error"].as_str().is_some_and(|why| why.contains("127.0.0.1")), "{}", other.json);
        other.with_code(1);
        proved(mirror(server.data(), &url.replace("alice", "bob"), &["--ca", ca]));
    }
    let any = migrate(server.data(), &format!("imap://alice@localhost:{after}"), &["--insecure-any-certificate"]);
    assert!(any.err.contains("WARNING"), "{}", any.err);
    proved(any);
    // imap:// is STARTTLS or nothing.
    let clear = Dovecot::start();
    let none = migrate(server.data(), &format!("imap://alice@localhost:{}", clear.port(143)), &["--tries", "0"]);
    assert!(none.json["error"].as_str().is_some_and(|why| why.contains("no STARTTLS")), "{}", none.json);
    none.with_code(1);
    assert!(!clear.log().contains("user=<alice>"), "no password went out in clear");
}

/// Somebody in between who says things in clear, in one piece with the answer to STARTTLS, and lets TLS through.
fn between(to: u16, injected: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            std::thread::spawn(move || {
                let _ = talk(&client, to, injected);
            });
        }
    });
    port
}

fn talk(mut client: &TcpStream, to: u16, injected: &str) -> std::io::Result<()> {
    client.write_all(b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n")?;
    let mut line = String::new();
    // It says STARTTLS and then waits for the answer: nothing of TLS is in the buffer.
    BufReader::new(client).read_line(&mut line)?;
    let tag = line.split(' ').next().unwrap_or_default();
    client.write_all(format!("{tag} OK begin\r\n{injected}").as_bytes())?;
    let server = TcpStream::connect(("127.0.0.1", to))?;
    let (from, into) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || pass(from, into));
    pass(client.try_clone()?, server);
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn what_is_said_in_clear_before_tls_is_thrown_away() {
    let authority = Authority::new();
    let dovecot = Dovecot::secured(&authority.issue(&["localhost"]));
    dovecot.put("alice", "INBOX", &[("S", 1_500_000_000, message("one", "x"))]);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("a file can be written");
    let server = start();
    for (at, injected) in [
        // The answer to the command that comes next, or what would keep us from signing in, or a folder that is not there.
        "P2 OK done\r\n",
        "* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=NONE\r\nP2 OK done\r\n",
        "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nP2 OK done\r\nP3 OK you are in\r\n* LIST () \"/\" evil\r\n",
        "* PREAUTH welcome\r\n* BYE go away\r\n",
        "* LIST () {1000000}\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let url = format!("imap://alice@localhost:{}", between(dovecot.port(993), injected));
        let ca = ca.to_str().expect("plain");
        let report = proved(migrate(server.data(), &url, &["--ca", ca, "--tries", "0"]));
        assert_eq!(sum(&report, "there"), 1, "{injected:?}");
        assert_eq!(report["folders"].as_array().map(Vec::len), Some(1), "{at}: {report:#}");
    }
}
