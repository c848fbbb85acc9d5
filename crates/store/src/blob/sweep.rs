//! Removes what nobody refers to: rows whose references are gone, and files and objects that no row names.

use super::{Blobs, Place, folder};
use crate::{Error, Locks, Result, Store, Timestamp, params};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Rows removed.
    pub rows: u64,
    /// Files or objects removed.
    pub objects: u64,
    /// Whether there is more to do now.
    pub more: bool,
}

/// Where the search for orphans goes on. At the end it begins anew.
#[derive(Default)]
pub(crate) struct Progress(Mutex<Option<String>>);

/// One bounded part of the work. Blocks.
pub(crate) fn sweep(store: &Store, blobs: &Blobs, now: Timestamp, grace: Duration) -> Result<Swept> {
    let mut swept = Swept::default();
    let before = now.minus(grace);
    let place = blobs.column();
    let removed = store.write_blocking(Locks::none(), move |tx| {
        // The condition on `refs` is repeated outside: on PostgreSQL somebody may refer to it just now.
        let marked = tx.execute(
            "UPDATE blob SET idle_since = $1 WHERE refs <= 0 AND id IN
                (SELECT id FROM blob {by:blob_idle} WHERE refs <= 0 AND idle_since IS NULL ORDER BY id LIMIT $2)",
            params![now, ROWS_MAX],
        )?;
        let names = tx.returning(
            "DELETE FROM blob WHERE refs <= 0 AND id IN
                (SELECT id FROM blob {by:blob_idle} WHERE refs <= 0 AND idle_since <= $1 AND place IN (0, $3)
                 ORDER BY idle_since, id LIMIT $2)
             AND NOT EXISTS (SELECT 1 FROM blob_pin WHERE until > $4)
             RETURNING name",
            params![before, ROWS_MAX, place, now],
            |row| row.text_or_null(0),
        )?;
        Ok::<_, Error>((marked, names))
    })?;
    let (marked, names) = removed.value;
    swept.rows = names.len() as u64;
    swept.more = marked == u64::from(ROWS_MAX) || swept.rows == u64::from(ROWS_MAX);
    swept.objects += remove_all(blobs, names.into_iter().flatten());
    let (orphans, more) = orphans(store, blobs, now)?;
    swept.objects += remove_all(blobs, orphans.into_iter());
    swept.objects += remove_abandoned(blobs, now);
    swept.more |= more;
    metrics::counter!("postroad_store_blobs_removed").increment(swept.objects);
    Ok(swept)
}

/// What cannot be removed is an orphan that a later sweep finds.
fn remove_all(blobs: &Blobs, names: impl Iterator<Item = String>) -> u64 {
    let mut removed = 0;
    for name in names {
        match blobs.remove(&name) {
            Ok(()) => removed += 1,
            Err(error) => tracing::warn!(%error, name, "a blob that nobody needs could not be removed"),
        }
    }
    removed
}

/// Old files or objects that no row names, among the next few; and whether there are more to look at.
fn orphans(store: &Store, blobs: &Blobs, now: Timestamp) -> Result<(Vec<String>, bool)> {
    let progress = &blobs.sweeper.0;
    let from = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (found, next) = match &blobs.place {
        Place::Folder(folder) => folder.list(from.as_deref(), LOOKED_AT_MAX)?,
        Place::Bucket { bucket, .. } => bucket.list(from, LOOKED_AT_MAX)?,
        Place::Inline => return Ok((Vec::new(), false)),
    };
    let more = next.is_some();
    *progress.lock().unwrap_or_else(PoisonError::into_inner) = next;
    // A blob that is being stored has its file before its row.
    let old = now.minus(ORPHAN_AGE);
    if !found.iter().any(|(name, written)| *written < old && is_ours(name)) {
        return Ok((Vec::new(), more));
    }
    check_home(store, blobs)?;
    let old: Vec<String> =
        found.into_iter().filter(|(name, written)| *written < old && is_ours(name)).map(|(name, _)| name).collect();
    let asked = old.clone();
    let named: HashSet<String> = store
        .read_blocking(move |tx| {
            tx.rows("SELECT name FROM blob WHERE name {in:$1}", params![&asked], |row| row.text(0))
        })?
        .into_iter()
        .collect();
    Ok((old.into_iter().filter(|name| !named.contains(name)).collect(), more))
}

/// Refuses a place that another database keeps its blobs in: its sweeper would take all of them for orphans. The
/// place is marked when the tables are made.
pub(crate) fn check_home(store: &Store, blobs: &Blobs) -> Result<()> {
    let proposed = format!("{}-{:08x}", crate::BlobId(crate::new_id()), crate::id::random_u32());
    let stored = store.write_blocking(Locks::named("blob home"), move |tx| {
        let known = tx.row("SELECT id FROM blob_home", params![], |row| row.text(0))?;
        if let Some(known) = known {
            return Ok::<_, Error>(known);
        }
        tx.execute("INSERT INTO blob_home (id) VALUES ($1)", params![&proposed])?;
        Ok(proposed)
    })?;
    let ours = stored.value;
    let mark = match &blobs.place {
        Place::Folder(folder) => folder.mark(&ours)?,
        Place::Bucket { bucket, .. } => bucket.mark(&ours)?,
        Place::Inline => return Ok(()),
    };
    if mark == ours {
        return Ok(());
    }
    Err(Error::Settings(format!(
        "{} belongs to another database, whose blobs are not touched: give each database a place of its own, or \
         remove {MARK} there if this one took over",
        blobs.place()
    )))
}

/// Uploads that were broken off by a crash.
fn remove_abandoned(blobs: &Blobs, now: Timestamp) -> u64 {
    let Some(arrivals) = blobs.arrivals() else { return 0 };
    let old = now.minus(ORPHAN_AGE);
    let mut removed = 0;
    for (path, written) in arrivals.abandoned(LOOKED_AT_MAX) {
        if written < old && folder::remove(&path).is_ok() {
            removed += 1;
        }
    }
    removed
}

/// Only names that [`super::Upload`] makes are ever removed: an id, a dash, eight hexadecimal digits.
pub(super) fn is_ours(name: &str) -> bool {
    let Some((id, tail)) = name.split_once('-') else { return false };
    id.parse::<crate::BlobId>().is_ok() && tail.len() == 8 && tail.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The file or object that says whose blobs these are.
pub(super) const MARK: &str = "postroad-home";
/// Rows marked, and rows removed, in one sweep.
const ROWS_MAX: u32 = 1000;
/// Files or objects looked at in one sweep.
const LOOKED_AT_MAX: usize = 1000;
/// What no row names is left alone for so long: nothing takes a day between its file and its row.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn other_files_are_left_alone() {
        assert!(is_ours("0123456789abc-00ff00ff"));
        for other in
            ["README", "0123456789abc", "0123456789abc-00ff00f", "0123456789abc-00ff00fz", "-00ff00ff", "..-00000000"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
