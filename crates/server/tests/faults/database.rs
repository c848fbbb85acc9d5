//! PostgreSQL restarts in mid-load.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use postroad_testkit::postgres::{Durability, Server as Postgres};

use crate::client::Client;
use crate::world::{ALICE, BOB, PASSWORD, PATIENCE, Server, message, pause};

const SENDERS: usize = 4;
/// What each sender must have had acknowledged before the stop, and again after it.
const ACKNOWLEDGED: usize = 10;
/// Temporary refusals that each sender must have heard.
const REFUSED: usize = 3;

enum Event {
    Acknowledged(String),
    Refused(String),
}

/// The senders and what they told so far.
struct Load {
    events: Receiver<(usize, Event)>,
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
    acknowledged: Vec<String>,
    refusals: HashSet<String>,
}

impl Load {
    fn start(place: SocketAddr) -> Load {
        let (tell, events) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let running = (0..SENDERS)
            .map(|sender| {
                let (tell, stop) = (tell.clone(), Arc::clone(&stop));
                std::thread::spawn(move || send(place, sender, &tell, &stop))
            })
            .collect();
        Load { events, stop, running, acknowledged: Vec::new(), refusals: HashSet::new() }
    }

    fn note(&mut self, event: Event) -> bool {
        match event {
            Event::Acknowledged(subject) => {
                self.acknowledged.push(subject);
                true
            }
            Event::Refused(reply) => {
                self.refusals.insert(reply);
                false
            }
        }
    }

    /// Waits until each sender has told so many.
    fn wait(&mut self, acknowledged: bool, count: usize) {
        let mut told = HashMap::<usize, usize>::new();
        while told.len() < SENDERS || told.values().any(|told| *told < count) {
            let (sender, event) = self.events.recv_timeout(PATIENCE).expect("the senders are answered in time");
            if self.note(event) == acknowledged {
                *told.entry(sender).or_default() += 1;
            }
        }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.running.drain(..) {
            sender.join().expect("its connection was never closed");
        }
        while let Ok((_, event)) = self.events.try_recv() {
            self.note(event);
        }
    }
}

/// Sends one message after the other on one connection, which must hold.
fn send(place: SocketAddr, sender: usize, tell: &Sender<(usize, Event)>, stop: &AtomicBool) {
    let mut smtp = Client::smtp(place);
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        // A new subject for each attempt: whether one without an answer was stored is nobody's to know.
        let subject = format!("load-{sender}-{number}");
        number += 1;
        let reply = smtp.deliver(ALICE, &message(&subject, 2_000));
        let event = match reply.starts_with("250 ") {
            true => Event::Acknowledged(subject),
            false => {
                pause();
                Event::Refused(reply)
            }
        };
        tell.send((sender, event)).expect("the test listens");
    }
}

#[test]
fn a_database_that_restarts_interrupts_and_loses_nothing() {
    // Commits must be as safe as they are said to be: the stop is as rude as a crash.
    let postgres = Postgres::start(Durability::Synced);
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::quickstart(folder.path(), &["--database", &postgres.fresh_database()]);

    let mut imap = Client::inbox(server.at(143), ALICE);
    let mut waiting = Client::inbox(server.at(143), BOB);
    waiting.say("zz IDLE");
    assert!(waiting.hear().starts_with('+'));
    let mut reader = Client::pop3(server.at(110), BOB);
    let mut load = Load::start(server.at(25));
    load.wait(true, ACKNOWLEDGED);

    postgres.stop();
    load.wait(false, REFUSED);
    let answer = imap.imap("NOOP");
    assert!(answer.tagged.starts_with("NO [UNAVAILABLE] "), "{answer:?}");
    let answer = imap.imap("CREATE Elsewhere");
    assert!(answer.tagged.starts_with("NO [UNAVAILABLE] "), "{answer:?}");
    // The second connection was not there before.
    let mut late = Client::connect(server.at(143));
    late.hear();
    let answer = late.imap(&format!("LOGIN {ALICE} \"{PASSWORD}\""));
    assert!(answer.tagged.starts_with("NO [UNAVAILABLE] "), "{answer:?}");
    let mut later = Client::connect(server.at(110));
    later.hear();
    later.line(&format!("USER {ALICE}"));
    let answer = later.line(&format!("PASS {PASSWORD}"));
    assert!(answer.starts_with("-ERR [SYS/TEMP] "), "{answer}");
    let reply = Client::smtp(server.at(25)).deliver(BOB, &message("late", 500));
    assert!(reply.starts_with("451 4.3."), "{reply}");
    server.logged(&["start the database"]);
    server.is_told_by_healthz("503");

    postgres.start_again();
    load.wait(true, ACKNOWLEDGED);
    load.end();
    for refusal in &load.refusals {
        assert!(refusal.starts_with("451 4.3."), "{refusal}");
    }

    server.is_told_by_healthz("200");
    // All connections go on.
    imap.imap("NOOP").good();
    late.imap(&format!("LOGIN {ALICE} \"{PASSWORD}\"")).good();
    assert!(reader.line("STAT").starts_with("+OK 0 "));
    let reply = Client::smtp(server.at(25)).deliver(BOB, &message("news", 500));
    assert!(reply.starts_with("250 "), "{reply}");
    while !waiting.hear().ends_with(" EXISTS") {}
    waiting.say("DONE");

    let mut there = HashMap::<String, usize>::new();
    for subject in imap.subjects() {
        *there.entry(subject).or_default() += 1;
    }
    for subject in &load.acknowledged {
        assert_eq!(there.get(subject), Some(&1), "{subject} was acknowledged");
    }
    assert!(there.values().all(|count| *count == 1), "{there:?}");
}
