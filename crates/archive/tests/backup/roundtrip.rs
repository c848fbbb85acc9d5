//! There and back: every table equal, from one database to the other and back again.

use postroad_archive::backup;
use postroad_mail::accounts;
use postroad_queue::State;
use postroad_store::dump::Value;
use postroad_store::{AccountId, Locks};

use crate::world::{
    Backups, Blank, append, audit_all, contents, each_database, files, fill, mail_of, mailbox, message, rows, sqlite,
};

/// Also large blobs, queue, what was removed, counters that never give a number twice.
#[test]
fn from_sqlite_to_postgresql_and_back_every_table_is_equal() {
    let here = sqlite();
    fill(&here.store);
    let first = Backups::new();
    let made = first.make(&here.store);
    assert!(made.manifest.damaged.is_empty());
    assert!(made.manifest.rows("message") >= 34 && made.manifest.rows("queue_recipient") == 2);

    let there = Blank::postgres();
    let restored = first.restore(&there.store, true).unwrap();
    assert!(restored.lost.is_empty() && restored.complaints.is_empty());
    assert_eq!(restored.blobs, made.manifest.blobs.count);
    audit_all(&there.store);
    let second = Backups::new();
    let again = second.make(&there.store);
    assert_eq!(contents(&again.manifest), contents(&made.manifest));
    assert_eq!(again.manifest.database, "PostgreSQL");

    let back = Blank::sqlite();
    second.restore(&back.store, true).unwrap();
    audit_all(&back.store);
    assert_eq!(contents(&Backups::new().make(&back.store).manifest), contents(&made.manifest));
    assert_eq!(mail_of(&back.store, "alice@example.test"), mail_of(&here.store, "alice@example.test"));
}

/// A number that was given to an account that is gone is not given again, and new rows find their numbers free.
#[test]
fn counters_go_on() {
    each_database(|test| {
        let alice = fill(&test.store);
        let backups = Backups::new();
        backups.make(&test.store);
        for there in [Blank::sqlite(), Blank::postgres()] {
            backups.restore(&there.store, true).unwrap();
            let made = there.store.write_blocking(Locks::none(), |tx| {
                let new = accounts::NewAccount {
                    address: crate::world::address("carol@example.test"),
                    display_name: String::new(),
                    password: None,
                    quota_bytes: 0,
                    quota_messages: 0,
                };
                accounts::create(tx, &crate::world::by(), &new)
            });
            assert_eq!(made.unwrap().value, AccountId(alice.0 + 2));
        }
    });
}

/// Uids and all else stay; uidvalidities are new and above all that were ever given; the queue waits to be released.
#[test]
fn a_restored_server_confuses_no_client_and_sends_nothing_twice() {
    each_database(|test| {
        fill(&test.store);
        let backups = Backups::new();
        backups.make(&test.store);
        let there = Blank::sqlite();
        backups.restore(&there.store, false).unwrap();
        audit_all(&there.store);
        assert_eq!(mail_of(&there.store, "alice@example.test"), mail_of(&test.store, "alice@example.test"));
        for account in rows(&test.store, "account") {
            let given = account[10].int().unwrap();
            let boxes = rows(&there.store, "mailbox").into_iter().filter(|row| row[0] == account[0]);
            let anew: Vec<i64> = boxes.map(|row| row[5].int().unwrap()).collect();
            assert!(anew.len() >= 6 && anew.iter().all(|one| *one > given), "{given} {anew:?}");
        }
        let states: Vec<Value> = rows(&there.store, "queue_recipient").into_iter().map(|row| row[6].clone()).collect();
        assert_eq!(states, vec![Value::Text(State::Held.name().into()); 2]);
        let released = there.store.write_blocking(Locks::none(), |tx| {
            postroad_queue::release(tx, &postroad_queue::Which::All, None, crate::world::NOW)
        });
        assert!(released.is_ok());
    });
}

#[test]
fn a_second_backup_stores_only_what_is_new() {
    each_database(|test| {
        let alice = fill(&test.store);
        let backups = Backups::new();
        let first = backups.make(&test.store);
        assert!(first.manifest.blobs.new_count > 30);
        let packs = files(&backups.path().join("packs"));
        let again = backups.make(&test.store);
        assert_eq!((again.manifest.blobs.new_count, again.manifest.blobs.new_stored), (0, 0));
        assert_eq!(contents(&again.manifest), contents(&first.manifest));
        assert_eq!(files(&backups.path().join("packs")), packs, "no pack was made or changed");
        append(&test.store, alice, mailbox(&test.store, alice, "INBOX"), &message(900, 500), Default::default(), &[]);
        let third = backups.make(&test.store);
        assert_eq!(third.manifest.blobs.new_count, 1);

        // The two oldest go; what the newest needs is there.
        let folder = backup::Folder::to_write(&backups.path()).unwrap();
        let kept = backup::keep(&folder, 1).unwrap();
        drop(folder);
        assert_eq!(kept.removed, [first.manifest.id.clone(), again.manifest.id.clone()]);
        assert!(backups.verify().is_sound());
        let there = Blank::sqlite();
        backups.restore(&there.store, true).unwrap();
        assert_eq!(mail_of(&there.store, "alice@example.test"), mail_of(&test.store, "alice@example.test"));
    });
}

