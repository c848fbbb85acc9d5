//! Commit, undo, panics, batches, receipts, the state that travels, news.

use crate::each;
use postroad_store::{AccountId, Error, Locks, ModSeq, Receipt, Store, Stored, WriteTx, params};
use postroad_testkit::wait;
use std::sync::mpsc;

fn insert(tx: &mut WriteTx, n: i64) -> Result<(), Error> {
    tx.execute("INSERT INTO number (n) VALUES ($1)", params![n]).map(|_| ())
}

fn numbers(store: &Store) -> Vec<i64> {
    store
        .read_blocking(|tx| tx.rows("SELECT n FROM number ORDER BY n", params![], |row| row.int(0)))
        .expect("numbers can be read")
}

#[test]
fn what_is_ok_commits_and_what_is_not_is_undone() {
    each(|test| {
        let store = &test.store;
        let stored = store.write_blocking(Locks::none(), |tx| {
            insert(tx, 1)?;
            Ok::<_, Error>("one")
        });
        let Stored { value, receipt } = stored.expect("it commits");
        let _: Receipt = receipt;
        assert_eq!(value, "one");
        let undone = store.write_blocking(Locks::none(), |tx| {
            insert(tx, 2)?;
            Err::<(), _>(Error::Missing("changed my mind".into()))
        });
        assert_eq!(undone.map(|_| ()), Err(Error::Missing("changed my mind".into())));
        assert_eq!(numbers(store), [1]);
    });
}

#[test]
fn a_statement_that_failed_spoils_its_transaction() {
    each(|test| {
        let store = &test.store;
        let stored = store.write_blocking(Locks::none(), |tx| {
            insert(tx, 1)?;
            assert!(matches!(insert(tx, 1), Err(Error::Conflict(_))));
            assert!(matches!(insert(tx, 2), Err(Error::Conflict(_))), "nothing runs in a spoiled transaction");
            Ok::<_, Error>(())
        });
        assert!(matches!(stored, Err(Error::Conflict(_))), "swallowing the error does not commit");
        assert_eq!(numbers(store), [0_i64; 0]);
        let wrong = store.read_blocking(|tx| tx.one("SELECT nothing FROM nowhere", params![], |row| row.int(0)));
        assert!(matches!(wrong, Err(Error::Bug(_))), "{wrong:?}");
    });
}

#[test]
fn an_attempt_undoes_only_itself() {
    each(|test| {
        let store = &test.store;
        let mut ear = store.hub().subscribe(AccountId(1));
        let stored = store.write_blocking(Locks::none(), |tx| {
            insert(tx, 1)?;
            let failed = tx.attempt(|tx| {
                insert(tx, 2)?;
                tx.publish(AccountId(1), ModSeq(9));
                insert(tx, 1)
            });
            assert!(matches!(failed, Err(Error::Conflict(_))));
            tx.publish(AccountId(1), ModSeq(5));
            tx.attempt(|tx| {
                insert(tx, 3)?;
                let inner: Result<(), Error> = tx.attempt(|tx| {
                    insert(tx, 4)?;
                    Err(Error::Missing("inner".into()))
                });
                assert_eq!(inner, Err(Error::Missing("inner".into())));
                insert(tx, 5)
            })?;
            // A swallowed failure inside counts as one.
            let swallowed: Result<(), Error> = tx.attempt(|tx| {
                insert(tx, 6)?;
                let _ = insert(tx, 6);
                Ok(())
            });
            assert!(matches!(swallowed, Err(Error::Conflict(_))));
            insert(tx, 7)
        });
        stored.expect("it commits");
        assert_eq!(numbers(store), [1, 3, 5, 7]);
        assert_eq!(*ear.borrow_and_update(), ModSeq(5), "news of an undone attempt are no news");
    });
}

#[test]
fn a_panic_costs_its_job_only() {
    each(|test| {
        let store = &test.store;
        let (panicked, fine) = wait(async {
            let first = store.write_with(Locks::none(), "state", |tx, _| {
                insert(tx, 1)?;
                if tx.is_postgres() || !tx.is_postgres() {
                    panic!("a defect");
                }
                Ok::<(), Error>(())
            });
            let second = store.write(Locks::none(), |tx| insert(tx, 2));
            tokio::join!(first, second)
        });
        assert_eq!(panicked.0, None, "what the closure held is gone");
        assert_eq!(panicked.1.map(|_| ()), Err(Error::Panicked("a defect".into())));
        fine.expect("the other commits");
        let read = store.read_blocking(|_| if numbers_is_nonsense() { panic!("read") } else { Ok::<_, Error>(()) });
        assert_eq!(read, Err(Error::Panicked("read".into())));
        assert_eq!(numbers(store), [2]);
    });
}

