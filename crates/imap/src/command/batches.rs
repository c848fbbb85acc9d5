//! UIDBATCHES (RFC 10022).

use crate::command::Body;
use crate::cursor::{Cursor, Rule};

/// UIDBATCHES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidBatches {
    /// Messages of one batch.
    pub size: u32,
    /// The first and the last batch wanted, counted from 1 for the newest messages; `None`: all.
    pub range: Option<(u32, u32)>,
}

/// `"UIDBATCHES" SP nz-number [SP nz-number ":" nz-number]`.
pub(super) fn uid_batches(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let size = cursor.nz_number("how many messages a batch has")?;
    let mut range = None;
    if cursor.more() {
        let first = cursor.nz_number("the first batch")?;
        if !cursor.eat(b':') {
            return cursor.expected(": and the last batch");
        }
        range = Some((first, cursor.nz_number("the last batch")?));
    }
    Ok(Body::UidBatches(UidBatches { size, range }))
}
