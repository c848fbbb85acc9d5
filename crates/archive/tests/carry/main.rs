//! Mail from files into a store and out again, on every store.
#![allow(clippy::unwrap_used, missing_docs)]

mod batches;
mod broken;
mod hostile;
mod links;
mod round;
mod world;
