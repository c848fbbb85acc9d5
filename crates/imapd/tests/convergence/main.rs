//! Sessions always converge: what each client, one of them somebody else's, pieced together from untagged responses is what a fresh
//! look shows, whatever they and others did to the mailboxes before; and a client that comes back with anything that it
//! ever knew is brought up to date. Seeded, so that a failure can be repeated; it is told with the shortest list of
//! steps that shows it.
//!
//! `POSTROAD_CONVERGENCE_SEEDS=1000` runs so many seeds on each store (the nightly form), `POSTROAD_CONVERGENCE_FIRST=N`
//! begins with another one.

#[path = "../common/mod.rs"]
mod common;

mod asks;
mod at_once;
mod client;
mod dice;
mod heard;
mod outside;
mod random;
mod resync;
mod shrink;
mod truth;

use std::sync::Arc;

use client::{Checked, Client, Stage};
use common::World;
use dice::Dice;
use postroad_imapd::RecentClaims;
use postroad_testkit::TestStore;

/// Steps of one run.
const STEPS: u64 = 120;

/// Messages of a mailbox whose listing is remembered, and some.
const MANY: u32 = 60;

/// Clients of one run; the last is Bob, who may do with some of Alice's mailboxes what she lets him.
const WHO: [&str; 5] = ["alice", "alice", "alice", "alice", "bob"];

/// One run of some steps of a seed.
fn run(stage: &mut Stage, seed: u64, steps: &[u64]) -> Checked<()> {
    stage.world.settings.rev2 = true;
    let mut dice = Dice::of(seed, u64::MAX);
    // In some runs the database says who shows what as recent, as it does for several nodes.
    if dice.once_in(3) {
        stage.world.settings.recent = Arc::new(RecentClaims::of_the_database());
    }
    // In some runs Alice's mailboxes are labels: what any session does reaches others in further operations.
    if dice.once_in(4) {
        stage.world.switch_labels_on("alice");
    }
    outside::furnish(stage);
    let mut clients: Vec<Client> =
        WHO.into_iter().enumerate().map(|(number, who)| Client::new(stage, number, who)).collect();
    clients[0].command(stage, "SETACL INBOX bob lrswite", None)?;
    clients[0].command(stage, "SETACL Work bob lrswite", None)?;
    for name in ["Work/Deep", "Gr&APw-n"] {
        if dice.once_in(2) {
            clients[0].command(stage, &format!("CREATE {name}"), None)?;
        }
    }
    // And some begin with so many messages that listings of them are remembered.
    if dice.once_in(4) {
        stage.world.deliver_many("alice", "INBOX", MANY);
    }
    for _ in 0..dice.roll(16) {
        let name = dice.pick(&["INBOX", "INBOX", "Work"]);
        random::deliver(stage, name, &mut dice);
    }
    let mut states = Vec::new();
    for number in steps {
        let mut dice = Dice::of(seed, *number);
        let who = dice.roll(clients.len());
        let client = &mut clients[who];
        random::step(stage, client, &mut dice)?;
        if dice.once_in(2) {
            truth::compare(stage, client)?;
            resync::keep(stage, client, &mut dice, &mut states);
        }
        if dice.once_in(8) {
            resync::check(stage, &mut dice, &states)?;
        }
        if dice.once_in(10) {
            truth::recount(stage)?;
        }
    }
    for client in &mut clients {
        truth::compare(stage, client)?;
    }
    for _ in 0..3 {
        resync::check(stage, &mut dice, &states)?;
    }
    truth::recount(stage)
}

/// What the environment says.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

fn converge(store: fn() -> TestStore, first: u64, seeds: u64) {
    let first = number("POSTROAD_CONVERGENCE_FIRST").unwrap_or(first);
    let seeds = number("POSTROAD_CONVERGENCE_SEEDS").unwrap_or(seeds);
    for seed in first..first + seeds {
        let all: Vec<u64> = (0..STEPS).collect();
        if let Err(failure) = attempt(store, seed, &all) {
            panic!("{}", shrink::told(store, seed, all, failure));
        }
    }
}

/// What went wrong, and what was said until then.
struct Failure {
    what: String,
    trace: Vec<String>,
}

fn attempt(store: fn() -> TestStore, seed: u64, steps: &[u64]) -> Result<(), Failure> {
    let test = store();
    let mut stage = Stage::new(World::new(&test));
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mut stage, seed, steps)));
    let what = match ran {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(what)) => what,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            format!("a panic: {}", text.unwrap_or_default())
        }
    };
    Err(Failure { what, trace: stage.trace })
}

fn memory() -> TestStore {
    TestStore::memory(&[postroad_mail::MIGRATIONS])
}

fn sqlite() -> TestStore {
    TestStore::sqlite(&[postroad_mail::MIGRATIONS])
}

fn postgres() -> TestStore {
    TestStore::postgres(&[postroad_mail::MIGRATIONS])
}

#[test]
fn sessions_converge_in_memory() {
    converge(memory, 1, 36);
}

#[test]
fn sessions_converge_on_sqlite() {
    converge(sqlite, 10_001, 8);
}

#[test]
fn sessions_converge_on_postgres() {
    converge(postgres, 20_001, 6);
}
