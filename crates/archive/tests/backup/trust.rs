//! What is known of others, what makes them believe us, and who is let in how comes back whole: each table of `trust` and of
//! `identity`, whatever it is called.

use postroad_store::dump::{self, Kind, NOT_DUMPED, Table, Value};
use postroad_store::{Locks, Migration};

use crate::world::{Backups, Blank, each_database, fill, migrations, rows};

/// Tables of which nothing has to come back: none so far.
const LEFT_OUT: &[&str] = &[];

/// Tables that these steps make and that the program makes without them do not.
fn tables_of(steps: &[Migration]) -> Vec<Table> {
    let without: Vec<Migration> =
        migrations().into_iter().filter(|step| !steps.iter().any(|known| known.owner == step.owner)).collect();
    let others: Vec<String> = dump::tables(&without).unwrap().into_iter().map(|table| table.name).collect();
    let all = dump::tables(&migrations()).unwrap();
    all.into_iter().filter(|table| !others.contains(&table.name)).collect()
}

/// A row that says something else in each column and each row.
fn row(table: &Table, number: i64, blob: i64) -> Vec<Value> {
    let value = |(place, column): (usize, &dump::Column)| match (column.name.as_str(), column.kind) {
        ("blob", _) => Value::Int(blob),
        (_, Kind::Int) => Value::Int(number * 100 + place as i64),
        (_, Kind::Text) => Value::Text(format!("{} \u{fc}\u{1f4ee} {number}", column.name)),
        (_, Kind::Bytes) => Value::Bytes(vec![0, 255, number as u8, place as u8]),
    };
    table.columns.iter().enumerate().map(value).collect()
}

#[test]
fn each_table_of_trust_comes_back_whole() {
    let tables = tables_of(postroad_trust::MIGRATIONS);
    for name in
        ["ban", "ban_welcome", "greylist_try", "greylist_known", "greylist_written", "sending_count", "sending_limit"]
    {
        assert!(tables.iter().any(|table| table.name == name), "{name} is a table of trust");
    }
    assert!(tables.len() > 20, "{tables:?}");
    come_back_whole(&tables);
}

#[test]
fn each_table_of_identity_comes_back_whole() {
    let tables = tables_of(postroad_identity::MIGRATIONS);
    for name in [
        "oauth_client",
        "oauth_grant",
        "web_session",
        "signing_identity",
        "second_step",
        "recovery_code",
        "passkey",
        "passkey_challenge",
    ] {
        assert!(tables.iter().any(|table| table.name == name), "{name} is a table of identity");
    }
    come_back_whole(&tables);
}

fn come_back_whole(tables: &[Table]) {
    for table in tables {
        let is_left_out = NOT_DUMPED.contains(&table.name.as_str());
        assert_eq!(is_left_out, LEFT_OUT.contains(&table.name.as_str()), "{}", table.name);
    }
    each_database(|test| {
        fill(&test.store);
        let written = tables.to_vec();
        let blob = test.store.read_blocking(|tx| {
            tx.one("SELECT min(id) FROM blob WHERE refs > 0", postroad_store::params![], |row| row.int(0))
        });
        let blob = blob.unwrap();
        test.store
            .write_blocking(Locks::none(), move |tx| {
                for table in &written {
                    dump::load(tx, table, &[row(table, 1, blob), row(table, 2, blob)])?;
                }
                let references = written.iter().flat_map(|table| &table.columns).filter(|column| column.name == "blob");
                tx.blob_retain(postroad_store::BlobId(blob), 2 * references.count() as i64)
            })
            .unwrap();
        let backups = Backups::new();
        let made = backups.make(&test.store);
        assert!(made.manifest.damaged.is_empty(), "{:?}", made.manifest.damaged);
        for there in [Blank::sqlite(), Blank::postgres()] {
            let restored = backups.restore(&there.store, false).unwrap();
            assert!(restored.lost.is_empty() && restored.complaints.is_empty());
            for table in tables {
                let (here, there) = (rows(&test.store, &table.name), rows(&there.store, &table.name));
                assert_eq!(here.len(), 2, "{}", table.name);
                assert_eq!(there, here, "{}", table.name);
            }
        }
    });
}
