//! The same at the same time: each client on a thread of its own.

use std::sync::Arc;

use postroad_imapd::RecentClaims;
use postroad_testkit::TestStore;

use crate::client::{Client, Stage};
use crate::common::World;
use crate::dice::Dice;
use crate::{WHO, memory, number, outside, postgres, random, sqlite, truth};

/// `POSTROAD_CONVERGENCE_SEEDS` and `POSTROAD_CONVERGENCE_FIRST` say which, as for one after the other.
fn converge_at_once(test: &TestStore, seeds: std::ops::Range<u64>, steps: u64) {
    let mut world = World::new(test);
    world.settings.rev2 = true;
    let first = number("POSTROAD_CONVERGENCE_FIRST").unwrap_or(seeds.start);
    let count = number("POSTROAD_CONVERGENCE_SEEDS").unwrap_or(seeds.end - seeds.start);
    for seed in first..first + count {
        world = one_run(world, seed, steps);
    }
}

fn one_run(mut world: World, seed: u64, steps: u64) -> World {
    world.settings.recent = Arc::new(match seed % 2 {
        0 => RecentClaims::of_the_database(),
        _ => RecentClaims::of_this_process(),
    });
    let mut stage = Stage::new(world);
    let recent = Arc::clone(&stage.recent);
    outside::furnish(&mut stage);
    let mut clients: Vec<Client> =
        WHO.into_iter().enumerate().map(|(number, who)| Client::new(&mut stage, number, who)).collect();
    for command in ["SETACL INBOX bob lrswite", "SETACL Work bob lrswite"] {
        clients[0].command(&mut stage, command, None).expect("rights are given");
    }
    let threads: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let mut stage = Stage::new(stage.world.share());
            stage.alone = false;
            stage.recent = Arc::clone(&recent);
            std::thread::spawn(move || {
                for step in 0..steps {
                    let mut dice = Dice::of(seed, step * 10 + client.number as u64);
                    if let Err(error) = random::step(&mut stage, &mut client, &mut dice) {
                        panic!("seed {seed}: {error}\n{}", stage.trace.join("\n"));
                    }
                }
                (client, stage.trace)
            })
        })
        .collect();
    let clients: Vec<(Client, Vec<String>)> =
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    for (mut client, trace) in clients {
        stage.trace = trace;
        truth::compare(&mut stage, &mut client)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", stage.trace.join("\n")));
    }
    truth::recount(&stage).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    stage.world
}

#[test]
fn sessions_at_once_converge_in_memory() {
    converge_at_once(&memory(), 1..6, 40);
}

#[test]
fn sessions_at_once_converge_on_sqlite() {
    converge_at_once(&sqlite(), 10..14, 30);
}

#[test]
fn sessions_at_once_converge_on_postgres() {
    converge_at_once(&postgres(), 20..24, 30);
}
