//! Two servers on one PostgreSQL: while both live nobody gets a message twice, and one goes on for the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use postroad_store::{BlobPlace, Database, Settings};
use postroad_testkit::{Process, eventually, postgres};

use crate::{PASSWORD, Random, number, random_seed};

use super::look::snapshot;
use super::{AUTHORS, Promises, World, at_most, deliveries, hand_in, in_the_end, is_refused};

/// Messages handed in while both live, by each of the clients.
const MESSAGES: u64 = 150;
const CLIENTS: usize = 4;

#[test]
fn two_nodes_never_send_the_same_twice_while_both_live() {
    let seed = number("POSTROAD_CRASH_SEED").unwrap_or_else(random_seed);
    eprintln!("POSTROAD_CRASH_SEED={seed} repeats this run");
    let mut random = Random::new(seed);
    let (world, url) = (World::new(), postgres::fresh_database());
    let mut options = vec!["--accounts", "1", "--database", &url];
    options.extend(world.options());
    let start = || Process::quickstart(env!("CARGO_BIN_EXE_postroad"), PASSWORD, &options);
    let mut nodes = [start(), start()];
    let promises = Arc::new(Promises::default());
    let (tell, events) = channel();
    let clients = |random: &mut Random, life: &str, nodes: &[Process], count: u64| {
        let mut threads = Vec::new();
        for client in 0..CLIENTS {
            let place = nodes[client % nodes.len()].address(587);
            let (promises, random, tell) = (Arc::clone(&promises), random.fork(), tell.clone());
            let author = AUTHORS[client % AUTHORS.len()];
            let name = format!("{life}c{client}");
            threads.push(std::thread::spawn(move || {
                // Each server has a folder of its own for large blobs, which the other cannot see.
                let mut client =
                    hand_in::Client { author, name, large_one_in: None, promises: &promises, random, tell };
                client.connection(place, &mut 0, count)
            }));
        }
        threads
    };

    // Both live: exactly once.
    for thread in clients(&mut random, "both", &nodes, MESSAGES) {
        thread.join().expect("a client").expect("both servers live");
    }
    let wanted = |promises: &Promises| {
        let promises = promises.open();
        let recipients = promises.values().flat_map(|promise| promise.recipients.clone());
        recipients.filter(|address| !is_refused(address)).count()
    };
    let all = wanted(&promises);
    eventually("all of it", || (deliveries(&world.ledgers()).len() == all).then_some(()));
    at_most(1, &world.ledgers(), &BTreeMap::new());
    let by_node = |number: usize| {
        let metrics = nodes[number].address(8080);
        let text = postroad_testkit::run("curl", &["-sSf", &format!("http://{metrics}/metrics")], b"").good();
        text.lines().any(|line| line.starts_with("postroad_outbound_recipients_total") && !line.ends_with(" 0"))
    };
    assert!(by_node(0) && by_node(1), "both nodes have sent");

    // One is killed while it sends; the other goes on.
    let threads = clients(&mut random, "one", &nodes, MESSAGES);
    for _ in 0..MESSAGES {
        events.recv().expect("clients hand in");
    }
    nodes[0].kill();
    let killed = Instant::now();
    for thread in threads {
        // Those of the killed server were cut off.
        let _ = thread.join().expect("a client does not panic");
    }
    let settings = Settings::new(Database::Postgres(url.clone()), BlobPlace::Folder(nodes[1].data().join("blobs")));
    let dead = std::fs::read_to_string(nodes[0].data().join("node")).expect("the name of the node");
    let dead = dead.trim();
    let mut allowed = BTreeMap::new();
    for (address, _) in snapshot(&settings).claimed().filter(|(_, node)| *node == dead) {
        allowed.insert(address.clone(), 2);
    }
    eventually("an empty queue", || (snapshot(&settings).recipients() == 0).then_some(()));
    eprintln!("taken over within {:?}", killed.elapsed());
    assert!(nodes[1].stop().success());
    snapshot(&settings).agrees(2);
    at_most(2, &world.ledgers(), &allowed);
    in_the_end(&settings, &promises, &world.ledgers());
    postgres::drop_database(&url);
}
