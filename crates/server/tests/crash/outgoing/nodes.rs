//! Two servers on one PostgreSQL: while both live nobody gets a message twice, and one goes on for the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use postroad_store::{BlobPlace, Database, Settings};
use postroad_testkit::remote::{Deed, Manner, Phase};
use postroad_testkit::{Process, Remote, eventually, postgres, run};

use crate::{PASSWORD, PATIENCE, Random, number, random_seed};

use super::look::snapshot;
use super::{AUTHORS, Promise, Promises, World, at_most, deliveries, hand_in, in_the_end, is_refused};

/// Messages handed in by each of the clients.
const MESSAGES: u64 = 150;
const CLIENTS: usize = 4;
/// What is being sent, for certain, when the server dies.
const STALLED: usize = 5;
/// Seconds instead of minutes.
const LEASE: &str = "lease-seconds = 10";

#[test]
fn two_nodes_never_send_the_same_twice_while_both_live() {
    let seed = number("POSTROAD_CRASH_SEED").unwrap_or_else(random_seed);
    eprintln!("POSTROAD_CRASH_SEED={seed} repeats this run");
    let mut random = Random::new(seed);
    let (world, url) = (World::new(), postgres::fresh_database());
    let mut options = vec!["--accounts", "1", "--database", &url];
    options.extend(world.options());
    let mut nodes = [node(&options), node(&options)];
    let promises = Arc::new(Promises::default());
    let (tell, events) = channel();

    // Both live: exactly once, and both do it.
    for round in 0..ROUNDS {
        for thread in clients(&mut random, &format!("both{round}"), &nodes, &promises, &tell) {
            thread.join().expect("a client does not panic").expect("both servers live");
        }
        // On a busy machine one of them may have been quicker every time.
        if nodes.iter().all(has_sent) {
            break;
        }
    }
    let usual =
        promises.open().values().flat_map(|promise| promise.recipients.clone()).filter(|to| !is_refused(to)).count();
    eventually("all of it", || (deliveries(&world.ledgers()).len() == usual).then_some(()));
    at_most(1, &world.ledgers(), &BTreeMap::new());
    assert!(nodes.iter().all(has_sent), "both nodes have sent");

    // One has attempts open, for certain, when it is killed under load; the other goes on.
    assert!(nodes[1].stop().success());
    let slow = world.slow(Manner::of(Phase::End, Deed::TakeAndStall));
    stall(&nodes[0], &slow, &promises);
    nodes[1].start_again();
    while events.try_recv().is_ok() {}
    let threads = clients(&mut random, "one", &nodes, &promises, &tell);
    for _ in 0..MESSAGES {
        events.recv_timeout(PATIENCE).expect("clients hand in");
    }
    nodes[0].kill();
    let killed = Instant::now();
    slow.behave(Manner::default());
    for thread in threads {
        // Those of the killed server were cut off.
        let _ = thread.join().expect("a client does not panic");
    }
    let settings = Settings::new(Database::Postgres(url.clone()), BlobPlace::Folder(nodes[1].data().join("blobs")));
    let dead = std::fs::read_to_string(nodes[0].data().join("node")).expect("the name of the node");
    let cut_off = snapshot(&settings);
    let allowed: BTreeMap<String, usize> =
        cut_off.claimed().filter(|(_, node)| *node == dead.trim()).map(|(address, _)| (address.clone(), 2)).collect();
    assert!(allowed.len() >= STALLED, "the kill met open attempts: {allowed:?}");
    eventually("an empty queue", || (snapshot(&settings).recipients() == 0).then_some(()));
    eprintln!("{} attempts cut off, all sent within {:?}", allowed.len(), killed.elapsed());
    assert!(nodes[1].stop().success());
    snapshot(&settings).agrees(2);
    let mut ledgers = world.ledgers();
    ledgers.push(slow.ledger());
    at_most(2, &ledgers, &allowed);
    in_the_end(&settings, &promises, &ledgers);
    let again = deliveries(&ledgers).values().filter(|times| times.len() == 2).count();
    assert!(again >= STALLED, "what was taken and not answered is sent again");
    postgres::drop_database(&url);
}

/// So often mail is handed in until both nodes have sent some of it.
const ROUNDS: usize = 5;

/// A server with a short lease.
fn node(options: &[&str]) -> Process {
    let mut process = Process::quickstart(env!("CARGO_BIN_EXE_postroad"), PASSWORD, options);
    assert!(process.stop().success());
    let file = process.data().join("postroad.toml");
    let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
    let short = text.replace("lease-seconds = 120", LEASE);
    assert_ne!(short, text, "the setting is there");
    std::fs::write(&file, short).expect("it can be written");
    process.start_again();
    process
}

type Client = JoinHandle<std::io::Result<()>>;

/// Clients that hand in at both nodes.
fn clients(
    random: &mut Random,
    life: &str,
    nodes: &[Process],
    promises: &Arc<Promises>,
    tell: &Sender<()>,
) -> Vec<Client> {
    let start = |client: usize| {
        let place = nodes[client % nodes.len()].address(587);
        let (promises, random, tell) = (Arc::clone(promises), random.fork(), tell.clone());
        let (author, name) = (AUTHORS[client % AUTHORS.len()], format!("{life}c{client}"));
        std::thread::spawn(move || {
            // Each server has a folder of its own for large blobs, which the other cannot see.
            let mut client = hand_in::Client { author, name, large_one_in: None, promises: &promises, random, tell };
            client.connection(place, &mut 0, MESSAGES)
        })
    };
    (0..CLIENTS).map(start).collect()
}

/// Hands in what the slow server takes and does not answer, and waits until it has it.
fn stall(node: &Process, slow: &Remote, promises: &Promises) {
    for number in 0..STALLED {
        let (id, to) = (format!("stalled{number}@crash.test"), format!("stalled{number}@slow.test"));
        let body = 100;
        let promise = Promise { author: AUTHORS[0], recipients: vec![to.clone()], body, acknowledged: true };
        promises.open().insert(id.clone(), promise);
        let text = format!(
            "From: {0}\nMessage-ID: <{id}>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nSubject: {id}\n\n{1}",
            AUTHORS[0],
            crate::ledger::body(&id, body).replace("\r\n", "\n").trim_end()
        );
        let place = node.address(587).to_string();
        let login = ["--auth-user", AUTHORS[0], "--auth-password", PASSWORD, "--from", AUTHORS[0]];
        let message = ["--server", &place, "--to", &to, "--data", "-"];
        run("swaks", &[&login[..], &message].concat(), text.as_bytes()).good();
    }
    eventually("the slow server's mail", || (slow.ledger().received.len() == STALLED).then_some(()));
}

/// Whether this node has reached somebody, by its own count.
fn has_sent(node: &Process) -> bool {
    let place = format!("http://{}/metrics", node.address(8080));
    let text = run("curl", &["-sSf", &place], b"").good();
    text.lines().any(|line| line.starts_with("postroad_outbound_recipients_total") && !line.ends_with(" 0"))
}