/// When most of a pack is of mail that is gone, the rest moves to a new one.
#[test]
fn packs_that_are_mostly_old_are_written_anew() {
    let test = sqlite();
    let alice = fill(&test.store);
    let backups = Backups::new();
    backups.make(&test.store);
    let project = mailbox(&test.store, alice, "Projects/Übung");
    test.store
        .write_blocking(Locks::account(alice), move |tx| {
            let all = postroad_mail::UidSet::all();
            postroad_mail::expunge::remove(tx, &crate::world::by(), alice, project, &all)?;
            let later = postroad_store::Timestamp(i64::MAX);
            while postroad_mail::retention::sweep(tx, alice, later)?.more {}
            Ok::<_, postroad_mail::Error>(())
        })
        .unwrap();
    backups.make(&test.store);
    let before: u64 = files(&backups.path().join("packs")).iter().map(|path| path.metadata().unwrap().len()).sum();
    let folder = backup::Folder::to_write(&backups.path()).unwrap();
    let kept = backup::keep(&folder, 1).unwrap();
    drop(folder);
    let after: u64 = files(&backups.path().join("packs")).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(kept.packs == 1 && after < before / 2, "{kept:?} {before} {after}");
    assert!(backups.verify().is_sound());
    let there = Blank::postgres();
    backups.restore(&there.store, true).unwrap();
    audit_all(&there.store);
    assert_eq!(mail_of(&there.store, "alice@example.test"), mail_of(&test.store, "alice@example.test"));
}

#[test]
fn a_place_with_mail_in_it_is_refused() {
    let test = sqlite();
    fill(&test.store);
    let backups = Backups::new();
    backups.make(&test.store);
    let refused = backups.restore(&test.store, true);
    assert!(matches!(&refused, Err(backup::Error::User(text)) if text.contains("not empty")), "{refused:?}");
    // Tables alone are no mail: what was broken off can be tried again.
    let there = Blank::postgres();
    there.store.migrate(&crate::world::migrations()).unwrap();
    backups.restore(&there.store, true).unwrap();
}

/// A backup of older tables comes back as of the newest; one of newer tables is refused.
#[test]
fn tables_are_brought_up_to_date() {
    let all = crate::world::migrations();
    let old: Vec<_> = all.iter().copied().filter(|step| step.owner != "queue" || step.version < 2).collect();
    let here = Blank::sqlite();
    here.store.migrate(&old).unwrap();
    here.store
        .write_blocking(Locks::none(), |tx| {
            tx.execute(
                "INSERT INTO queue_message (id, blob, size, sender, body, smtputf8, requiretls, created, expires)
                 VALUES (7, 1, 1, 'a@example.test', '7BIT', 0, 0, 1, 2)",
                &[],
            )?;
            tx.execute(
                "INSERT INTO queue_recipient (message, number, address, domain, notify, state, due, attempts)
                 VALUES (7, 0, 'b@example.org', 'example.org', 0, 'waiting', 5, 0)",
                &[],
            )?;
            Ok::<_, postroad_store::Error>(())
        })
        .unwrap();
    let backups = Backups::new();
    backups.make(&here.store);
    let there = Blank::postgres();
    backups.restore(&there.store, true).unwrap();
    let open = rows(&there.store, "queue_message");
    assert_eq!(open.len(), 1);
    let folder = backup::Folder::to_read(&backups.path()).unwrap();
    let fewer: Vec<_> = all.iter().copied().filter(|step| step.owner != "queue").collect();
    let plan = backup::WholePlan {
        store: &Blank::sqlite().store,
        migrations: &fewer,
        folder: &folder,
        backup: None,
        exact: true,
        reshape: None,
        now: crate::world::NOW,
        tell: backup::silent(),
    };
    assert!(matches!(backup::whole(plan), Err(backup::Error::Newer(_))));
}

#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let test = sqlite();
    fill(&test.store);
    let backups = Backups::new();
    let made = backups.make(&test.store);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&backups.path()), 0o700);
    for file in files(&backups.path()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert!(made.manifest.note.contains("password hashes"));
}

#[test]
fn a_folder_of_other_things_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
    assert!(matches!(backup::Folder::to_write(folder.path()), Err(backup::Error::User(_))));
    assert!(matches!(backup::Folder::to_read(folder.path()), Err(backup::Error::User(_))));
    assert_eq!(files(folder.path()).len(), 1);
    let backups = Backups::new();
    let _first = backup::Folder::to_write(&backups.path()).unwrap();
    assert!(matches!(backup::Folder::to_write(&backups.path()), Err(backup::Error::Busy(_))));
}
