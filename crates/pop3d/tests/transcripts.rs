//! The transcripts of `transcripts/`, replayed on each store: a fresh one for each file.
//!
//! `TRANSCRIPT=idle` replays the files with this in their name only. `UPDATE_EXPECT=1` writes what was answered into the files;
//! read the difference before you keep it.

mod common;

use postroad_testkit::{TestStore, transcript};

use common::World;

fn replay_all(open: impl Fn() -> TestStore) {
    transcript::each_file(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts"), "pop3", |file| {
        let test = open();
        transcript::check_file(file, World::new(&test));
    });
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
