//! What only PostgreSQL can show: several nodes, locks, a server that goes away and comes back.

use crate::TABLES;
use postroad_store::{AccountId, BlobId, Error, Locks, Migration, ModSeq, ReadTx, Settings, Store, WriteTx, params};
use postroad_testkit::postgres::{Durability, Server, run};
use postroad_testkit::run::PATIENCE;
use postroad_testkit::{StopAtEnd, TestStore, eventually, wait};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

/// Raises the account's modseq by reading it and writing it back: only the lock makes that right.
fn raise(tx: &mut WriteTx, account: AccountId) -> Result<ModSeq, Error> {
    let sql = "SELECT modseq FROM account WHERE account = $1";
    let next = tx.one(sql, params![account], |row| row.int(0))? + 1;
    tx.execute("UPDATE account SET modseq = $2 WHERE account = $1", params![account, next])?;
    tx.execute("INSERT INTO number (n, note) VALUES ($1, 'raised')", params![next * 1000 + account.0])?;
    tx.publish(account, ModSeq(next));
    Ok(ModSeq(next))
}

fn with_accounts(store: &Store, count: i64) {
    let made = store.write_blocking(Locks::none(), move |tx| {
        let rows: Vec<_> = (1..=count).map(|account| [account.into(), 0.into()]).collect();
        tx.insert_rows("INSERT INTO account (account, modseq)", &rows, "")
    });
    made.expect("accounts are made");
}

#[test]
fn modseq_order_is_commit_order_between_nodes() {
    let test = TestStore::postgres(&[TABLES]);
    let other = Store::open(test.settings()).expect("a second node opens");
    with_accounts(&test.store, 3);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let at_end = StopAtEnd(&done);
        let watcher = scope.spawn(|| {
            // A snapshot never shows a modseq without all that are below it.
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                let complete = other.read_blocking(|tx| {
                    tx.one(
                        "SELECT (SELECT sum(modseq) FROM account) = (SELECT count(*) FROM number)
                            AND NOT EXISTS (SELECT 1 FROM number x WHERE x.n > 2000
                                            AND NOT EXISTS (SELECT 1 FROM number y WHERE y.n = x.n - 1000))",
                        params![],
                        |row| row.bool(0),
                    )
                });
                assert_eq!(complete, Ok(true));
                looks += 1;
            }
            looks
        });
        let writers: Vec<_> = [&test.store, &other]
            .into_iter()
            .map(|store| {
                scope.spawn(move || {
                    wait(async {
                        let jobs: Vec<_> = (0..60)
                            .map(|n| {
                                // Locks are named in any order; taken in one.
                                let (one, two) = (AccountId(n % 3 + 1), AccountId((n + 1 + n % 2) % 3 + 1));
                                tokio::spawn(store.write(Locks::accounts([one, two]), move |tx| {
                                    raise(tx, one)?;
                                    raise(tx, two)
                                }))
                            })
                            .collect();
                        for job in jobs {
                            job.await.expect("no panic").expect("it commits");
                        }
                    });
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("a writer ends well");
        }
        drop(at_end);
        assert!(watcher.join().expect("the watcher saw no gap") > 0);
    });
    let sum = test.store.read_blocking(|tx| tx.one("SELECT sum(modseq) FROM account", params![], |row| row.int(0)));
    assert_eq!(sum, Ok(240));
}

/// Waits until one node hears of an account what another says, and goes on listening to it.
async fn hear_anything(speaker: &Store, listener: &Store) -> tokio::sync::watch::Receiver<ModSeq> {
    let mut ear = listener.hub().subscribe(AccountId(5));
    // The listener may not be connected yet when the first hint is sent: hints go on until one is heard.
    let mut modseq = 0;
    while ear.borrow_and_update().0 == 0 {
        modseq += 1;
        assert!(modseq < 300, "the other node hears nothing for a minute");
        let stored = speaker.write(Locks::account(AccountId(5)), move |tx| {
            tx.publish(AccountId(5), ModSeq(modseq));
            Ok::<_, Error>(())
        });
        stored.await.expect("it commits");
        let _ = tokio::time::timeout(std::time::Duration::from_millis(200), ear.changed()).await;
    }
    ear
}

