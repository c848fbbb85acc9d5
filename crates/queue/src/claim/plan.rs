//! What a claim asks is answered from indexes, in their order, without reading what is not wanted. SQLite says its
//! plans; for PostgreSQL the rows read are counted (`tests/scale.rs`).
#![allow(clippy::unwrap_used)]

use postroad_store::{Error, Locks, Param};
use postroad_testkit::TestStore;

#[test]
fn statements_of_a_claim_go_by_their_indexes() {
    let ids = [1i64, 2];
    let table: Vec<(String, Vec<Param<'static>>, &[&str])> = vec![
        (
            super::NEXT.to_owned(),
            vec![Param::Texts(Vec::new().into())],
            &[
                "SEARCH queue_recipient USING COVERING INDEX queue_recipient_waiting",
                "SEARCH queue_destination USING INDEX queue_destination_due (parked=?)",
                "SEARCH queue_message USING COVERING INDEX queue_message_look",
                "SEARCH queue_recipient USING COVERING INDEX queue_recipient_backlog",
            ],
        ),
        (
            super::due::due_sql(),
            vec![Param::Int(1), Param::Int(1)],
            &["SEARCH queue_recipient USING INDEX queue_recipient_waiting (due<?)"],
        ),
        (
            super::due::urgent_sql(),
            vec![Param::Int(1), Param::Int(1)],
            &["SEARCH queue_recipient USING INDEX queue_recipient_urgent (due<?)"],
        ),
        (super::due::backlog_sql(), vec![Param::Int(1)], &["SCAN queue_recipient USING INDEX queue_recipient_backlog"]),
        (
            super::parked::behind_sql(),
            vec![Param::Text("a"), Param::Int(1), Param::Int(1)],
            &[
                "SEARCH queue_recipient USING INDEX queue_recipient_place (domain=? AND state=? AND due<?)",
                "SEARCH queue_recipient USING INDEX queue_recipient_place (domain=? AND state=?)",
            ],
        ),
        (
            super::late::LATE.to_owned(),
            vec![Param::Int(1), Param::Int(1)],
            &["SEARCH queue_message USING INDEX queue_message_look (look_at<?)"],
        ),
        (
            super::late::EXPIRED.replace("KEY", super::parcel::KEY),
            vec![Param::Ints(ids.to_vec().into()), Param::Int(1), Param::Int(1)],
            &["SEARCH queue_recipient USING PRIMARY KEY (message=?)"],
        ),
        (
            super::parcel::PARK.to_owned(),
            vec![Param::Text("[[1,2,3]]")],
            &["SEARCH queue_recipient USING PRIMARY KEY (message=? AND number=?)"],
        ),
    ];
    let test = TestStore::memory(&[crate::MIGRATIONS]);
    let done = test.store.write_blocking(Locks::none(), move |tx| {
        for (sql, params, expected) in &table {
            let plan = tx.rows(&format!("EXPLAIN QUERY PLAN {sql}"), params, |row| row.text(3))?;
            for line in *expected {
                assert!(plan.iter().any(|said| said.starts_with(line)), "{line} is not the plan of {sql}: {plan:#?}");
            }
            // The list of message numbers is sorted, and nothing else is.
            let read_whole = |said: &&String| {
                (said.contains("SCAN queue_") && !said.contains("INDEX")) || said.contains("TEMP B-TREE FOR ORDER BY")
            };
            assert_eq!(plan.iter().find(read_whole), None, "{sql}: {plan:#?}");
        }
        Ok::<_, Error>(())
    });
    done.unwrap();
}
