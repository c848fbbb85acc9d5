//! The transaction seam of Postroad: [`ReadTx`] looks, [`WriteTx`] changes, and both run inside closures
//! on the store's own threads while the shell awaits the answer.
//!
//! What is here: SQLite with group commit, PostgreSQL with a pool of connection threads, a third store in
//! memory that runs inline; locks, receipts, the hub of news, blobs, migrations, the trace of messages.
//! What never is: mail. No table of an account, no word of a protocol; `mail` and `queue` bring their
//! tables as [`Migration`]s and their SQL through the transaction types.
//!
//! A promise is a value: a [`Receipt`] comes out of a COMMIT that the database confirmed, and from nowhere else.

mod blob;
mod dialect;
pub mod dump;
mod error;
mod herald;
mod hub;
mod id;
mod job;
mod link;
mod lock;
mod migrate;
mod param;
mod pg;
mod pool;
mod quick;
mod receipt;
mod row;
pub mod seal;
mod serve;
mod settings;
mod sqlite;
mod store;
pub mod trace;
mod tx;
mod wire;

pub use blob::{BLOB_INLINE_MAX, BlobBytes, Prepared, Swept, Upload};
pub use error::{Code, Error, Result};
pub use hub::Hub;
pub use id::{AccountId, BlobId, ModSeq, NotAnId, Timestamp, TraceId, new_id};
pub use lock::Locks;
pub use migrate::{MIGRATIONS, Migration};
pub use param::Param;
pub use receipt::{Receipt, Stored};
pub use row::Row;
pub use settings::{BlobPlace, Database, S3, Settings};
pub use store::{Health, Store};
pub use tx::{ReadTx, WriteTx};