#[test]
fn news_reach_other_nodes() {
    let test = TestStore::postgres(&[TABLES]);
    let other = Store::open(test.settings()).expect("a second node opens");
    wait(async {
        let mut ear = hear_anything(&test.store, &other).await;
        // From now on it listens: everything is heard.
        let many = move |tx: &mut WriteTx| {
            (0..500).for_each(|account| tx.publish(AccountId(account), ModSeq(1000)));
            Ok::<_, Error>(())
        };
        test.store.write(Locks::none(), many).await.expect("it commits");
        let all = ear.wait_for(|modseq| *modseq == ModSeq(1000));
        tokio::time::timeout(PATIENCE, all).await.expect("it is heard in time").expect("the hub is there");
    });
}

/// `BEGIN` goes with the first statement, and nobody waits for the end of a look.
#[test]
fn a_look_costs_a_journey_for_each_statement_and_no_more() {
    let test = TestStore::postgres(&[TABLES]);
    let store = Store::open(Settings { readers: 1, ..test.settings() }).expect("it opens");
    let mut last = None;
    for round in 1..=40 {
        let insert = move |tx: &mut WriteTx| tx.execute("INSERT INTO number (n) VALUES ($1)", params![round]);
        store.write_blocking(Locks::none(), insert).expect("it commits");
        let look = move |tx: &ReadTx| {
            let before = tx.journeys();
            let count = tx.one("SELECT count(*) FROM number", &[], |row| row.int(0))?;
            let rows = tx.rows("SELECT n FROM number ORDER BY n", &[], |row| row.int(0))?;
            assert_eq!((count, rows.len() as i64), (round, round));
            Ok::<_, Error>((before, tx.journeys()))
        };
        let (before, after) = store.read_blocking(look).expect("it is read");
        if let Some(end) = last {
            assert_eq!((before, after), (end, end + 2), "in round {round}");
        }
        // One that asks nothing makes no journey, and one that fails leaves nothing behind.
        store.read_blocking(|_| Ok::<_, Error>(())).expect("nothing is read");
        let wrong = |tx: &ReadTx| tx.one("SELECT 1 / (n - n) FROM number", &[], |row| row.int(0));
        assert!(store.read_blocking(wrong).is_err());
        let (_, after) = store.read_blocking(look).expect("it is read");
        last = Some(after);
    }
}

/// What an account has is found by its key, also when the statistics know of others alone.
#[test]
fn plans_do_not_go_by_whose_rows_were_counted() {
    let test = TestStore::postgres(&[&[Migration {
        owner: "plans",
        version: 1,
        sql: "CREATE TABLE a (account BIGINT NOT NULL, id BIGINT NOT NULL, PRIMARY KEY (account, id));
              CREATE TABLE b (account BIGINT NOT NULL, id BIGINT NOT NULL, PRIMARY KEY (account, id))",
    }]]);
    let fill = |account: i64| {
        let fill = move |tx: &mut WriteTx| {
            for table in ["a", "b"] {
                let sql = format!("INSERT INTO {table} SELECT $1, n FROM generate_series(1, CAST($2 AS BIGINT)) AS n");
                tx.execute(&sql, params![account, 5_000i64])?;
            }
            if account == 1 { tx.execute("ANALYZE", &[]).map(drop) } else { Ok(()) }
        };
        test.store.write_blocking(Locks::none(), fill).expect("it commits");
    };
    (1..=2).for_each(fill);
    let look = |tx: &ReadTx| {
        let join =
            "SELECT count(*) FROM a JOIN b ON b.account = a.account AND b.id = a.id WHERE a.account = $1 AND a.id < $2";
        let found = tx.one(join, params![2i64, 4_000i64], |row| row.int(0))?;
        tx.rows(&format!("PREPARE joined AS {join}"), &[], |_| Ok(()))?;
        let plan = tx.rows("EXPLAIN (COSTS OFF) EXECUTE joined(2, 4000)", &[], |row| row.text(0))?;
        Ok::<_, Error>((found, plan.join("\n")))
    };
    let (found, plan) = test.store.read_blocking(look).expect("it is read");
    assert_eq!(found, 3_999);
    assert!(!plan.contains("Join Filter"), "each of one with each of the other:\n{plan}");
}

