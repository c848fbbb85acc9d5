//! The two transaction types.

use crate::{AccountId, BlobId, Error, ModSeq, Param, Prepared, Result, Row, Timestamp, TraceId, trace};
use std::ops::{ControlFlow, Deref, Range};

/// A consistent look at the database.
pub struct ReadTx {}

/// A transaction that changes. What it published is heard once COMMIT succeeded.
///
/// A statement that failed has spoiled the transaction: it cannot commit any more (PostgreSQL's rule, kept on
/// both). What may fail and be survived goes into [`WriteTx::attempt`], or says `ON CONFLICT`.
pub struct WriteTx {
    read: ReadTx,
}

impl Deref for WriteTx {
    type Target = ReadTx;
    fn deref(&self) -> &ReadTx {
        &self.read
    }
}

impl ReadTx {
    /// All rows.
    pub fn rows<T>(
        &self,
        _sql: &str,
        _params: &[Param<'_>],
        _map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        unimplemented!()
    }
    /// The first row, if there is one.
    pub fn row<T>(
        &self,
        _sql: &str,
        _params: &[Param<'_>],
        _map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        unimplemented!()
    }
    /// The first row; [`Error::Missing`] when there is none.
    pub fn one<T>(&self, _sql: &str, _params: &[Param<'_>], _map: impl FnMut(&Row<'_>) -> Result<T>) -> Result<T> {
        unimplemented!()
    }
    /// Row by row without holding them all, until the end or `Break`. Inside, no other statement can run.
    pub fn each(
        &self,
        _sql: &str,
        _params: &[Param<'_>],
        _row: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        unimplemented!()
    }
    /// The bytes of a blob in `range` (cut to its size), checksum verified.
    pub fn blob_read(&self, _blob: BlobId, _range: Range<u64>) -> Result<Vec<u8>> {
        unimplemented!()
    }
    /// All bytes of a blob, head and body.
    pub fn blob_size(&self, _blob: BlobId) -> Result<u64> {
        unimplemented!()
    }
    /// Whether this is PostgreSQL, for the search that has two texts.
    pub fn is_postgres(&self) -> bool {
        unimplemented!()
    }
}

impl WriteTx {
    /// Runs a statement and says how many rows it touched.
    pub fn execute(&mut self, _sql: &str, _params: &[Param<'_>]) -> Result<u64> {
        unimplemented!()
    }
    /// Runs a statement with RETURNING.
    pub fn returning<T>(
        &mut self,
        _sql: &str,
        _params: &[Param<'_>],
        _map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        unimplemented!()
    }
    /// `head` is `INSERT INTO t (a, b)`, `tail` what follows the values (`ON CONFLICT DO NOTHING`, or nothing).
    /// Each row has as many values as the head has columns. Says how many rows were touched.
    pub fn insert_rows<'p, R: AsRef<[Param<'p>]>>(&mut self, _head: &str, _rows: &[R], _tail: &str) -> Result<u64> {
        unimplemented!()
    }
    /// Undoes what `f` did, and only that, when it fails; the transaction goes on.
    pub fn attempt<R, E: From<Error>>(&mut self, _f: impl FnOnce(&mut WriteTx) -> Result<R, E>) -> Result<R, E> {
        unimplemented!()
    }
    /// Says at COMMIT that the account is at this modseq.
    pub fn publish(&mut self, _account: AccountId, _modseq: ModSeq) {
        unimplemented!()
    }
    /// Makes a prepared blob part of this transaction, with one reference.
    pub fn blob_put(&mut self, _prepared: &Prepared) -> Result<BlobId> {
        unimplemented!()
    }
    /// `n` more references.
    pub fn blob_retain(&mut self, _blob: BlobId, _n: i64) -> Result<()> {
        unimplemented!()
    }
    /// `n` fewer references. At 0 the sweeper removes it after its grace.
    pub fn blob_release(&mut self, _blob: BlobId, _n: i64) -> Result<()> {
        unimplemented!()
    }
    /// Adds an event to a message's story; `keys` are what the story can be found by (addresses, message-ids).
    pub fn trace(
        &mut self,
        _id: TraceId,
        _at: Timestamp,
        _event: &trace::TraceEvent<'_>,
        _keys: &[&str],
    ) -> Result<()> {
        unimplemented!()
    }
}
