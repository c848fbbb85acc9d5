//! A backup while mail comes in and goes: what it shows is one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use postroad_mail::{Error, Flags, UidSet, expunge, flags, retention};
use postroad_store::{AccountId, BLOB_INLINE_MAX, Locks, Store, Timestamp};

use crate::world::{Backups, Blank, NOW, append, audit_all, by, each_database, fill, mail_of, mailbox, message};

/// Writers append, change flags, remove, and sweep without any grace, so that only the pin keeps blobs.
#[test]
fn what_is_restored_is_a_moment_that_was() {
    each_database(|test| {
        let alice = fill(&test.store);
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let writers: Vec<_> = [alice, AccountId(alice.0 + 1)]
            .map(|account| {
                let (store, stop, written) = (test.store.clone(), Arc::clone(&stop), Arc::clone(&written));
                std::thread::spawn(move || write(&store, account, &stop, &written))
            })
            .into();
        let backups = Backups::new();
        let mut counts = Vec::new();
        for _ in 0..3 {
            // At least a few changes between one backup and the next, and while it is made.
            let until = written.load(Ordering::Relaxed) + 20;
            postroad_testkit::eventually("changes", || (written.load(Ordering::Relaxed) >= until).then_some(()));
            let made = backups.make(&test.store);
            assert_eq!(made.manifest.damaged, []);
            counts.push(made.manifest.rows("journal"));
            let there = Blank::sqlite();
            let restored = backups.restore(&there.store, true).unwrap();
            assert!(restored.lost.is_empty(), "{:?}", restored.lost);
            audit_all(&there.store);
            mail_of(&there.store, "alice@example.test");
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().unwrap();
        }
        assert!(counts.windows(2).all(|pair| pair[0] < pair[1]), "mail came in meanwhile: {counts:?}");
        assert!(backups.verify().is_sound());
    });
}

fn write(store: &Store, account: AccountId, stop: &AtomicBool, written: &AtomicU64) {
    let inbox = mailbox(store, account, "INBOX");
    let mut number = 10_000 * usize::try_from(account.0).unwrap();
    let mut sweeps = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let size = if number % 7 == 0 { BLOB_INLINE_MAX + 10_000 } else { 300 };
        append(store, account, inbox, &message(number, size), Flags::default(), &[]);
        let uid = u32::try_from(number % 40 + 1).unwrap();
        store
            .write_blocking(Locks::account(account), move |tx| {
                let some = UidSet::single(uid);
                let change = flags::FlagChange::Add(Flags::SEEN, Vec::new());
                flags::change(tx, &by(), account, inbox, &some, &change, None)?;
                expunge::remove(tx, &by(), account, inbox, &some)?;
                retention::sweep(tx, account, Timestamp(i64::MAX))?;
                Ok::<_, Error>(())
            })
            .unwrap();
        sweeps += 1;
        store.sweep_blobs(Timestamp(NOW.0 + sweeps), Duration::ZERO).unwrap();
        written.fetch_add(1, Ordering::Relaxed);
    }
}
