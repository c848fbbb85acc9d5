//! A full disk, a read-only database, a folder that is gone: said clearly, nothing acknowledged is lost, and
//! service returns when the cause is gone.

use crate::TABLES;
use crate::blobs::{LARGE, prepare, put, read};
use crate::bytes::noise;
use postroad_store::{BlobPlace, Code, Database, Error, Locks, MIGRATIONS, Settings, Store, WriteTx, params};
use postroad_testkit::{TestStore, wait};
use std::path::Path;
use std::process::Command;

fn insert(tx: &mut WriteTx, n: i64, note: &str) -> Result<i64, Error> {
    tx.execute("INSERT INTO number (n, note) VALUES ($1, $2)", params![n, note]).map(|_| n)
}

fn numbers(store: &Store) -> Vec<i64> {
    store
        .read_blocking(|tx| tx.rows("SELECT n FROM number ORDER BY n", params![], |row| row.int(0)))
        .expect("reading goes on")
}

fn pragma(store: &Store, sql: &'static str) {
    store.write_blocking(Locks::none(), move |tx| tx.rows(sql, params![], |row| row.int(0))).expect("it is set");
}

#[test]
fn a_full_database_refuses_and_recovers() {
    let test = TestStore::sqlite(&[TABLES]);
    let store = &test.store;
    pragma(store, "PRAGMA max_page_count = 40");
    let long = "x".repeat(3000);
    let outcomes = wait(async {
        let jobs: Vec<_> = (0..200)
            .map(|n| {
                let note = long.clone();
                tokio::spawn(store.write_with(Locks::none(), n, move |tx, _| insert(tx, n, &note)))
            })
            .collect();
        let mut outcomes = Vec::new();
        for job in jobs {
            outcomes.push(job.await.expect("no panic"));
        }
        outcomes
    });
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for (n, (state, outcome)) in (0..).zip(outcomes) {
        assert_eq!(state, Some(n), "the session comes back");
        match outcome {
            Ok(stored) => acknowledged.push(stored.value),
            Err(error) => {
                assert!(matches!(error, Error::Full(_)), "{error:?}");
                assert_eq!((error.code(), error.is_temporary()), (Code::Full, true));
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    assert_eq!(numbers(store), acknowledged, "what was acknowledged is there, and nothing else");
    // A smaller page may still fit; then it is full for everybody.
    let more = (1000..1100).map(|n| {
        let note = long.clone();
        store.write_blocking(Locks::none(), move |tx| insert(tx, n, &note)).map(|_| ())
    });
    assert!(more.into_iter().any(|outcome| matches!(outcome, Err(Error::Full(_)))));
    pragma(store, "PRAGMA max_page_count = 1000000");
    store.write_blocking(Locks::none(), |tx| insert(tx, 500, "room again")).expect("it is stored");
}

#[test]
fn a_database_that_became_read_only_recovers_when_it_is_writable() {
    let test = TestStore::sqlite(&[TABLES]);
    let store = &test.store;
    // SQLite's own answer to a file that cannot be written; a new connection can write again.
    let refused = store.write_blocking(Locks::none(), |tx| {
        tx.rows("PRAGMA query_only = ON", params![], |row| row.int(0))?;
        insert(tx, 1, "")
    });
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
    assert_eq!(numbers(store), [0_i64; 0]);
    store.write_blocking(Locks::none(), |tx| insert(tx, 2, "")).expect("a new connection writes");
    assert_eq!(numbers(store), [2]);
}

/// A file system of this size, when the tests may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(SmallDisk(folder))
    }

    fn remount(&self, mode: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(self.0.path()).status();
        assert!(status.expect("mount runs").success());
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_and_a_read_only_disk() {
    // Only root may mount; the tests above show the same without a disk.
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let store = Store::open(store_settings(&disk)).expect("it opens");
    store.migrate(MIGRATIONS).expect("tables are made");
    store.migrate(TABLES).expect("tables are made");
    let mut acknowledged = Vec::new();
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![0; 2 << 20]).expect("there is room");
    let long = "x".repeat(20_000);
    let error = loop {
        let (n, note) = (acknowledged.len() as i64, long.clone());
        match store.write_blocking(Locks::none(), move |tx| insert(tx, n, &note)) {
            Ok(stored) => acknowledged.push(stored.value),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full(_)), "{error:?}");
    let mut upload = store.upload();
    let full = upload.write(&noise(3 << 20)).and_then(|()| upload.finish(Vec::new()).map(|_| ()));
    assert!(matches!(full, Err(Error::Full(_))), "{full:?}");
    assert_eq!(numbers(&store), acknowledged);
    std::fs::remove_file(&filler).expect("it can be removed");
    store.write_blocking(Locks::none(), |tx| insert(tx, -1, "room again")).expect("full service again");
    let blob = put(&store, &prepare(&store, b"", &[&noise(LARGE)]));
    assert_eq!(std::fs::read_dir(disk.path().join("blobs/tmp")).expect("it is there").count(), 0);

    // What is open for writing keeps the system from making a disk read-only: so it is done between two starts.
    let again = store_settings(&disk);
    store.close();
    drop(store);
    disk.remount("ro");
    let refused = Store::open(again.clone()).map(|_| ()).expect_err("it cannot be opened for writing");
    assert!(matches!(refused, Error::ReadOnly(_)), "{refused:?}");
    disk.remount("rw");
    let store = Store::open(again).expect("full service again");
    assert_eq!(store.health().map(|health| health.writable), Ok(true));
    assert_eq!(numbers(&store).len(), acknowledged.len() + 1);
    assert!(read(&store, blob, 0, 10).is_ok());
}

fn store_settings(disk: &SmallDisk) -> Settings {
    Settings::new(Database::Sqlite(disk.path().join("postroad.sqlite")), BlobPlace::Folder(disk.path().join("blobs")))
}

#[test]
fn a_blob_folder_that_was_cleaned_is_made_again() {
    let test = TestStore::sqlite(&[TABLES]);
    for _ in 0..2 {
        let waiting = prepare(&test.store, b"", &[&noise(LARGE)]);
        std::fs::remove_dir_all(test.folder().join("blobs")).expect("it can be removed");
        let body = noise(LARGE);
        let blob = put(&test.store, &prepare(&test.store, b"", &[&body]));
        assert_eq!(read(&test.store, blob, 0, u64::MAX), Ok(body));
        let lost = put(&test.store, &waiting);
        assert!(matches!(read(&test.store, lost, 0, 1), Err(Error::Corrupt(_))));
    }
}

#[test]
fn a_file_that_is_no_database_is_said_so() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("postroad.sqlite");
    std::fs::write(&path, "Dear diary, ".repeat(1000)).expect("it can be written");
    let open = |path: &Path| {
        Store::open(Settings::new(Database::Sqlite(path.into()), BlobPlace::Inline))
            .map(|_| ())
            .expect_err("it does not open")
    };
    assert!(matches!(open(&path), Error::Corrupt(_)));
    let nowhere = open(&folder.path().join("no/such/folder/db"));
    assert!(matches!(&nowhere, Error::Unavailable(text) if text.contains("no/such/folder")), "{nowhere:?}");
}

#[test]
fn a_commit_waits_for_the_disk() {
    let sqlite = TestStore::sqlite(&[]);
    let modes = sqlite.store.write_blocking(Locks::none(), |tx| {
        let synchronous = tx.one("PRAGMA synchronous", params![], |row| row.int(0))?;
        Ok::<_, Error>((synchronous, tx.one("PRAGMA journal_mode", params![], |row| row.text(0))?))
    });
    assert_eq!(modes.expect("it is read").value, (2, "wal".to_owned()), "2 is FULL");
    // The server of the tests is set to acknowledge before the disk does; our connections are not.
    let postgres = TestStore::postgres(&[]);
    let mode = postgres.store.write_blocking(Locks::none(), |tx| {
        tx.one("SELECT current_setting('synchronous_commit')", params![], |row| row.text(0))
    });
    assert_eq!(mode.expect("it is read").value, "on");
}

#[test]
fn what_was_acknowledged_survives_a_restart() {
    let test = TestStore::sqlite(&[TABLES]);
    for n in 0..20 {
        test.store.write_blocking(Locks::none(), move |tx| insert(tx, n, "")).expect("it is stored");
    }
    // A copy of the files as they are now is what a crash would leave.
    let copy = tempfile::tempdir().expect("a temporary folder can be made");
    for name in ["postroad.sqlite", "postroad.sqlite-wal"] {
        std::fs::copy(test.folder().join(name), copy.path().join(name)).expect("it can be copied");
    }
    let crashed = Settings::new(Database::Sqlite(copy.path().join("postroad.sqlite")), BlobPlace::Inline);
    let again = Store::open(crashed).expect("it opens");
    assert_eq!(numbers(&again), (0..20).collect::<Vec<_>>());
    // Closing takes the log into the database.
    test.store.close();
    let log = std::fs::metadata(test.folder().join("postroad.sqlite-wal")).map_or(0, |file| file.len());
    assert_eq!(log, 0);
    assert!(matches!(test.store.health(), Err(Error::Closed)));
}
