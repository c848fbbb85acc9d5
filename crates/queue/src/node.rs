//! Who sends, and for how long the others believe that it lives.
use std::time::Duration;

use postroad_store::{Timestamp, WriteTx};

use crate::{Node, Result};

/// How long a node that is not heard of keeps what it has claimed.
pub const LEASE: Duration = Duration::from_secs(120);

/// A node begins its life, or looks after the others: it is alive for a [`LEASE`], and what its former lives and dead
/// nodes have claimed is free. Says how many recipients that were.
pub fn recover(_tx: &mut WriteTx, _node: &Node, _now: Timestamp) -> Result<u64> {
    unimplemented!()
}

/// Alive for another [`LEASE`]. `Lost` when another life has taken this node's name.
pub fn beat(_tx: &mut WriteTx, _node: &Node, _now: Timestamp) -> Result<()> {
    unimplemented!()
}

/// The node stops: what it still has claimed is free at once.
pub fn leave(_tx: &mut WriteTx, _node: &Node) -> Result<u64> {
    unimplemented!()
}
