//! SIGKILL in the middle of a backup and of a restore.

use std::path::Path;
use std::time::Instant;

use postroad_testkit::run::RUN_WITHIN;
use postroad_testkit::{ended, eventually};

use crate::program::{ALICE, BOB, files, mail_of, mbox, on_each_database, run, start, text};

/// Kills a command as soon as `met`; whether it was killed before it ended.
fn killed_when(arguments: &[&str], met: impl Fn() -> bool) -> bool {
    let mut child = start(arguments);
    let begun = Instant::now();
    while !met() {
        if child.try_wait().expect("a child can be asked").is_some() {
            return false;
        }
        assert!(begun.elapsed() < RUN_WITHIN, "{arguments:?} neither ends nor gets to where it is killed");
    }
    child.kill().expect("it can be killed");
    !child.wait().expect("it ends").success()
}

fn in_tmp(backups: &Path, end: &str) -> bool {
    files(&backups.join("tmp")).iter().any(|path| path.to_string_lossy().ends_with(end))
}

#[test]
fn a_backup_that_was_killed_leaves_the_last_one_whole() {
    on_each_database(|server| {
        let data = text(server.data());
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = |name: &str| text(&folder.path().join(name));
        let root = folder.path().join("backups");
        let backups = text(&root);
        mbox(&folder.path().join("alice.mbox"), 200, 1);
        run(&["import", ALICE, &path("alice.mbox"), "--data", &data]).with_code(0);
        run(&["backup", &backups, "--data", &data]).with_code(0);
        mbox(&folder.path().join("bob.mbox"), 1_000, 2);
        run(&["import", BOB, &path("bob.mbox"), "--data", &data]).with_code(0);
        let mut killed = 0;
        // At the first table, at the list of blobs, when the pack begins, when the manifest is there.
        for end in ["account.rows", "message.rows", "blob.rows", ".pack", "MANIFEST"] {
            let before = run(&["backup", "list", &backups]).with_code(0).as_array().map(Vec::len);
            let was = killed_when(&["backup", &backups, "--data", &data], || in_tmp(&root, end));
            killed += usize::from(was);
            assert_eq!(run(&["backup", "verify", &backups]).with_code(0)["sound"], true);
            let after = run(&["backup", "list", &backups]).with_code(0).as_array().map(Vec::len);
            assert!(after == before || after == before.map(|count| count + 1), "{before:?} {after:?}");
        }
        assert!(killed >= 2, "most ended before they were killed");
        let made = run(&["backup", &backups, "--verify", "--data", &data]).with_code(0);
        assert_eq!((made["backup"]["messages"].as_u64(), made["verified"].as_bool()), (Some(1_200), Some(true)));
        assert!(files(&root.join("tmp")).is_empty());
        run(&["restore", &backups, "--data", &path("place")]).with_code(0);
        assert!(mail_of(&path("place"), BOB) == mail_of(&data, BOB));
    });
}

#[test]
fn a_restore_that_was_killed_leaves_no_half_server_and_can_be_tried_again() {
    on_each_database(|server| {
        let data = text(server.data());
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = |name: &str| text(&folder.path().join(name));
        let (backups, place) = (path("backups"), path("place"));
        mbox(&folder.path().join("alice.mbox"), 1_000, 1);
        run(&["import", ALICE, &path("alice.mbox"), "--data", &data]).with_code(0);
        run(&["backup", &backups, "--data", &data]).with_code(0);
        let root = folder.path().join("place");
        // Large messages are files: some are there, so rows are as well.
        let killed = killed_when(&["restore", &backups, "--data", &place], || files(&root.join("blobs")).len() > 3);
        // It has its name when all is in it; it may have got it right before it was killed.
        let whole = root.join("postroad.sqlite").exists();
        assert!(killed || whole);
        if !whole {
            run(&["restore", &backups, "--data", &place]).with_code(0);
        }
        assert!(mail_of(&place, ALICE) == mail_of(&data, ALICE));
        run(&["account", "audit", "--data", &place]).with_code(0);

        // One account, into the server of which it is gone; the command dies, or the server.
        let mut server = server;
        let before = mail_of(&data, ALICE);
        run(&["account", "remove", ALICE, "--yes", "--data", &data]).with_code(0);
        let asked = ["restore", backups.as_str(), "--account", ALICE, "--data", data.as_str()];
        let blobs = Path::new(&data).join("blobs");
        let there = files(&blobs).len();
        let mut child = start(&asked);
        // At once when nothing new needs to be written, for the mail of the removed account is still there.
        eventually("a restore writes, or ends", || {
            let ended = child.try_wait().expect("a child can be asked").is_some();
            (ended || files(&blobs).len() > there).then_some(())
        });
        server.kill();
        ended(&mut child, "a restore without its server");
        server.start_again();
        run(&asked).with_code(0);
        assert!(mail_of(&data, ALICE) == before);
        run(&["account", "audit", "--data", &data]).with_code(0);
    });
}
