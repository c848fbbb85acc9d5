//! One row of an answer.

use crate::Result;

/// One row of an answer; columns count from 0. Integers of any width, and booleans as 0 and 1, are `int`.
pub struct Row<'a> {
    kind: &'a (),
}

impl Row<'_> {
    /// An integer that is never NULL.
    pub fn int(&self, _column: usize) -> Result<i64> {
        unimplemented!()
    }

    /// An integer or NULL.
    pub fn int_or_null(&self, _column: usize) -> Result<Option<i64>> {
        unimplemented!()
    }

    /// Whether an integer that is never NULL is not 0.
    pub fn bool(&self, _column: usize) -> Result<bool> {
        unimplemented!()
    }

    /// An id or another newtype over an integer: `row.id::<AccountId>(0)?`.
    pub fn id<T: From<i64>>(&self, column: usize) -> Result<T> {
        self.int(column).map(T::from)
    }

    /// Text that is never NULL.
    pub fn text(&self, _column: usize) -> Result<String> {
        unimplemented!()
    }

    /// Text or NULL.
    pub fn text_or_null(&self, _column: usize) -> Result<Option<String>> {
        unimplemented!()
    }

    /// Bytes that are never NULL.
    pub fn bytes(&self, _column: usize) -> Result<Vec<u8>> {
        unimplemented!()
    }

    /// Bytes or NULL.
    pub fn bytes_or_null(&self, _column: usize) -> Result<Option<Vec<u8>>> {
        unimplemented!()
    }
}
