//! Numbers on their way between Rust and SQL.

use postroad_store::{Result, Row};

/// A LIMIT.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A size or count for the database; beyond what it can hold it is cut, far beyond what can be stored.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A size or count from the database. Never negative there; were it, 0 is shown and the audit tells.
pub(crate) fn unsigned(row: &Row<'_>, column: usize) -> Result<u64> {
    Ok(u64::try_from(row.int(column)?).unwrap_or(0))
}

/// A uid, uidvalidity or count below 2^32 from the database.
pub(crate) fn small(row: &Row<'_>, column: usize) -> Result<u32> {
    Ok(u32::try_from(row.int(column)?).unwrap_or(0))
}
