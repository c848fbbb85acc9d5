//! Outgoing mail: enqueue.
