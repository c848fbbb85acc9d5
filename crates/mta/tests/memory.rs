//! A large message costs little memory: it streams to the disk.
//!
//! A test binary of its own, since it measures its process.

mod town;

use std::fs;

use postroad_protocol::{Protocol, Step};
use postroad_testkit::TestStore;
use postroad_testkit::transcript::{Open, Stage};
use town::{MIGRATIONS, Town};

/// The promise is 4 MB for a message of any size.
const ALLOWED_KB: u64 = 4 * 1024;

const LARGE: usize = 20 * 1024 * 1024;

#[test]
fn a_large_message_costs_at_most_four_megabytes() {
    let test = TestStore::sqlite(MIGRATIONS);
    let mut town = Town::new(&test.store);
    // Threads, caches and the allocator's own needs come with the first messages.
    for size in [1000, 1024 * 1024, 1024 * 1024] {
        deliver(&mut town, size);
    }
    fs::write("/proc/self/clear_refs", "5").expect("the kernel forgets the peak");
    let before = peak_kb();
    deliver(&mut town, LARGE);
    let cost = peak_kb() - before;
    assert!(cost <= ALLOWED_KB, "20 MB cost {cost} KB");
    // Reading it back needs it whole; so this comes last.
    let messages = town.messages("alice@example.test", "INBOX");
    assert_eq!(messages.len(), 4);
    assert!(messages[3].len() > LARGE && messages[3].ends_with("0123456789\r\n"));
    town.audit();
}

/// Delivers a message of about this size in the pieces that the loop reads.
fn deliver(town: &mut Town, size: usize) {
    let open = Open { session: 1, words: vec!["relay".into(), "from".into(), "192.0.2.7".into()] };
    let mut session = Some(town.open(&open).expect("a session"));
    let mut said = String::new();
    let mut talk = |bytes: &[u8]| {
        let mut now = session.take().expect("the session came back");
        now.input(bytes);
        loop {
            match now.step() {
                Step::Do(stage) => now = town.perform(now, stage),
                Step::Read => break,
                other => panic!("the session wants {other:?}"),
            }
        }
        said.push_str(&String::from_utf8_lossy(&now.take_output()));
        session = Some(now);
    };
    // The greeting first: who speaks before it is shut out.
    talk(b"");
    talk(b"EHLO x.test\r\nMAIL FROM:<x@x.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n");
    talk(b"Subject: large\r\n\r\n");
    let line = b"0123456789\r\n".repeat(16 * 1024 / 12);
    for _ in 0..size.div_ceil(line.len()) {
        talk(&line);
    }
    talk(b".\r\n");
    assert!(said.contains("354 ") && said.trim_end().ends_with("is safely stored"), "{said}");
}

fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the kernel tells the peak");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of KB")
}
