//! Who sends, and for how long the others believe that it lives.
//!
//! A node that cannot renew its lease stops starting attempts before it ends; the others take over after it. The
//! clocks of nodes may differ by much less than a lease.

use std::time::Duration;

use postroad_store::{ReadTx, Timestamp, WriteTx, params};

use crate::{Error, Node, Result, depth};

/// How long a node that is not heard of keeps what it has claimed, when nothing else was said.
pub const LEASE: Duration = Duration::from_secs(120);

/// A node begins its life, or looks after the others (twice in a lease will do): it is alive for its lease, and what its
/// former lives and dead nodes had claimed is free, due as before, no attempt counted; what a wrong clock put off for
/// years is due. Says how many recipients were claimed. `Lost` when a later life has taken this node's name.
pub fn recover(tx: &mut WriteTx, node: &Node, now: Timestamp) -> Result<u64> {
    let ours = tx.execute(
        "INSERT INTO queue_node (node, life, alive_until) VALUES ($1, $2, $3)
         ON CONFLICT (node) DO UPDATE SET life = excluded.life, alive_until = excluded.alive_until
         WHERE queue_node.life <= excluded.life",
        params![node.name(), node.life(), now.plus(node.lease())],
    )?;
    if ours == 0 {
        return Err(Error::Lost);
    }
    let freed = tx.execute(
        "UPDATE queue_recipient SET state = 'waiting', node = NULL, life = NULL
         WHERE node IS NOT NULL AND (node <> $1 OR life <> $2)
           AND (node = $1 OR node NOT IN
                (SELECT q.node FROM queue_node q WHERE q.alive_until > $3 AND q.alive_until <= $4))",
        params![node.name(), node.life(), now, now.plus(FAR)],
    )?;
    let healed = heal(tx, now)?;
    tx.execute("DELETE FROM queue_node WHERE alive_until < $1", params![now.minus(FORGOTTEN_AFTER)])?;
    if freed + healed > 0 {
        crate::news(tx);
    }
    crate::destination::sweep(tx, now)?;
    depth::fold(tx)?;
    Ok(freed)
}

/// Times that a clock wrote which has been put back since: nothing waits for years because a clock was wrong for a
/// minute. Says how many recipients that were. Reads only what lies so far ahead.
fn heal(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    let far = now.plus(FAR);
    let healed = tx.execute(
        "UPDATE queue_recipient SET due = $1 WHERE state = 'waiting' AND due > $2
           AND (attempts > 0 OR EXISTS (SELECT 1 FROM queue_message m WHERE m.id = message AND m.created > $2))",
        params![now, far],
    )?;
    tx.execute(
        "UPDATE queue_destination SET not_before = $1 WHERE parked IN (0, 1) AND not_before > $2",
        params![now, far],
    )?;
    Ok(healed)
}

/// Alive for another lease. `Lost` when another life has taken this node's name.
pub fn beat(tx: &mut WriteTx, node: &Node, now: Timestamp) -> Result<()> {
    let ours = tx.execute(
        "UPDATE queue_node SET alive_until = $3 WHERE node = $1 AND life = $2",
        params![node.name(), node.life(), now.plus(node.lease())],
    )?;
    if ours == 0 { Err(Error::Lost) } else { Ok(()) }
}

/// The node stops: what it still has claimed is free at once. Says how many recipients that were.
pub fn leave(tx: &mut WriteTx, node: &Node) -> Result<u64> {
    let freed = tx.execute(
        "UPDATE queue_recipient SET state = 'waiting', node = NULL, life = NULL WHERE node = $1 AND life = $2",
        params![node.name(), node.life()],
    )?;
    tx.execute("DELETE FROM queue_node WHERE node = $1 AND life = $2", params![node.name(), node.life()])?;
    if freed > 0 {
        crate::news(tx);
    }
    Ok(freed)
}

/// `Lost` unless the others believe that this life of the node lives.
pub(crate) fn check(tx: &ReadTx, node: &Node, now: Timestamp) -> Result<()> {
    let alive = tx.row(
        "SELECT alive_until FROM queue_node WHERE node = $1 AND life = $2",
        params![node.name(), node.life()],
        |row| row.id::<Timestamp>(0),
    )?;
    if alive.is_some_and(|until| until > now) { Ok(()) } else { Err(Error::Lost) }
}

/// No next try, no rest of a destination and no lease is so far ahead.
const FAR: Duration = Duration::from_secs(36 * 60 * 60);
/// The name of a node that has not been heard of for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
