//! How full the queue is, kept and never counted.
//!
//! Each connection to the database keeps a row of its own with what it has added and taken away, so that no two
//! transactions wait for one another here; the sum of all rows is the depth.

use postroad_store::{ReadTx, Timestamp, WriteTx, params};

use crate::Result;

/// How full the queue is, for metrics and the administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages with a recipient that has not ended.
    pub messages: u64,
    /// Recipients that have not ended.
    pub recipients: u64,
    /// When the oldest of these messages came in.
    pub oldest: Option<Timestamp>,
}

/// How full the queue is. One statement that reads a few rows, whatever waits.
pub fn depth(tx: &ReadTx) -> Result<Depth> {
    let depth = tx.one(
        "SELECT CAST(coalesce(sum(messages), 0) AS BIGINT), CAST(coalesce(sum(recipients), 0) AS BIGINT),
                (SELECT min(created) FROM queue_message)
         FROM queue_tally",
        params![],
        |row| {
            Ok(Depth {
                messages: row.int(0)?.unsigned_abs(),
                recipients: row.int(1)?.unsigned_abs(),
                oldest: row.int_or_null(2)?.map(Timestamp),
            })
        },
    )?;
    Ok(depth)
}

/// So many more (or, negative, fewer) messages and recipients.
pub(crate) fn add(tx: &mut WriteTx, messages: i64, recipients: i64) -> Result<()> {
    if (messages, recipients) != (0, 0) {
        tx.execute(
            "INSERT INTO queue_tally (stripe, messages, recipients) VALUES ({backend}, $1, $2)
             ON CONFLICT (stripe) DO UPDATE SET messages = queue_tally.messages + excluded.messages,
                                                recipients = queue_tally.recipients + excluded.recipients",
            params![messages, recipients],
        )?;
    }
    Ok(())
}

/// Takes the rows of connections that are no more into this one's, as far as nobody has them in hand.
pub(crate) fn fold(tx: &mut WriteTx) -> Result<()> {
    let rows = tx.one("SELECT CAST(count(*) AS BIGINT) FROM queue_tally", params![], |row| row.int(0))?;
    if rows < STRIPES_KEPT {
        return Ok(());
    }
    let taken = tx.returning(
        "DELETE FROM queue_tally WHERE stripe IN
            (SELECT stripe FROM queue_tally WHERE stripe <> {backend} ORDER BY stripe LIMIT $1 {free})
         RETURNING messages, recipients",
        params![FOLDED_MAX],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    let (messages, recipients) = taken.iter().fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
    add(tx, messages, recipients)
}

/// Up to so many rows are left as they are.
const STRIPES_KEPT: i64 = 256;
/// Rows folded at a time.
const FOLDED_MAX: i64 = 1000;