fn numbers_is_nonsense() -> bool {
    true
}

#[test]
fn the_state_travels_and_comes_back() {
    each(|test| {
        let store = &test.store;
        let (state, stored) = wait(store.write_with(Locks::none(), vec![1], |tx, state| {
            state.push(2);
            insert(tx, 1)
        }));
        stored.expect("it commits");
        assert_eq!(state, Some(vec![1, 2]));
        let (state, failed) = wait(store.write_with(Locks::none(), vec![1], |tx, state| {
            state.push(3);
            insert(tx, 1)
        }));
        assert!(matches!(failed, Err(Error::Conflict(_))));
        assert_eq!(state, Some(vec![1, 3]));
        let (state, read) = wait(store.read_with(vec![1], |tx, state| {
            state.push(4);
            tx.one("SELECT max(n) FROM number", params![], |row| row.int(0))
        }));
        assert_eq!((state, read), (Some(vec![1, 4]), Ok(1)));
        store.close();
        let (state, closed) = wait(store.write_with(Locks::none(), vec![7], |tx, _| insert(tx, 9)));
        assert_eq!((state, closed.map(|_| ())), (Some(vec![7]), Err(Error::Closed)));
        let (state, closed) = wait(store.read_with(vec![8], |_, _| Ok::<_, Error>(())));
        assert_eq!((state, closed), (Some(vec![8]), Err(Error::Closed)));
    });
}

#[test]
fn a_batch_commits_once_and_each_job_answers_for_itself() {
    let test = postroad_testkit::TestStore::sqlite(&[crate::TABLES]);
    let store = &test.store;
    let results = wait(async {
        // The first job holds the writer until the others wait behind it: they become one batch.
        let (started, has_started) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let first = tokio::spawn(store.write(Locks::none(), move |tx| {
            started.send(()).expect("the test waits");
            gone.recv().expect("the test says when");
            insert(tx, 0)
        }));
        tokio::task::yield_now().await;
        has_started.recv().expect("the job starts");
        let jobs: Vec<_> = (1..=40)
            .map(|n| {
                tokio::spawn(store.write(Locks::none(), move |tx| {
                    // Rows that others of the same batch wrote are seen: it is one transaction.
                    let before = tx.one("SELECT count(*) FROM number", params![], |row| row.int(0))?;
                    insert(tx, n)?;
                    match n % 4 {
                        0 => Err(Error::Missing(format!("{n}"))),
                        1 => panic!("{n}"),
                        2 => insert(tx, n).map(|()| before),
                        _ => Ok(before),
                    }
                }))
            })
            .collect();
        tokio::task::yield_now().await;
        go.send(()).expect("the job waits");
        first.await.expect("it does not panic").expect("it commits");
        let mut results = Vec::new();
        for job in jobs {
            results.push(job.await.expect("the store caught the panic").map(|stored| stored.value));
        }
        results
    });
    for (n, result) in (1..).zip(results) {
        match n % 4 {
            0 => assert_eq!(result, Err(Error::Missing(format!("{n}")))),
            1 => assert_eq!(result, Err(Error::Panicked(format!("{n}")))),
            2 => assert!(matches!(result, Err(Error::Conflict(_)))),
            _ => assert_eq!(result, Ok(n / 4 + 1), "the earlier jobs of the batch that were kept"),
        }
    }
    let kept: Vec<i64> = (0..=40).filter(|n| *n == 0 || n % 4 == 3).collect();
    assert_eq!(numbers(store), kept);
}

#[test]
fn many_writers_share_commits() {
    let test = postroad_testkit::TestStore::sqlite(&[crate::TABLES]);
    let commits_before = wal_commits(&test);
    wait(async {
        let jobs: Vec<_> =
            (0..500).map(|n| tokio::spawn(test.store.write(Locks::none(), move |tx| insert(tx, n)))).collect();
        for job in jobs {
            job.await.expect("no panic").expect("it commits");
        }
    });
    let commits = wal_commits(&test) - commits_before;
    assert!((1..=100).contains(&commits), "{commits} commits for 500 jobs");
    assert_eq!(numbers(&test.store).len(), 500);
}

