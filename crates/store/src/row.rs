//! One row of an answer, whichever database gave it.

use crate::{Error, Result, pg};
use rusqlite::types::ValueRef;

/// One row of an answer; columns count from 0. Integers of any width, and booleans as 0 and 1, are `int`.
pub struct Row<'a> {
    kind: Kind<'a>,
}

enum Kind<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a postgres::Row),
}

/// One value, borrowed from its row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Row<'a> {
    pub(crate) fn sqlite(row: &'a rusqlite::Row<'a>) -> Row<'a> {
        Row { kind: Kind::Sqlite(row) }
    }

    pub(crate) fn postgres(row: &'a postgres::Row) -> Row<'a> {
        Row { kind: Kind::Postgres(row) }
    }

    /// An integer that is never NULL.
    pub fn int(&self, column: usize) -> Result<i64> {
        self.int_or_null(column)?.ok_or_else(|| unexpected(column, "an integer", Value::Null))
    }

    /// An integer or NULL.
    pub fn int_or_null(&self, column: usize) -> Result<Option<i64>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            other @ (Value::Text(_) | Value::Bytes(_)) => Err(unexpected(column, "an integer", other)),
        }
    }

    /// Whether an integer that is never NULL is not 0.
    pub fn bool(&self, column: usize) -> Result<bool> {
        self.int(column).map(|number| number != 0)
    }

    /// An id or another newtype over an integer: `row.id::<AccountId>(0)?`.
    pub fn id<T: From<i64>>(&self, column: usize) -> Result<T> {
        self.int(column).map(T::from)
    }

    /// Text that is never NULL.
    pub fn text(&self, column: usize) -> Result<String> {
        self.text_or_null(column)?.ok_or_else(|| unexpected(column, "text", Value::Null))
    }

    /// Text that is never NULL, as it lies in the row.
    pub fn str(&self, column: usize) -> Result<&str> {
        match self.value(column)? {
            Value::Text(text) => Ok(text),
            other @ (Value::Null | Value::Int(_) | Value::Bytes(_)) => Err(unexpected(column, "text", other)),
        }
    }

    /// Text or NULL.
    pub fn text_or_null(&self, column: usize) -> Result<Option<String>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text.to_owned())),
            other @ (Value::Int(_) | Value::Bytes(_)) => Err(unexpected(column, "text", other)),
        }
    }

    /// Bytes that are never NULL.
    pub fn bytes(&self, column: usize) -> Result<Vec<u8>> {
        self.bytes_or_null(column)?.ok_or_else(|| unexpected(column, "bytes", Value::Null))
    }

    /// Bytes or NULL.
    pub fn bytes_or_null(&self, column: usize) -> Result<Option<Vec<u8>>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes.to_vec())),
            other @ (Value::Int(_) | Value::Text(_)) => Err(unexpected(column, "bytes", other)),
        }
    }

    /// Bytes or NULL, as they lie in the row.
    pub(crate) fn raw_or_null(&self, column: usize) -> Result<Option<&[u8]>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            other @ (Value::Int(_) | Value::Text(_)) => Err(unexpected(column, "bytes", other)),
        }
    }

    fn value(&self, column: usize) -> Result<Value<'_>> {
        match self.kind {
            Kind::Sqlite(row) => match row.get_ref(column) {
                Ok(ValueRef::Null) => Ok(Value::Null),
                Ok(ValueRef::Integer(number)) => Ok(Value::Int(number)),
                Ok(ValueRef::Text(text)) => std::str::from_utf8(text)
                    .map(Value::Text)
                    .map_err(|_| Error::Corrupt(format!("column {column} has text that is not UTF-8"))),
                Ok(ValueRef::Blob(bytes)) => Ok(Value::Bytes(bytes)),
                Ok(ValueRef::Real(number)) => {
                    Err(Error::Bug(format!("column {column} has the floating point number {number}")))
                }
                Err(error) => Err(Error::Bug(format!("column {column}: {error}"))),
            },
            Kind::Postgres(row) => row
                .try_get::<_, pg::Cell<'_>>(column)
                .map(|cell| cell.0)
                .map_err(|error| Error::Bug(format!("column {column}: {error}"))),
        }
    }
}

fn unexpected(column: usize, wanted: &str, found: Value<'_>) -> Error {
    let found = match found {
        Value::Null => "NULL",
        Value::Int(_) => "an integer",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
    };
    Error::Bug(format!("column {column} is {found} where {wanted} was expected"))
}
