//! What a delivery costs: pages that go through SQLite's log, and what finds its rows by which index.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{World, by, mail};
use postroad_mail::MailboxId;
use postroad_mail::deliver::{self, Filing};
use postroad_store::{Locks, Timestamp, TraceId, new_id, params, trace};
use postroad_testkit::TestStore;

/// Pages in the log, after a commit.
fn pages(test: &TestStore) -> u64 {
    let log = test.folder().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let log = log.into_iter().find(|path| path.to_string_lossy().ends_with("-wal")).unwrap();
    let (head, frame) = (32, 24 + 4096);
    (log.metadata().unwrap().len() - head) / frame
}

/// A message of some 10 KB that does not shrink, with its story, in a commit of its own.
fn deliver(world: &World, number: usize) {
    let noise: String = (0..7_500u64).map(|n| char::from(b'0' + (blake(n, number) % 75) as u8)).collect();
    let arrival = world.arrival(&format!("{}{noise}\r\n", mail(number)));
    let alice = world.alice;
    world
        .write(move |tx| {
            let id = TraceId(new_id());
            let filing = Filing { trace: Some(id), ..Filing::default() };
            deliver::append(tx, &by(), alice, MailboxId::INBOX, &arrival, &filing)?;
            let event = |kind| (Timestamp(1_790_000_000_000_000), trace::TraceEvent { kind, detail: "words" });
            let from = format!("sender{number}@example.test");
            let keys = ["alice@example.test", &from, &format!("{number}@example.test")];
            tx.trace_all(id, &[event("connect"), event("accepted"), event("filed")], &keys)?;
            Ok(())
        })
        .unwrap();
}

/// Numbers without an order.
fn blake(n: u64, seed: usize) -> u64 {
    let mut mixed = n.wrapping_add(seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

#[test]
fn a_delivery_touches_few_pages() {
    let test = TestStore::sqlite(&[postroad_mail::MIGRATIONS]);
    let world = World::new(&test);
    // The log grows and grows, and so can be counted.
    let quiet = |tx: &mut postroad_store::WriteTx| tx.rows("PRAGMA wal_autocheckpoint=0", params![], |row| row.int(0));
    test.store.write_blocking(Locks::none(), quiet).unwrap();
    for number in 0..150 {
        deliver(&world, number);
    }
    let before = pages(&test);
    const DELIVERIES: u64 = 50;
    for number in 0..DELIVERIES {
        deliver(&world, 1000 + number as usize);
    }
    let each = (pages(&test) - before) as f64 / DELIVERIES as f64;
    assert!(each < PAGES_MAX, "{each} pages for each delivery");
    world.audit();
}

/// Three of them are the body's.
const PAGES_MAX: f64 = 22.5;
