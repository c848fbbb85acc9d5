//! What the store promises, on each of its databases.

mod blobs;
mod bytes;
mod faults;
mod migrations;
mod objects;
mod postgres;
mod sql;
mod together;
mod transactions;

use postroad_store::Migration;
use postroad_testkit::TestStore;

/// A table of numbers and a table of one of each kind of column.
pub(crate) const TABLES: &[Migration] = &[Migration {
    owner: "test",
    version: 1,
    sql: "CREATE TABLE number (n BIGINT PRIMARY KEY, note {text}) {clustered};
          CREATE TABLE kind (id {id}, whole BIGINT, word {text}, raw {bytes});
          CREATE TABLE account (account BIGINT PRIMARY KEY, modseq BIGINT NOT NULL);",
}];

pub(crate) fn each(test: impl Fn(&TestStore)) {
    postroad_testkit::each_store(&[TABLES], test);
}
