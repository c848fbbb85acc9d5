//! The road: back up while mail comes in, lose an account, lose everything, come back.

use std::fs;

use postroad_testkit::{ended, postgres};

use crate::program::{ALICE, BOB, files, mail_of, mbox, on_each_database, run, start, text};

#[test]
fn what_was_lost_comes_back() {
    on_each_database(|server| {
        let data = text(server.data());
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = |name: &str| text(&folder.path().join(name));
        let backups = path("backups");
        mbox(&folder.path().join("alice.mbox"), 300, 1);
        mbox(&folder.path().join("bob.mbox"), 1_000, 2);
        run(&["import", ALICE, &path("alice.mbox"), "--data", &data]).with_code(0);
        // Bob's mail comes in while the backup is made.
        let mut coming = start(&["import", BOB, &path("bob.mbox"), "--data", &data]);
        let made = run(&["backup", &backups, "--verify", "--data", &data]).with_code(0);
        assert!(made["backup"]["messages"].as_u64() >= Some(300) && made["verified"] == true, "{made}");
        assert!(ended(&mut coming, "the import").success());
        let again = run(&["backup", &backups, "--keep", "5", "--data", &data]).with_code(0);
        let messages = |made: &serde_json::Value| made["backup"]["messages"].as_u64().expect("a number");
        assert_eq!(messages(&again), 1_300);
        assert_eq!(again["backup"]["new-blobs"].as_u64(), Some(1_300 - messages(&made)), "{again}");
        assert_eq!(run(&["backup", "list", &backups]).with_code(0).as_array().map(Vec::len), Some(2));
        assert_eq!(run(&["backup", "verify", &backups]).with_code(0)["sound"], true);

        // An account goes and comes back, through the running server.
        let (alice, bob) = (mail_of(&data, ALICE), mail_of(&data, BOB));
        run(&["account", "remove", ALICE, "--yes", "--data", &data]).with_code(0);
        let done = run(&["restore", &backups, "--account", ALICE, "--data", &data]).with_code(0);
        assert_eq!((done["made"].as_bool(), done["messages"].as_u64()), (Some(true), Some(300)), "{done}");
        assert!(mail_of(&data, ALICE) == alice && mail_of(&data, BOB) == bob);
        let done = run(&["restore", &backups, "--account", ALICE, "--data", &data]).with_code(0);
        assert_eq!((done["messages"].as_u64(), done["present"].as_u64()), (Some(0), Some(300)), "{done}");
        run(&["account", "audit", "--data", &data]).with_code(0);

        // Everything, on both databases.
        let url = postgres::fresh_database();
        for more in [Vec::new(), vec!["--database", url.as_str()]] {
            let place = path(if more.is_empty() { "sqlite" } else { "postgresql" });
            let asked = [vec!["restore", backups.as_str(), "--data", place.as_str()], more].concat();
            let done = run(&asked).with_code(0);
            assert_eq!((done["messages"].as_u64(), done["accounts"].as_u64()), (Some(1_300), Some(2)), "{done}");
            assert!(mail_of(&place, ALICE) == alice && mail_of(&place, BOB) == bob);
            run(&["account", "audit", "--data", &place]).with_code(0);
            // Another time the place is not empty.
            let refused = run(&asked);
            assert!(refused.err.contains("empty"), "{}", refused.err);
            refused.with_code(1);
        }
        let refused = run(&["restore", &backups, "--data", &data]);
        assert!(refused.err.contains("a server is already running"), "{}", refused.err);
    });
}

#[test]
fn damage_is_named_with_the_account() {
    let server = postroad_testkit::Process::quickstart(env!("CARGO_BIN_EXE_postroad"), "correct horse 9", &[]);
    let data = text(server.data());
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = |name: &str| text(&folder.path().join(name));
    mbox(&folder.path().join("alice.mbox"), 200, 1);
    run(&["import", ALICE, &path("alice.mbox"), "--data", &data]).with_code(0);
    let backups = path("backups");
    run(&["backup", &backups, "--data", &data]).with_code(0);
    let pack = files(&folder.path().join("backups/packs")).pop().expect("a pack");
    let mut bytes = fs::read(&pack).expect("it can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, bytes).expect("it can be written");
    let found = run(&["backup", "verify", &backups]).with_code(3);
    assert_eq!(found["lost"][0]["account"], ALICE, "{found}");
    let done = run(&["restore", &backups, "--data", &path("place")]).with_code(3);
    assert_eq!(done["lost"].as_array().map(Vec::len), Some(1), "{done}");
    assert_eq!(done["messages"].as_u64(), Some(200));
    for wrong in [path("nowhere"), path("place")] {
        run(&["backup", "list", &wrong]).with_code(1);
        run(&["restore", &wrong, "--data", &path("other")]).with_code(1);
    }
    run(&["backup", &path("place"), "--data", &data]).with_code(1);
}