#[test]
fn blobs_that_are_read_ahead_cost_one_journey() {
    let test = TestStore::postgres(&[TABLES]);
    let store = Store::open(Settings { readers: 1, ..test.settings() }).expect("it opens");
    let bytes = |number: usize| format!("message {number} ").repeat(100 * number).into_bytes();
    let prepared: Vec<_> = (0..12)
        .map(|number| {
            let mut upload = store.upload();
            upload.write(&bytes(number)).expect("it is taken");
            upload.finish(Vec::new()).expect("it is safe")
        })
        .collect();
    let ids: Vec<BlobId> = prepared.iter().map(postroad_store::Prepared::id).collect();
    let put = move |tx: &mut WriteTx| prepared.iter().try_for_each(|one| tx.blob_put(one).map(drop));
    store.write_blocking(Locks::none(), put).expect("it commits");
    let (damaged, gone) = (ids[5], BlobId(1));
    let wrong = move |tx: &mut WriteTx| tx.execute("UPDATE blob SET data = 'x' WHERE id = $1", params![damaged]);
    store.write_blocking(Locks::none(), wrong).expect("it commits");
    let look = move |tx: &ReadTx| {
        let sizes = ids.iter().enumerate().map(|(number, id)| (*id, bytes(number).len() as u64));
        tx.blobs_ahead(sizes.chain([(gone, 7)]))?;
        let before = tx.journeys();
        for (number, id) in ids.iter().enumerate().filter(|(number, _)| *number != 5) {
            assert_eq!(tx.blob_read(*id, 0..u64::MAX)?, bytes(number));
        }
        assert_eq!(tx.journeys(), before, "all of them were there");
        assert!(matches!(tx.blob_read(damaged, 0..10), Err(Error::Corrupt(_))));
        assert!(matches!(tx.blob_read(gone, 0..10), Err(Error::Missing(_))));
        tx.blobs_ahead([(ids[1], 1000), (ids[2], 2000)])?;
        assert_eq!(tx.blob_read(ids[2], 3..20)?, bytes(2)[3..20]);
        // Given out once, and read again after that.
        assert_eq!(*tx.blob_whole(ids[2])?, bytes(2));
        Ok::<_, Error>(tx.journeys() - before)
    };
    // Two that are not ahead, the second time ahead, the one that was given out; and a statement is prepared.
    assert_eq!(store.read_blocking(look).expect("it is read"), 5);
}

#[test]
fn a_lock_excludes_only_its_own() {
    let test = TestStore::postgres(&[TABLES]);
    with_accounts(&test.store, 2);
    wait(async {
        let (entered, has_entered) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let holder = tokio::spawn(test.store.write(Locks::account(AccountId(1)), move |tx| {
            entered.send(()).expect("the test waits");
            gone.recv().expect("the test says when");
            raise(tx, AccountId(1))
        }));
        tokio::task::yield_now().await;
        has_entered.recv().expect("it has the lock");
        // More of them than there are threads.
        let same: Vec<_> = (0..20)
            .map(|_| tokio::spawn(test.store.write(Locks::account(AccountId(1)), |tx| raise(tx, AccountId(1)))))
            .collect();
        tokio::task::yield_now().await;
        let other = test.store.write(Locks::account(AccountId(2)), |tx| raise(tx, AccountId(2)));
        assert_eq!(other.await.expect("another account goes on").value, ModSeq(1));
        assert!(same.iter().all(|job| !job.is_finished()), "the same account waits");
        go.send(()).expect("the holder waits");
        assert_eq!(holder.await.expect("no panic").expect("it commits").value, ModSeq(1));
        for (job, modseq) in same.into_iter().zip(2..) {
            let raised = job.await.expect("no panic").expect("it commits").value;
            assert_eq!(raised, ModSeq(modseq), "in the order they came");
        }
    });
}

