//! The whole road: a Maildir of every kind of message goes in, through backups and restores on both databases, and
//! comes out byte for byte, with flags, keywords, dates and names of folders.
//!
//! `POSTROAD_ROAD_MESSAGES=20000 cargo test --test carry road -- --nocapture` walks it with more and shows how long
//! each part took.

use std::path::{Path, PathBuf};
use std::time::Instant;

use postroad_testkit::postgres;
use serde_json::Value;

use crate::maildir::{generate, sums};
use crate::program::{ALICE, on_each_database, run};

/// Messages, when nothing else is asked for.
const MESSAGES: usize = 2_000;

struct Road {
    root: tempfile::TempDir,
    messages: usize,
}

impl Road {
    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A command that succeeds, with folders of the road in its words: `@name`.
    fn go(&self, data: &Path, words: &[&str]) -> Value {
        let text = |word: &&str| match word.strip_prefix('@') {
            Some(name) => self.path(name).to_str().expect("a plain path").to_owned(),
            None => (*word).to_owned(),
        };
        let words: Vec<String> = words.iter().map(text).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let begun = Instant::now();
        let said = run(data, &words).with_code(0);
        eprintln!("{:>8.2} s  {}", begun.elapsed().as_secs_f64(), words.join(" "));
        said
    }

    /// What comes out of `data` is what went in.
    fn comes_out(&self, data: &Path, name: &str) {
        self.go(data, &["account", "audit", ALICE]);
        let written = self.go(data, &["export", ALICE, &format!("@{name}")]);
        assert_eq!(written["messages"].as_u64(), Some(self.messages as u64), "{written}");
        let (before, after) = (sums(&self.path("before")), sums(&self.path(name)));
        let missing: Vec<_> = before.iter().filter(|(what, sums)| after.get(*what) != Some(sums)).take(5).collect();
        let strange: Vec<_> = after.iter().filter(|(what, sums)| before.get(*what) != Some(sums)).take(5).collect();
        assert!(missing.is_empty() && strange.is_empty(), "{name}: missing {missing:#?}, strange {strange:#?}");
    }
}

#[test]
fn a_maildir_comes_out_of_import_backup_restore_and_export_as_it_went_in() {
    let asked = std::env::var("POSTROAD_ROAD_MESSAGES").ok();
    let messages = asked.map_or(MESSAGES, |text| text.parse().expect("a number of messages"));
    on_each_database(|server| {
        let road = Road { root: tempfile::tempdir().expect("a folder can be made"), messages };
        let data = server.data().to_owned();
        let on_sqlite = data.join("postroad.sqlite").exists();
        eprintln!("{messages} messages, {}", if on_sqlite { "SQLite" } else { "PostgreSQL" });
        generate(&road.path("before"), messages);
        let taken = road.go(&data, &["import", ALICE, "@before"]);
        assert_eq!(taken["messages"].as_u64(), Some(messages as u64), "{taken}");
        let again = road.go(&data, &["import", ALICE, "@before"]);
        assert_eq!((again["messages"].as_u64(), again["there-already"].as_u64()), (Some(0), Some(messages as u64)));
        road.comes_out(&data, "out of the server");

        road.go(&data, &["backup", "@backups", "--verify"]);
        let sqlite = road.path("restored");
        road.go(&sqlite, &["restore", "@backups"]);
        road.comes_out(&sqlite, "out of the restored");
        if on_sqlite {
            let (postgresql, back) = (road.path("postgresql"), road.path("back"));
            road.go(&postgresql, &["restore", "@backups", "--database", &postgres::fresh_database()]);
            road.comes_out(&postgresql, "out of the other database");
            road.go(&postgresql, &["backup", "@backups of it"]);
            road.go(&back, &["restore", "@backups of it"]);
            road.comes_out(&back, "out of the first one again");
        }

        // Gone and made again beside the running server, and completed when a mailbox is gone.
        road.go(&data, &["account", "remove", ALICE, "--yes"]);
        road.go(&data, &["restore", "@backups", "--account", ALICE]);
        road.comes_out(&data, "out of the account made again");
        road.go(&data, &["mailbox", "delete", ALICE, "Work/2019"]);
        let completed = road.go(&data, &["restore", "@backups", "--account", ALICE]);
        let counts = (completed["messages"].as_u64(), completed["present"].as_u64());
        assert_eq!(counts.0.zip(counts.1).map(|(new, old)| new + old), Some(messages as u64), "{completed}");
        road.comes_out(&data, "out of the completed account");
    });
}
