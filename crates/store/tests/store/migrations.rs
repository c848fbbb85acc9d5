//! Tables are made once, by whoever comes first, and never by an older program.

use crate::each;
use postroad_store::{BlobId, BlobPlace, Database, Error, Locks, MIGRATIONS, Migration, Settings, Store};
use postroad_store::{Timestamp, TraceId, params, trace};
use postroad_testkit::postgres;

const ONE: Migration = Migration { owner: "x", version: 1, sql: "CREATE TABLE x (a BIGINT); -- {nothing}\n" };
const TWO: Migration =
    Migration { owner: "x", version: 2, sql: "ALTER TABLE x ADD COLUMN b {text}; INSERT INTO x VALUES (1, 'b')" };

fn count(store: &Store) -> i64 {
    store.read_blocking(|tx| tx.one("SELECT count(*) FROM x", params![], |row| row.int(0))).expect("the table is there")
}

#[test]
fn once_each_and_never_twice() {
    each(|test| {
        let store = &test.store;
        store.migrate(&[ONE]).expect("the first");
        assert_eq!(count(store), 0);
        store.migrate(&[ONE, TWO]).expect("the second");
        store.migrate(&[ONE, TWO]).expect("nothing");
        store.migrate(MIGRATIONS).expect("others are left alone");
        assert_eq!(count(store), 1);
        let older = store.migrate(&[ONE]);
        assert!(matches!(&older, Err(Error::Schema(text)) if text.contains("version 2")), "{older:?}");
        let changed = store.migrate(&[ONE, Migration { sql: "SELECT 1", ..TWO }]);
        assert!(matches!(changed, Err(Error::Schema(_))), "{changed:?}");
        let gap = store.migrate(&[TWO]);
        assert!(matches!(gap, Err(Error::Bug(_))), "{gap:?}");
    });
}

#[test]
fn a_step_that_fails_leaves_nothing() {
    each(|test| {
        let store = &test.store;
        let wrong = Migration { owner: "x", version: 1, sql: "CREATE TABLE x (a BIGINT); INSERT INTO y VALUES (1)" };
        assert!(matches!(store.migrate(&[wrong]), Err(Error::Bug(_))));
        store.migrate(&[ONE]).expect("the table is not there, and the step is not recorded");
    });
}

#[test]
fn a_node_that_runs_while_another_changes_its_tables_goes_on() {
    each(|test| {
        let look = || test.store.read_blocking(|tx| tx.rows("SELECT * FROM x", params![], |row| row.int(0)));
        test.store.migrate(&[ONE]).expect("the first");
        assert_eq!(look(), Ok(vec![]));
        test.store.migrate(&[ONE, TWO]).expect("the second");
        // Each of its connections may meet its old plan once.
        let stale = (0..10).map(|_| look()).filter(|outcome| *outcome != Ok(vec![1])).collect::<Vec<_>>();
        assert!(stale.len() <= test.settings().readers, "{stale:?}");
        assert!(stale.iter().all(|outcome| matches!(outcome, Err(Error::Temporary(_)))), "{stale:?}");
    });
}

#[test]
fn nodes_that_start_together_wait_for_each_other() {
    each(|test| {
        if test.name == "memory" {
            return; // Nobody else can open it.
        }
        let nodes: Vec<Store> = (0..3).map(|_| Store::open(test.settings()).expect("it opens")).collect();
        std::thread::scope(|scope| {
            for node in &nodes {
                scope.spawn(|| node.migrate(&[ONE, TWO]).expect("each succeeds"));
            }
        });
        assert_eq!(count(&test.store), 1);
        nodes[1].write_blocking(Locks::none(), |tx| tx.execute("DELETE FROM x", params![])).expect("usable");
    });
}

/// A blob of each kind and two stories, as version 4 had them.
const OLDER: &str = "
    INSERT INTO blob (id, size, stored_size, encoding, place, hash, data, refs) VALUES (7, 3, 3, 0, 0, $1, $2, 2);
    INSERT INTO blob (id, size, stored_size, encoding, place, hash, head, chunks, name, refs, idle_since)
        VALUES (8, 9, 9, 0, 1, $1, $2, $2, 'a name', 0, 5);
    INSERT INTO trace (story, at, kind, detail) VALUES (3000, 10, 'connect', 'one');
    INSERT INTO trace (story, at, kind, detail) VALUES (2000, 5, 'connect', 'other');
    INSERT INTO trace (story, at, kind, detail) VALUES (3000, 10, 'filed', 'two');
    INSERT INTO trace_key (name, story, at) VALUES ('a@x.example', 3000, 10);
    INSERT INTO trace_key (name, story, at) VALUES ('a@x.example', 2000, 86400000005)";

#[test]
fn what_an_older_version_stored_is_there() {
    let url = postgres::fresh_database();
    for database in [Database::Memory, Database::Postgres(url.clone())] {
        let store = Store::open(Settings::new(database, BlobPlace::Inline)).expect("it opens");
        store.migrate(&MIGRATIONS[..4]).expect("the older tables");
        let hash = *blake3::hash(b"abc").as_bytes();
        let done = store.write_blocking(Locks::none(), move |tx| {
            for statement in OLDER.split(';') {
                match statement.contains("$1") {
                    true => tx.execute(statement, params![&hash, b"abc".as_slice()])?,
                    false => tx.execute(statement, params![])?,
                };
            }
            Ok::<_, Error>(())
        });
        done.expect("rows as they were");
        store.migrate(MIGRATIONS).expect("brought up to date");
        let done = store.write_blocking(Locks::none(), |tx| {
            assert_eq!(tx.blob_read(BlobId(7), 0..9)?, b"abc");
            let large = "SELECT size, place, name, refs, idle_since, head = chunks FROM blob WHERE id = 8";
            let large = tx.one(large, params![], |row| {
                let idle = row.int(4)?;
                Ok((row.int(0)?, row.int(1)?, row.text(2)?, row.int(3)?, idle, row.bool(5)?))
            })?;
            assert_eq!(large, (9, 1, "a name".to_owned(), 0, 5, true));
            assert!(matches!(tx.blob_release(BlobId(9), 1), Err(Error::Missing(_))));
            Err::<(), _>(Error::Missing("that was all".into()))
        });
        assert_eq!(done.map(|_| ()), Err(Error::Missing("that was all".into())));
        let done = store.write_blocking(Locks::none(), |tx| {
            let event = trace::TraceEvent { kind: "sent", detail: "three" };
            tx.trace(TraceId(3000), Timestamp(10), &event, &["a@x.example"])?;
            let story = trace::story(tx, TraceId(3000))?;
            let details: Vec<&str> = story.iter().map(|event| event.detail.as_str()).collect();
            assert_eq!(details, ["one", "two", "three"], "what is new comes after what was there");
            assert_eq!(trace::find(tx, "a@x.example", Timestamp(0), 9)?, [TraceId(3000), TraceId(2000)]);
            assert_eq!(trace::find(tx, "a@x.example", Timestamp(11), 9)?, [TraceId(2000)]);
            Ok::<_, Error>(())
        });
        done.expect("stories are told");
        store.close();
    }
    postgres::drop_database(&url);
}