#[test]
fn more_accounts_than_one_transaction_may_lock_are_locked_all_the_same() {
    let many = Locks::MAX as i64 + 1;
    let test = TestStore::postgres(&[TABLES]);
    let other = Store::open(test.settings()).expect("a second node opens");
    with_accounts(&test.store, many);
    wait(async {
        let (entered, has_entered) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let all = Locks::accounts((1..=many).map(AccountId));
        let holder = tokio::spawn(test.store.write(all.clone(), move |tx| {
            entered.send(()).expect("the test waits");
            gone.recv().expect("the test says when");
            raise(tx, AccountId(many))
        }));
        tokio::task::yield_now().await;
        has_entered.recv().expect("it has its locks");
        let waits = tokio::spawn(other.write(Locks::account(AccountId(many)), move |tx| raise(tx, AccountId(many))));
        // What needs no account goes on.
        other.write(Locks::named("something else"), |_| Ok::<_, Error>(())).await.expect("it commits");
        assert!(!waits.is_finished(), "another node's account waits");
        go.send(()).expect("the holder waits");
        assert_eq!(holder.await.expect("no panic").expect("it commits").value, ModSeq(1));
        assert_eq!(waits.await.expect("no panic").expect("it commits").value, ModSeq(2));
        let again = test.store.write(all, move |tx| raise(tx, AccountId(many))).await;
        assert_eq!(again.expect("it commits").value, ModSeq(3));
    });
}

#[test]
fn a_statement_that_fails_after_its_first_row_commits_nothing() {
    let test = TestStore::postgres(&[TABLES]);
    let outcome = test.store.write_blocking(Locks::none(), |tx| {
        tx.execute("INSERT INTO number (n, note) VALUES (1, 'written before')", params![])?;
        // The first row is good, the second divides by zero: who looks at one row only must hear of it.
        tx.row("SELECT CAST(1 / (2 - n) AS BIGINT) FROM generate_series(1, 3) AS n", params![], |row| row.int(0))
    });
    let there = test.store.read_blocking(|tx| tx.one("SELECT count(*) FROM number", params![], |row| row.int(0)));
    assert!(outcome.is_err() && there == Ok(0), "{outcome:?}, {there:?} rows are there");
}

