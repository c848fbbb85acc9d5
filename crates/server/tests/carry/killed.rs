//! SIGKILL in the middle: of the command, of the server, of both in one.

use std::path::Path;
use std::process::Child;
use std::time::Instant;

use postroad_testkit::ended;
use postroad_testkit::run::RUN_WITHIN;

use crate::program::{ALICE, contents, count, on_each_database, run, start, tree};

const MESSAGES: usize = 8_000;

/// Kills the import as soon as more than `before` messages are seen to be there, at its end when it was faster than that.
fn killed_midway(data: &Path, mut import: Child, before: u64, kill: impl FnOnce(&mut Child)) {
    let begun = Instant::now();
    while count(data) <= before {
        if let Some(status) = import.try_wait().expect("a child can be asked") {
            assert!(status.success(), "it was not killed and failed");
            break;
        }
        assert!(begun.elapsed() < RUN_WITHIN, "it neither ends nor brings more than {before} messages");
    }
    kill(&mut import);
    ended(&mut import, "an import that was killed, or has lost its server");
}

#[test]
fn an_import_that_was_killed_goes_on_and_doubles_nothing() {
    on_each_database(|mut server| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (before, after) = (folder.path().join("before"), folder.path().join("after"));
        tree(&before, MESSAGES);
        let (from, to) = (before.to_str().expect("plain"), after.to_str().expect("plain"));
        let data = server.data().to_owned();
        let kill = |import: &mut Child| import.kill().expect("it can be killed");

        // The command, while the server runs.
        killed_midway(&data, start(&data, &["import", ALICE, from]), 0, kill);
        let first = count(&data);
        assert!(first > 0 && first < MESSAGES as u64, "{first}");
        // The server: the command notices.
        killed_midway(&data, start(&data, &["import", ALICE, from]), first, |_| server.kill());
        // The command that is both.
        let second = count(&data);
        assert!(second >= first, "{second}");
        killed_midway(&data, start(&data, &["import", ALICE, from]), second, kill);
        let third = count(&data);
        assert!(third >= second, "{third}");

        server.start_again();
        let rest = run(&data, &["import", ALICE, from]).with_code(0);
        let there = (rest["messages"].as_u64(), rest["there-already"].as_u64());
        assert_eq!(there.0.zip(there.1).map(|(new, old)| new + old), Some(MESSAGES as u64), "{rest}");
        assert_eq!(count(&data), MESSAGES as u64);
        run(&data, &["account", "audit", ALICE]).with_code(0);
        run(&data, &["export", ALICE, to]).with_code(0);
        assert!(contents(&before) == contents(&after));
    });
}
