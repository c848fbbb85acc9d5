//! A maildrop of tens of thousands of messages: what each step costs is counted in jobs, and can be timed.
#![allow(clippy::print_stdout, missing_docs)]

mod common;

use std::time::Instant;

use common::World;
use postroad_testkit::TestStore;

/// `MESSAGES=50000 cargo test --release -p postroad-pop3d --test fifty_thousand -- --nocapture` shows the times.
fn messages() -> usize {
    std::env::var("MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000)
}

fn visit(test: &TestStore) {
    let mut world = World::new(test);
    let many = messages();
    world.deliver_many("alice", many);
    let mut times = Vec::new();
    let mut step = |world: &World, what: &'static str, since: Instant, jobs: u32| {
        times.push(format!("{what} {:.1} ms, {} jobs", since.elapsed().as_secs_f64() * 1e3, world.jobs - jobs));
    };

    let (since, jobs) = (Instant::now(), world.jobs);
    let mut session = world.logged_in("alice").expect("a login");
    step(&world, "login", since, jobs);
    assert!(world.jobs - jobs <= 2 + many as u32 / 10_000 + 1, "the maildrop is read in few jobs");
    for (what, expect) in [("STAT\r\n", 1), ("LIST\r\n", many + 2), ("UIDL\r\n", many + 2)] {
        let (since, jobs) = (Instant::now(), world.jobs);
        let (back, said, _) = world.say(session, what.as_bytes());
        session = back;
        assert_eq!(said.lines().count(), expect, "{what}");
        step(&world, what.trim(), since, jobs);
    }

    let (since, jobs) = (Instant::now(), world.jobs);
    let all: String = (1..=many).map(|number| format!("RETR {number}\r\n")).collect();
    let (mut session, said, _) = world.say(session, all.as_bytes());
    assert_eq!(said.matches("+OK ").count(), many);
    step(&world, "RETR of all, pipelined", since, jobs);
    assert!(world.jobs - jobs <= many as u32 / 32 + 2, "small messages are read ahead: {}", world.jobs - jobs);

    let (since, jobs) = (Instant::now(), world.jobs);
    let half: String = (1..=many / 2).map(|number| format!("DELE {number}\r\n")).collect();
    let (back, said, _) = world.say(session, half.as_bytes());
    session = back;
    assert_eq!(said.matches("+OK ").count(), many / 2);
    step(&world, "DELE of half", since, jobs);
    let (since, jobs) = (Instant::now(), world.jobs);
    let (_, said, closed) = world.say(session, b"QUIT\r\n");
    assert!(closed && said == "+OK what was deleted is gone; goodbye\r\n", "{said}");
    step(&world, "QUIT", since, jobs);
    assert_eq!(world.jobs - jobs, 1, "one transaction");

    let (_, said, _) = {
        let session = world.logged_in("alice").expect("a login");
        world.say(session, b"STAT\r\n")
    };
    assert!(said.starts_with(&format!("+OK {} ", many - many / 2)), "{said}");
    println!("{many} messages: {}", times.join("; "));
}

#[test]
fn a_large_maildrop_on_sqlite() {
    visit(&TestStore::sqlite(&[postroad_mail::MIGRATIONS]));
}

#[test]
fn a_large_maildrop_on_postgres() {
    visit(&TestStore::postgres(&[postroad_mail::MIGRATIONS]));
}
