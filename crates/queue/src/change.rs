//! What the administrator orders.
use postroad_store::{Timestamp, WriteTx};

use crate::{QueueId, Result};

/// Which messages an order is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// One.
    Message(QueueId),
    /// All recipients of this domain.
    Domain(String),
    /// All messages of this MAIL FROM; empty for the null sender.
    Sender(String),
    /// All.
    All,
}

/// What an order changed. It is carried out in parts: while `next` is there, call again with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Messages of which a recipient was changed.
    pub messages: u64,
    /// Recipients changed.
    pub recipients: u64,
    /// Recipients left alone because they are being sent.
    pub busy: u64,
    /// Where to go on.
    pub next: Option<QueueId>,
}

/// Due at once, whatever their destination's state.
pub fn retry(_tx: &mut WriteTx, _which: &Which, _after: Option<QueueId>, _now: Timestamp) -> Result<Changed> {
    unimplemented!()
}

/// Not to be sent until released.
pub fn hold(_tx: &mut WriteTx, _which: &Which, _after: Option<QueueId>, _now: Timestamp) -> Result<Changed> {
    unimplemented!()
}

/// What was held may be sent.
pub fn release(_tx: &mut WriteTx, _which: &Which, _after: Option<QueueId>, _now: Timestamp) -> Result<Changed> {
    unimplemented!()
}

/// Never to be sent, and nobody is told. What is being sent is left alone.
pub fn cancel(_tx: &mut WriteTx, _which: &Which, _after: Option<QueueId>, _now: Timestamp) -> Result<Changed> {
    unimplemented!()
}
