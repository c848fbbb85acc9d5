//! What a write excludes others from. On SQLite there is one writer, so locks cost and do nothing there.

use crate::AccountId;

/// The locks of one write, sorted and without repeats, so that two writes never wait for each other in a ring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locks(Vec<i64>);

impl Locks {
    /// No lock: for rows that nobody else writes, or that are only added.
    pub fn none() -> Locks {
        Locks(Vec::new())
    }

    /// One account: whoever raises its modseq holds this.
    pub fn account(account: AccountId) -> Locks {
        Locks(vec![account.0])
    }

    /// Several accounts, in any order, repeats allowed.
    pub fn accounts(accounts: impl IntoIterator<Item = AccountId>) -> Locks {
        Locks(accounts.into_iter().map(|account| account.0).collect()).sorted()
    }

    /// A lock by name, for what is not an account (`"domains"`, `"queue"`).
    pub fn named(name: &str) -> Locks {
        Locks(vec![named_key(name)])
    }

    /// These and those.
    pub fn and(mut self, other: Locks) -> Locks {
        self.0.extend(other.0);
        self.sorted()
    }

    /// More accounts than this in one transaction would fill PostgreSQL's table of locks: such a transaction excludes
    /// all others that write to any account instead.
    pub const MAX: usize = 1000;

    /// The keys, rising.
    pub(crate) fn keys(&self) -> &[i64] {
        &self.0
    }

    fn sorted(mut self) -> Locks {
        self.0.sort_unstable();
        self.0.dedup();
        self
    }
}

/// Names take negative keys; accounts are positive.
pub(crate) fn named_key(name: &str) -> i64 {
    let hash = blake3::hash(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_le_bytes(first) | i64::MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_without_repeats() {
        let locks =
            Locks::accounts([7, 3, 7, 5].map(AccountId)).and(Locks::named("queue")).and(Locks::account(AccountId(5)));
        assert_eq!(locks.keys().len(), 4);
        assert!(locks.keys().windows(2).all(|pair| pair[0] < pair[1]));
        assert!(locks.keys()[0] < 0 && locks.keys()[1..] == [3, 5, 7]);
    }
}