/// Commit frames in the write-ahead log: a frame whose header names the size of the database ends a commit.
fn wal_commits(test: &postroad_testkit::TestStore) -> usize {
    let wal = std::fs::read(test.folder().join("postroad.sqlite-wal")).expect("there is a log");
    let page = u32::from_be_bytes(wal[8..12].try_into().expect("four bytes")) as usize;
    wal[32..].chunks_exact(24 + page).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[test]
fn only_a_commit_is_news() {
    each(|test| {
        let store = &test.store;
        let mut ear = store.hub().subscribe(AccountId(7));
        let mut other = store.hub().subscribe(AccountId(8));
        ear.borrow_and_update();
        other.borrow_and_update();
        let undone = store.write_blocking(Locks::account(AccountId(7)), |tx| {
            tx.publish(AccountId(7), ModSeq(3));
            Err::<(), Error>(Error::Missing("x".into()))
        });
        assert!(undone.is_err());
        assert_eq!(*ear.borrow_and_update(), ModSeq(0));
        let stored = store.write_blocking(Locks::account(AccountId(7)), |tx| {
            tx.publish(AccountId(7), ModSeq(4));
            tx.publish(AccountId(7), ModSeq(3));
            Ok::<_, Error>(())
        });
        stored.expect("it commits");
        // The receipt comes after the news.
        assert_eq!(*ear.borrow_and_update(), ModSeq(4));
        assert_eq!(*other.borrow_and_update(), ModSeq(0));
    });
}

#[test]
fn a_reader_keeps_its_snapshot() {
    each(|test| {
        if test.name == "memory" {
            return; // Its jobs run one after the other.
        }
        let store = &test.store;
        store.write_blocking(Locks::none(), |tx| insert(tx, 1)).expect("it commits");
        let (looked, has_looked) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let counts = wait(async {
            let reader = tokio::spawn(store.read(move |tx| {
                let count = || tx.one("SELECT count(*) FROM number", params![], |row| row.int(0));
                let before = count()?;
                looked.send(()).expect("the test waits");
                gone.recv().expect("the test says when");
                Ok::<_, Error>((before, count()?))
            }));
            tokio::task::yield_now().await;
            has_looked.recv().expect("the reader looks");
            store.write(Locks::none(), |tx| insert(tx, 2)).await.expect("it commits");
            go.send(()).expect("the reader waits");
            reader.await.expect("no panic").expect("it reads")
        });
        assert_eq!(counts, (1, 1));
        assert_eq!(numbers(store), [1, 2]);
    });
}

#[test]
fn a_transaction_inside_a_transaction_is_refused() {
    each(|test| {
        let store = test.store.clone();
        let inner = test.store.write_blocking(Locks::none(), move |tx| {
            insert(tx, 1)?;
            let write = store.write_blocking(Locks::none(), |tx| insert(tx, 2)).map(|_| ());
            let read = store.read_blocking(|_| Ok::<_, Error>(()));
            Ok::<_, Error>((write, read))
        });
        let (write, read) = inner.expect("the outer one commits").value;
        assert!(matches!(write, Err(Error::Bug(text)) if text.contains("transactions.rs")));
        assert!(matches!(read, Err(Error::Bug(_))));
        assert_eq!(numbers(&test.store), [1]);
    });
}

#[test]
fn a_reader_cannot_write() {
    each(|test| {
        let wrong = test
            .store
            .read_blocking(|tx| tx.rows("INSERT INTO number (n) VALUES (1) RETURNING n", params![], |row| row.int(0)));
        assert!(matches!(wrong, Err(Error::ReadOnly(_))), "{wrong:?}");
        test.store.write_blocking(Locks::none(), |tx| insert(tx, 1)).expect("writers still write");
    });
}

/// A task of tokio may wait 128 times before it has to return; a thread that waits for the store never returns.
#[test]
fn a_thread_of_a_runtime_may_wait_for_the_store_any_number_of_times() {
    each(|test| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            for n in 0..300_i64 {
                let seen = test.store.read_blocking(move |tx| tx.one("SELECT $1 + 0", params![n], |row| row.int(0)));
                assert_eq!(seen.expect("a number"), n);
            }
        });
    });
}
