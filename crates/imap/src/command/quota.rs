//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 §4.1).

use crate::command::Body;
use crate::cursor::{Cursor, Rule};

/// `getquota = "GETQUOTA" SP quota-root-name`.
pub(super) fn get_quota(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    cursor.text("a quota root").map(Body::GetQuota)
}

/// `setquota = "SETQUOTA" SP quota-root-name SP setquota-list`.
pub(super) fn set_quota(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let root = cursor.text("a quota root")?;
    cursor.space()?;
    let mut limits = Vec::new();
    cursor.list("resources and their limits", |cursor| {
        let resource = cursor.word("a resource")?;
        cursor.space()?;
        limits.push((resource, cursor.number(i64::MAX.cast_unsigned(), "a limit")?));
        Ok(())
    })?;
    Ok(Body::SetQuota { root, limits })
}