#[test]
fn a_server_that_restarts_under_load_loses_nothing_acknowledged() {
    let server = Server::start(Durability::Synced);
    let mut settings = Settings::memory();
    settings.database = postroad_store::Database::Postgres(server.fresh_database());
    settings.patience = std::time::Duration::from_millis(300);
    let store = Store::open(settings.clone()).expect("it opens");
    store.migrate(TABLES).expect("tables are made");
    let other = Store::open(settings).expect("a second node opens");
    with_accounts(&store, 4);
    let down = AtomicBool::new(false);
    let stop = AtomicBool::new(false);
    let (acknowledged, refused_while_down) = std::thread::scope(|scope| {
        let at_end = StopAtEnd(&stop);
        let clients: Vec<_> = (1..=4)
            .map(|account| {
                let (store, down, stop) = (&store, &down, &stop);
                scope.spawn(move || {
                    let (mut good, mut refused) = (Vec::new(), 0);
                    while !stop.load(Ordering::Relaxed) {
                        let account = AccountId(account);
                        match store.write_blocking(Locks::account(account), move |tx| raise(tx, account)) {
                            Ok(stored) => good.push((account, stored.value)),
                            Err(error @ (Error::Unavailable(_) | Error::OutcomeUnknown(_))) => {
                                assert!(error.is_temporary());
                                refused += usize::from(down.load(Ordering::Relaxed));
                            }
                            Err(error) => panic!("another error: {error:?}"),
                        }
                    }
                    (good, refused)
                })
            })
            .collect();
        let count = || store.read_blocking(|tx| tx.one("SELECT count(*) FROM number", params![], |row| row.int(0)));
        let grow = |from: i64| eventually("more", || count().is_ok_and(|now| now > from).then_some(()));
        for _ in 0..3 {
            let before = eventually("the count", || count().ok());
            grow(before + 20);
            server.stop();
            down.store(true, Ordering::Relaxed);
            let health = store.health();
            assert!(matches!(health, Err(Error::Unavailable(_))), "{health:?}");
            let (state, failed) = wait(store.write_with(Locks::none(), "session", |_, _| Ok::<_, Error>(())));
            assert_eq!(state, Some("session"), "the session comes back");
            assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
            down.store(false, Ordering::Relaxed);
            server.start_again();
            grow(before + 20);
        }
        drop(at_end);
        let ended: Vec<_> = clients.into_iter().map(|client| client.join().expect("a client ends well")).collect();
        let refused: usize = ended.iter().map(|(_, refused)| refused).sum();
        (ended.into_iter().flat_map(|(good, _)| good).collect::<Vec<_>>(), refused)
    });
    assert!(refused_while_down > 0, "it was down while clients wrote");
    let present =
        store.read_blocking(|tx| tx.rows("SELECT n FROM number", params![], |row| row.int(0))).expect("it is read");
    for (account, modseq) in &acknowledged {
        assert!(present.contains(&(modseq.0 * 1000 + account.0)), "{account} at {modseq} was acknowledged and is lost");
    }
    assert!(acknowledged.len() >= 60, "{}", acknowledged.len());
    assert!(store.health().expect("full service again").writable);
    // News too, in both directions.
    wait(async {
        hear_anything(&store, &other).await;
        hear_anything(&other, &store).await;
    });
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let mut settings = Settings::memory();
    settings.database = postroad_store::Database::Postgres("postgres://nobody@127.0.0.1:1/none".into());
    let error = Store::open(settings).map(|_| ()).expect_err("nobody listens there");
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("127.0.0.1:1/none")), "{error:?}");
}

#[test]
fn tls_is_verified() {
    let server = Server::start(Durability::Fast);
    let url = server.fresh_database();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate can be made");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let root = folder.path().join("root.pem");
    std::fs::write(&root, made.cert.pem()).expect("it can be written");
    // The server writes its own files, so that they are its own.
    let copy = |pem: &str, file: &str| {
        run(&url, &format!("COPY (SELECT '{}') TO PROGRAM 'umask 077; tr _ \"\\n\" >{file}'", pem.replace('\n', "_")));
    };
    copy(&made.cert.pem(), "server.crt");
    copy(&made.signing_key.serialize_pem(), "server.key");
    run(&url, "ALTER SYSTEM SET ssl = on");
    run(&url, "SELECT pg_reload_conf()");
    let open = |parameters: &str| {
        let mut settings = Settings::memory();
        settings.database = postroad_store::Database::Postgres(format!("{url}?{parameters}"));
        Store::open(settings)
    };
    let good = format!("sslmode=verify-full&sslrootcert={}", root.display());
    // The server takes up its new settings in its own time.
    let store = std::iter::repeat_with(|| open(&good)).take(200).find_map(Result::ok).expect("it opens with TLS");
    let secured = store.read_blocking(|tx| {
        tx.one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", params![], |row| row.bool(0))
    });
    assert_eq!(secured, Ok(true));
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate can be made");
    std::fs::write(&root, other.cert.pem()).expect("it can be written");
    let stranger = open(&good).map(|_| ()).expect_err("another authority");
    assert!(matches!(stranger, Error::Unavailable(_)), "{stranger:?}");
    std::fs::write(&root, "").expect("it can be written");
    let empty = open(&good).map(|_| ()).expect_err("no authority");
    assert!(matches!(&empty, Error::Settings(text) if text.contains("sslrootcert")), "{empty:?}");
}
