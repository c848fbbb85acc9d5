//! One PostgreSQL connection: how statements run on it, what its values and errors mean.
//!
//! It is opened, used and dropped on one and the same thread.

use crate::dialect::{Dialect, rewrite};
use crate::row::Value;
use crate::sqlite::{Failed, STATEMENTS_MAX, shortened};
use crate::wire::{Failure, Wire};
use crate::{Error, Param, Result, Row};
use postgres::error::{DbError, SqlState};
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use tokio_postgres::{RowStream, Statement};

/// An open connection with its prepared statements.
pub(crate) struct Pg {
    wire: Wire,
    prepared: RefCell<HashMap<String, Statement>>,
}

/// Opens a look.
pub(crate) const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

impl Pg {
    pub(crate) fn new(wire: Wire) -> Pg {
        Pg { wire, prepared: RefCell::default() }
    }

    /// How often an answer was waited for.
    pub(crate) fn journeys(&self) -> u64 {
        self.wire.journeys()
    }

    /// Opens a look; its `BEGIN` goes with the first statement.
    pub(crate) fn begin_read(&self) -> Result<()> {
        self.wire
            .begin_later(BEGIN_READ)
            .map_err(|_| Error::Unavailable("PostgreSQL: the connection was closed".into()))
    }

    /// Ends a look, and waits for nothing.
    pub(crate) fn end_read(&self) {
        self.wire.forget();
    }

    /// Runs a query and shows each row to `each` until it breaks.
    pub(crate) fn query(
        &self,
        sql: &str,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<(), Failed> {
        let statement = self.statement(sql, params)?;
        let mut rows = pin!(self.wire.query(&statement, params).map_err(|failure| self.failed(failure, sql))?);
        while let Some(row) = self.wire.next(rows.as_mut()).map_err(|failure| self.failed(failure, sql))? {
            match each(&Row::postgres(&row)) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return self.rest(rows, sql),
                Err(error) => {
                    self.rest(rows, sql)?;
                    return Err(Failed::Closure(error));
                }
            }
        }
        Ok(())
    }

    /// Hears the rest of a statement that nobody looks at: when it fails there, the server has given up the transaction,
    /// and answers COMMIT as if all were well.
    fn rest(&self, mut rows: Pin<&mut RowStream>, sql: &str) -> Result<(), Failed> {
        while self.wire.next(rows.as_mut()).map_err(|failure| self.failed(failure, sql))?.is_some() {}
        Ok(())
    }

    /// Runs a statement; says how many rows it touched.
    pub(crate) fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, Failed> {
        let statement = self.statement(sql, params)?;
        self.wire.execute(&statement, params).map_err(|failure| self.failed(failure, sql))
    }

    /// Statements without parameters, as they are, in one round trip.
    pub(crate) fn batch(&self, sql: &str) -> Result<()> {
        self.wire.batch(sql).map_err(|failure| fault_of(failure, sql))
    }

    fn statement(&self, sql: &str, params: &[Param<'_>]) -> Result<Statement, Failed> {
        let mut prepared = self.prepared.borrow_mut();
        let statement = match prepared.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let text = rewrite(sql, Dialect::Postgres).map_err(Failed::Statement)?;
                let statement = self.wire.prepare(&text);
                let statement = statement.map_err(|failure| Failed::Statement(fault_of(failure, sql)))?;
                // A set-based INSERT can be long text; all of them together stay bounded.
                if prepared.len() >= STATEMENTS_MAX {
                    prepared.clear();
                }
                prepared.insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        if statement.params().len() != params.len() {
            let wants = statement.params().len();
            return Err(Failed::Statement(Error::Bug(format!("{} values given for {wants}: {sql}", params.len()))));
        }
        Ok(statement)
    }

    fn failed(&self, failure: Failure, sql: &str) -> Failed {
        let Some(error) = failure else { return Failed::Statement(fault_of(None, sql)) };
        // A migration by another node changed a table: plans made before are of no use.
        let stale = |said: &DbError| {
            *said.code() == SqlState::FEATURE_NOT_SUPPORTED && said.routine() == Some("RevalidateCachedQuery")
        };
        if error.as_db_error().is_some_and(stale) {
            self.prepared.borrow_mut().clear();
            return Failed::Statement(Error::Temporary(format!("PostgreSQL: {error} [{}]", shortened(sql))));
        }
        Failed::Statement(fault(&error, sql))
    }
}

fn fault_of(failure: Failure, place: &str) -> Error {
    match failure {
        Some(error) => fault(&error, place),
        None => Error::Unavailable(format!("PostgreSQL: the connection was closed [{}]", shortened(place))),
    }
}

/// What an error of PostgreSQL means. `place` is the statement or the address.
pub(crate) fn fault(error: &postgres::Error, place: &str) -> Error {
    let place = shortened(place);
    let Some(said) = error.as_db_error() else {
        let mut text = format!("PostgreSQL: {error}");
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            text.push_str(&format!(": {inner}"));
            cause = inner.source();
        }
        let text = format!("{text} [{place}]");
        // A value of the wrong type never left this process; everything else is the connection.
        return match error.to_string() {
            message if message.starts_with("error serializing") || message.starts_with("error deserializing") => {
                Error::Bug(text)
            }
            _ => Error::Unavailable(text),
        };
    };
    let text = format!("PostgreSQL: {} {} [{place}]", said.code().code(), said.message());
    match said.code().code() {
        "53100" => Error::Full(text),
        "25006" => Error::ReadOnly(text),
        "40001" | "40P01" => Error::Temporary(text),
        "55P03" | "57014" => Error::Busy(text),
        "23505" => Error::Conflict(said.constraint().unwrap_or("a unique key").to_owned()),
        code if code == "42501" || ["28", "3D"].contains(&&code[..2]) => Error::Settings(text),
        code if ["08", "53", "57", "58"].contains(&&code[..2]) => Error::Unavailable(text),
        code if code.starts_with("XX00") && code != "XX000" => Error::Corrupt(text),
        _ => Error::Bug(text),
    }
}

