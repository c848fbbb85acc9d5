//! The limits of annotations, as clients are told of them, and what following them costs.
#![allow(missing_docs)]

mod common;

use common::World;
use postroad_mail::metadata::{MAX_ENTRIES, MAX_VALUE};
use postroad_testkit::TestStore;

#[test]
fn limits_are_told_with_their_codes() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let session = world.logged_in("alice");
    let set = |size: usize| format!("a SETMETADATA INBOX (/shared/x {{{size}+}}\r\n{})\r\n", "x".repeat(size));
    let (session, said) = world.say(session, set(MAX_VALUE).as_bytes());
    assert_eq!(said, "a OK SETMETADATA done\r\n");
    let (session, said) = world.say(session, set(MAX_VALUE + 1).as_bytes());
    let refused = format!("a NO [METADATA MAXSIZE {MAX_VALUE}] ");
    assert!(said.starts_with(&refused), "{said}");
    let many = |from: usize, to: usize| {
        let values: Vec<String> = (from..to).map(|number| format!("/private/n{number} v")).collect();
        format!("b SETMETADATA INBOX ({})\r\n", values.join(" ").replace(" v", " \"v\""))
    };
    let (session, said) = world.say(session, many(1, MAX_ENTRIES).as_bytes());
    assert_eq!(said, "b OK SETMETADATA done\r\n");
    let (session, said) = world.say(session, many(MAX_ENTRIES, MAX_ENTRIES + 1).as_bytes());
    assert!(said.starts_with("b NO [METADATA TOOMANY] "), "{said}");
    // What is there is still there.
    let (_, said) = world.say(session, b"c GETMETADATA (MAXSIZE 10 DEPTH infinity) INBOX (/private /shared)\r\n");
    assert_eq!(said.matches("/private/n").count(), MAX_ENTRIES - 1);
    assert!(said.ends_with(&format!("c OK [METADATA LONGENTRIES {MAX_VALUE}] GETMETADATA done\r\n")), "{said}");
}

#[test]
fn who_does_not_follow_annotations_pays_nothing_for_them() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let session = world.logged_in("alice");
    let noop = |world: &World| world.jobs.get("noop").copied().unwrap_or_default();
    let (session, _) = world.say(session, b"a NOOP\r\n");
    assert_eq!(noop(&world), 0, "without a mailbox nothing is looked for");
    let (session, said) = world.say(session, b"b ENABLE METADATA\r\nc NOOP\r\n");
    assert!(said.ends_with("c OK NOOP done\r\n"), "{said}");
    assert_eq!(noop(&world), 1);
    // While the database is away, ENABLE fails whole.
    world.away = true;
    let (_, said) = world.say(session, b"d ENABLE METADATA-SERVER CONDSTORE\r\n");
    assert!(said.starts_with("d NO [UNAVAILABLE] "), "{said}");
}
