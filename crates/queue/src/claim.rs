//! Work is handed out.
use postroad_store::{ReadTx, Timestamp, WriteTx};

use crate::{Ask, Job, Node, Result};

/// Hands out work in due order, one job for each message, destination and forwarding address.
pub fn claim(_tx: &mut WriteTx, _ask: &Ask<'_>) -> Result<Vec<Job>> {
    unimplemented!()
}

/// More work for a destination whose connection is open.
pub fn claim_for(
    _tx: &mut WriteTx,
    _node: &Node,
    _domain: &str,
    _jobs: usize,
    _recipients_per_job: usize,
    _now: Timestamp,
) -> Result<Vec<Job>> {
    unimplemented!()
}

/// When [`claim`] may have something again; `None` when nothing waits. `crowded` as in [`Ask`].
pub fn next_due(_tx: &ReadTx, _crowded: &[String]) -> Result<Option<Timestamp>> {
    unimplemented!()
}
