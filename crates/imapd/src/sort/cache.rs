//! Sort keys that are kept in memory, shared by all sessions: so that a mailbox's summaries are read for the
//! first SORT, and afterwards only those of new messages.
//!
//! What it never does: keep what could become wrong. A key is one of a message that never changes, under a
//! uid of a mailbox's uidvalidity that is never given twice.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use postroad_mail::MailboxId;
use postroad_store::AccountId;

use crate::sort::column::{Column, Kind};

/// The sort keys that are kept.
#[derive(Debug, Default)]
pub struct SortKeys {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    columns: HashMap<Whose, Entry>,
    octets: usize,
    /// Counts uses, so that what was not used for longest goes first.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    column: Column,
    octets: usize,
    used: u64,
}

/// Whose column it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Whose {
    pub(crate) account: AccountId,
    pub(crate) mailbox: MailboxId,
    pub(crate) uid_validity: u32,
    pub(crate) kind: Kind,
}

impl SortKeys {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing is half done when a panic lets go of it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept, perhaps nothing.
    pub(crate) fn get(&self, whose: &Whose) -> Column {
        let mut kept = self.lock();
        kept.uses += 1;
        let used = kept.uses;
        kept.columns.get_mut(whose).map_or_else(Column::default, |entry| {
            entry.used = used;
            entry.column.clone()
        })
    }

    /// Keeps a column, unless there is one that goes further.
    pub(crate) fn put(&self, whose: Whose, column: &Column) {
        let octets = column.octets() + BESIDE;
        let mut kept = self.lock();
        if octets > COLUMN_OCTETS_MAX
            || kept.columns.get(&whose).is_some_and(|old| old.column.through >= column.through)
        {
            return;
        }
        kept.uses += 1;
        let entry = Entry { column: column.clone(), octets, used: kept.uses };
        let before = kept.columns.insert(whose, entry).map_or(0, |old| old.octets);
        kept.octets = kept.octets + octets - before;
        while kept.octets > OCTETS_MAX {
            let oldest = kept.columns.iter().min_by_key(|(_, entry)| entry.used).map(|(whose, _)| *whose);
            let Some(gone) = oldest.and_then(|oldest| kept.columns.remove(&oldest)) else { break };
            kept.octets -= gone.octets;
        }
    }
}

/// Octets of all that is kept.
const OCTETS_MAX: usize = 128 << 20;
/// Octets of one column: a larger one is made anew for each SORT.
const COLUMN_OCTETS_MAX: usize = OCTETS_MAX / 2;
/// Octets of a column beside its keys, about: a key of ten octets is not kept for ten octets, and an account may have
/// thousands of mailboxes with a message each.
const BESIDE: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_imap::command::SortKey;

    #[test]
    fn many_small_columns_have_a_limit_too() {
        let keys = SortKeys::default();
        let whose = |number| Whose {
            account: AccountId(1),
            mailbox: MailboxId(number),
            uid_validity: 1,
            kind: Kind::Number(SortKey::Size),
        };
        let mut column = Column::EMPTY;
        column.through = 1;
        let most = (OCTETS_MAX / BESIDE) as i64;
        (0..most + 10).for_each(|number| keys.put(whose(number), &column));
        assert_eq!(keys.lock().columns.len(), most as usize);
        assert_eq!((keys.get(&whose(0)).through, keys.get(&whose(most)).through), (0, 1), "the oldest went");
        assert!(keys.lock().octets <= OCTETS_MAX);
    }
}