/// A column's value, whatever its type.
pub(crate) struct Cell<'a>(pub(crate) Value<'a>);

type Unsuitable = Box<dyn std::error::Error + Sync + Send>;

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Unsuitable> {
        Ok(Cell(match *kind {
            Type::INT8 => Value::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Int(i64::from(i32::from_sql(kind, raw)?)),
            Type::INT2 => Value::Int(i64::from(i16::from_sql(kind, raw)?)),
            Type::BOOL => Value::Int(i64::from(bool::from_sql(kind, raw)?)),
            Type::NUMERIC => Value::Int(whole_number(raw).ok_or("a number that is not a 64-bit integer")?),
            Type::BYTEA => Value::Bytes(raw),
            _ => Value::Text(<&str>::from_sql(kind, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Unsuitable> {
        Ok(Cell(Value::Null))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::INT2 | Type::BOOL | Type::NUMERIC | Type::BYTEA)
            || <&str as FromSql>::accepts(kind)
    }
}

/// What `sum()` over BIGINT answers: NUMERIC, in digits of base 10,000.
fn whole_number(raw: &[u8]) -> Option<i64> {
    let word = |place: usize| raw.get(place * 2..place * 2 + 2).map(|two| i16::from_be_bytes([two[0], two[1]]));
    let (digits, weight, sign) = (usize::try_from(word(0)?).ok()?, word(1)?, word(2)?);
    let mut number: i128 = 0;
    for place in 0..digits.max(usize::try_from(i32::from(weight) + 1).unwrap_or(0)) {
        let digit = if place < digits { word(4 + place)? } else { 0 };
        if place as i64 > i64::from(weight) {
            if digit != 0 {
                return None;
            }
            continue;
        }
        number = number.checked_mul(10_000)?.checked_add(i128::from(digit))?;
    }
    match sign {
        0 => i64::try_from(number).ok(),
        0x4000 => i64::try_from(-number).ok(),
        _ => None,
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Unsuitable> {
        match self {
            Param::Null => Ok(IsNull::Yes),
            Param::Int(number) => match *kind {
                Type::INT8 => number.to_sql(kind, out),
                Type::INT4 => i32::try_from(*number)?.to_sql(kind, out),
                Type::INT2 => i16::try_from(*number)?.to_sql(kind, out),
                Type::BOOL => (*number != 0).to_sql(kind, out),
                _ => Err(unsuitable("an integer", kind)),
            },
            Param::Text(text) if <&str as ToSql>::accepts(kind) => text.to_sql(kind, out),
            Param::Text(_) => Err(unsuitable("text", kind)),
            Param::Bytes(bytes) if *kind == Type::BYTEA => bytes.to_sql(kind, out),
            Param::Bytes(_) => Err(unsuitable("bytes", kind)),
            Param::Ints(list) => match *kind {
                Type::INT8_ARRAY => list.as_ref().to_sql(kind, out),
                Type::INT4_ARRAY => narrow::<i32>(list)?.to_sql(kind, out),
                Type::INT2_ARRAY => narrow::<i16>(list)?.to_sql(kind, out),
                _ => Err(unsuitable("a list of integers", kind)),
            },
            Param::Texts(list) => match *kind {
                Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => list.as_ref().to_sql(kind, out),
                _ => Err(unsuitable("a list of texts", kind)),
            },
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn narrow<T: TryFrom<i64>>(list: &[i64]) -> Result<Vec<T>, T::Error> {
    list.iter().map(|number| T::try_from(*number)).collect()
}

fn unsuitable(given: &str, kind: &Type) -> Unsuitable {
    format!("{given} given where the statement has {kind}").into()
}

#[cfg(test)]
mod tests {
    use super::whole_number;

    #[test]
    fn numeric() {
        let words = |words: &[i16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        let table: [(&[i16], Option<i64>); 8] = [
            (&[0, 0, 0, 0], Some(0)),
            (&[1, 0, 0, 0, 42], Some(42)),
            (&[1, 0, 0x4000, 0, 42], Some(-42)),
            (&[1, 1, 0, 0, 3], Some(30_000)),
            (&[2, 1, 0, 0, 1, 2345], Some(12_345)),
            (&[2, 0, 0, 1, 1, 5000], None),
            (&[1, 9, 0, 0, 1], None),
            (&[2, 1, 0, 0, 1], None),
        ];
        for (raw, number) in table {
            assert_eq!(whole_number(&words(raw)), number, "{raw:?}");
        }
    }
}
