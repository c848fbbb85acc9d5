//! INPROGRESS (RFC 9585): a command of many jobs says how far it is.

mod common;

use common::World;
use postroad_testkit::TestStore;

/// Each message nearly fills what a job says; each job takes a second by the clock of the tests.
const MESSAGES: u32 = 25;

fn told(world: &mut World, command: &str) -> Vec<String> {
    let session = world.logged_in("alice");
    let (_, said) = world.say(session, format!("s SELECT INBOX\r\n{command}\r\n").as_bytes());
    assert!(said.contains("a1 OK"), "{command} fails");
    let all = said.lines().filter(|line| line.starts_with("* OK [INPROGRESS"));
    all.map(|line| line.split_inclusive(']').next().unwrap_or(line).to_owned()).collect()
}

fn check(test: &TestStore) {
    let mut world = World::new(test);
    let text = "word and word\r\n".repeat(15_000);
    for number in 0..MESSAGES {
        world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\n{text}"));
    }
    let told_by_fetch = told(&mut world, "a1 FETCH 1:* (UID BODY.PEEK[])");
    assert!(!told_by_fetch.is_empty(), "nothing is told");
    let mut before = 0;
    for line in &told_by_fetch {
        let state = line.strip_prefix("* OK [INPROGRESS (\"a1\" ").and_then(|rest| rest.strip_suffix(")]"));
        let (done, goal) = state.and_then(|state| state.split_once(' ')).expect("two numbers");
        let done: u32 = done.parse().expect("a number");
        assert_eq!(goal, "25");
        assert!(before < done && done < MESSAGES, "{line}");
        before = done;
    }
    let told_by_search = told(&mut world, "a1 SEARCH BODY wort");
    for line in &told_by_search {
        assert!(line.starts_with("* OK [INPROGRESS (\"a1\" ") && line.ends_with(" 25)]"), "{line}");
    }
    // A short one says nothing.
    assert_eq!(told(&mut world, "a1 FETCH 1:* (FLAGS)"), Vec::<String>::new());
}

#[test]
fn progress_is_told_in_memory() {
    check(&TestStore::memory(&[postroad_mail::MIGRATIONS]));
}

#[test]
fn progress_is_told_on_sqlite() {
    check(&TestStore::sqlite(&[postroad_mail::MIGRATIONS]));
}

#[test]
fn progress_is_told_on_postgres() {
    check(&TestStore::postgres(&[postroad_mail::MIGRATIONS]));
}
