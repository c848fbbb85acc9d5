//! Connections that break in the middle, and runs that are killed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::world::{World, access, outwards, proved, taken, wish};
use postroad_testkit::Dovecot;

/// Passes bytes on, and cuts each of the first connections after so many octets from the server.
struct Cutter {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Cutter {
    fn start(to: u16, cuts: usize, after: usize) -> Cutter {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { break };
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let limit = if number < cuts { after * (number + 1) } else { usize::MAX };
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { break };
                let (from, into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(from, into, limit));
                std::thread::spawn(move || pass(server, client, limit));
            }
        });
        Cutter { port, connections }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut left: usize) {
    let mut buffer = [0; 4096];
    while left > 0 {
        let wanted = left.min(buffer.len());
        match from.read(&mut buffer[..wanted]) {
            Ok(0) | Err(_) => break,
            Ok(read) => {
                left -= read;
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn messages(count: usize) -> Vec<(&'static str, u64, Vec<u8>)> {
    let one = |number: usize| {
        let text = format!("Subject: m{number}\r\nMessage-ID: <{number}@x.test>\r\n\r\n{}\r\n", "y".repeat(500));
        ("S", 1_500_000_000 + number as u64, text.into_bytes())
    };
    (0..count).map(one).collect()
}

#[test]
fn a_connection_that_breaks_is_made_again() {
    let dovecot = Dovecot::start();
    dovecot.put("alice", "INBOX", &messages(300));
    let cutter = Cutter::start(dovecot.port(143), 4, 30_000);
    let world = World::new();
    let report = world.migrate(&access("alice", cutter.port), &wish());
    proved(&report);
    assert_eq!((taken(&report), world.mails("INBOX").len()), (300, 300));
    let cut = report.reconnected;
    assert!(cut >= 2, "{report:?}");
    assert_eq!(cutter.connections.load(Ordering::SeqCst) as u64, cut + 1);
}

#[test]
fn a_run_that_is_killed_goes_on_where_it_stopped() {
    let dovecot = Dovecot::start();
    dovecot.put("alice", "INBOX", &messages(400));
    let world = World::new();
    let mut slow = access("alice", dovecot.port(143));
    // So that each run ends in the middle.
    slow.manners.bandwidth = Some(300_000);
    let mut broken = 0;
    for tenths in 2..40 {
        if world.migrate_for(&slow, &wish(), Duration::from_millis(tenths * 50)).is_some() {
            break;
        }
        broken += 1;
    }
    assert!(broken > 0, "no run was broken off");
    let report = world.migrate(&access("alice", dovecot.port(143)), &wish());
    proved(&report);
    assert_eq!(world.mails("INBOX").len(), 400, "nothing twice, nothing missing");
}

#[test]
fn a_mirror_whose_answers_are_lost_sends_nothing_twice() {
    let dovecot = Dovecot::start();
    dovecot.put("alice", "INBOX", &messages(120));
    let world = World::new();
    proved(&world.migrate(&access("alice", dovecot.port(143)), &wish()));
    // Octets of both ways are counted: it is cut within APPENDs.
    let cutter = Cutter::start(dovecot.port(143), 3, 25_000);
    let report = world.mirror(&access("bob", cutter.port), &outwards());
    proved(&report);
    assert!(report.reconnected >= 1, "{report:?}");
    let second = World::new();
    proved(&second.migrate(&access("bob", dovecot.port(143)), &wish()));
    assert_eq!(second.mails("INBOX").len(), 120);
}
