//! The transcripts of `transcripts/`, replayed on each store: a fresh one for each file.
//!
//! `TRANSCRIPT=idle` replays the files with this in their name only. `UPDATE_EXPECT=1` writes what was answered into the files; read the difference before you keep it.

mod common;

use postroad_testkit::{TestStore, transcript};

use common::World;

fn replay_all(open: impl Fn() -> TestStore) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let mut failures = Vec::new();
    let only = std::env::var("TRANSCRIPT").unwrap_or_default();
    for file in transcript::files(folder, "imap") {
        if !file.file_name().is_some_and(|name| name.to_string_lossy().contains(&only)) {
            continue;
        }
        let test = open();
        let world = World::new(&test);
        let check = std::panic::AssertUnwindSafe(|| transcript::check_file(&file, world));
        if let Err(panic) = std::panic::catch_unwind(check) {
            failures.push(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| file.display().to_string()));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn transcripts_in_memory() {
    replay_all(|| TestStore::memory(&[postroad_mail::MIGRATIONS]));
}

#[test]
fn transcripts_on_sqlite() {
    replay_all(|| TestStore::sqlite(&[postroad_mail::MIGRATIONS]));
}

#[test]
fn transcripts_on_postgres() {
    replay_all(|| TestStore::postgres(&[postroad_mail::MIGRATIONS]));
}
