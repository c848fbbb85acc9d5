//! Compares what the queue keeps with a recount, and its states with one another. For `postroad check` and tests of
//! crashes.

use postroad_store::{ReadTx, Row, params};

use crate::Result;

/// Checks the whole queue against the invariants of its tables. Reads every row: not for a request. A sentence for
/// each contradiction, at most [`AUDIT_FAULTS_MAX`].
pub fn audit(tx: &ReadTx) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for (what, text) in CHECKS {
        let room = AUDIT_FAULTS_MAX.saturating_sub(faults.len());
        let text = format!("{text} LIMIT {room}");
        let found = tx.rows(&text, params![], |row| Ok(format!("{what}: {}", numbers(row)?)))?;
        faults.extend(found);
    }
    Ok(faults)
}

/// The three numbers that every check answers with.
fn numbers(row: &Row<'_>) -> postroad_store::Result<String> {
    Ok(format!("of {:x} found {} but recounted {}", row.int(0)?, row.int(1)?, row.int(2)?))
}

/// Each check finds rows (what it is about, what is kept, what a recount says) that contradict.
const CHECKS: &[(&str, &str)] = &[
    (
        "open recipients of a message",
        "SELECT m.id, m.open, COALESCE(r.n, 0) FROM queue_message AS m
         LEFT JOIN (SELECT message, CAST(count(*) AS BIGINT) AS n FROM queue_recipient
                    WHERE state IN ('waiting', 'parked', 'backlog', 'claimed', 'held') GROUP BY message) AS r
              ON r.message = m.id
         WHERE m.open <> COALESCE(r.n, 0) OR m.open <= 0",
    ),
    (
        "a recipient without its message",
        "SELECT r.message, r.number, CAST(0 AS BIGINT) FROM queue_recipient AS r
         LEFT JOIN queue_message AS m ON m.id = r.message WHERE m.id IS NULL",
    ),
    (
        "messages in all",
        "SELECT CAST(0 AS BIGINT), t.n, m.n
         FROM (SELECT CAST(COALESCE(sum(messages), 0) AS BIGINT) AS n FROM queue_tally) AS t
         CROSS JOIN (SELECT CAST(count(*) AS BIGINT) AS n FROM queue_message) AS m WHERE t.n <> m.n",
    ),
    (
        "open recipients in all",
        "SELECT CAST(0 AS BIGINT), t.n, r.n
         FROM (SELECT CAST(COALESCE(sum(recipients), 0) AS BIGINT) AS n FROM queue_tally) AS t
         CROSS JOIN (SELECT CAST(count(*) AS BIGINT) AS n FROM queue_recipient
                     WHERE state IN ('waiting', 'parked', 'backlog', 'claimed', 'held')) AS r WHERE t.n <> r.n",
    ),
    (
        "a recipient that is claimed by nobody, or not claimed and somebody's",
        "SELECT message, number, CAST(0 AS BIGINT) FROM queue_recipient
         WHERE (state = 'claimed') <> (node IS NOT NULL) OR (node IS NULL) <> (life IS NULL)",
    ),
    (
        "a recipient that is parked and will not be looked for",
        "SELECT r.message, r.number, CAST(0 AS BIGINT) FROM queue_recipient AS r
         LEFT JOIN queue_destination AS d ON d.domain = r.domain AND d.parked = 1
         WHERE r.state = 'parked' AND d.domain IS NULL",
    ),
];

/// Most contradictions told at a time.
pub const AUDIT_FAULTS_MAX: usize = 100;
