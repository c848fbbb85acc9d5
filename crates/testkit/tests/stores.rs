//! The stores are there, separate, migrated, and gone afterwards.

use postroad_store::{Error, Locks, Migration, Store, params};
use postroad_testkit::{each_store, stores};

const TABLES: &[Migration] = &[Migration { owner: "toy", version: 1, sql: "CREATE TABLE toy (id BIGINT PRIMARY KEY)" }];

#[test]
fn each_kind_of_store_is_fresh() {
    for round in 0..2 {
        each_store(&[TABLES], |test| {
            let before: i64 = test
                .store
                .read_blocking::<_, Error, _>(|tx| tx.one("SELECT count(*) FROM toy", params![], |row| row.int(0)))
                .expect("it can be read");
            assert_eq!(before, 0, "round {round} on {}", test.name);
            test.store
                .write_blocking::<_, Error, _>(Locks::none(), |tx| tx.execute("INSERT INTO toy VALUES (1)", params![]))
                .expect("it can be written");
        });
    }
}

#[test]
fn another_node_opens_the_same_database() {
    for test in stores(&[TABLES]) {
        if test.name == "memory" {
            continue;
        }
        let node = Store::open(test.settings()).expect("it opens a second time");
        node.write_blocking::<_, Error, _>(Locks::none(), |tx| tx.execute("INSERT INTO toy VALUES (7)", params![]))
            .expect("it can be written");
        let seen: i64 = test
            .store
            .read_blocking::<_, Error, _>(|tx| tx.one("SELECT id FROM toy", params![], |row| row.int(0)))
            .expect("it can be read");
        assert_eq!(seen, 7, "{}", test.name);
        node.close();
    }
}

#[test]
fn a_failure_names_its_store() {
    let panic =
        std::panic::catch_unwind(|| each_store(&[TABLES], |test| assert_ne!(test.name, "sqlite", "no {}", test.name)));
    let why = panic.expect_err("one of them fails");
    let why = why.downcast_ref::<String>().expect("a formatted panic");
    assert!(why.starts_with("on the sqlite store: ") && why.contains("no sqlite"), "{why}");
}
