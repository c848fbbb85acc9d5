//! Tables are made once, by whoever comes first, and never by an older program.

use crate::each;
use postroad_store::{Error, Locks, MIGRATIONS, Migration, Store, params};

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
