//! News: "account N is at modseq M", said by COMMIT and by nobody else.
//!
//! A hint may be lost (another node's connection was down); the next one heals it, because what changed is
//! read from the database and never from here.

use crate::{AccountId, ModSeq};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Notify, watch};

/// Who listens to which account.
#[derive(Debug, Default)]
pub struct Hub {
    listeners: Mutex<Listeners>,
    changed: Mutex<HashSet<AccountId>>,
    changes: Notify,
}

#[derive(Debug, Default)]
struct Listeners {
    accounts: HashMap<AccountId, watch::Sender<ModSeq>>,
    /// At this many entries the ones that nobody listens to are dropped.
    sweep_at: usize,
}

impl Hub {
    /// News of an account from now on. The value is the newest modseq heard of, 0 at first. It is remembered for a
    /// while after the last listener has gone: a session that listens, looks, and listens again (IDLE) learns of
    /// what came in between.
    pub fn subscribe(&self, account: AccountId) -> watch::Receiver<ModSeq> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.accounts.len() >= listeners.sweep_at {
            listeners.accounts.retain(|_, sender| sender.receiver_count() > 0);
            listeners.sweep_at = (listeners.accounts.len() * 2).max(SWEEP_MIN);
        }
        listeners.accounts.entry(account).or_insert_with(|| watch::Sender::new(ModSeq(0))).subscribe()
    }

    /// Waits until this process has changed accounts, and says which, each once: for whoever works after everybody (the
    /// full-text index). What other processes changed is not among them, and of more than [`CHANGED_MAX`] some are left
    /// out: who asks looks for the rest now and then. One task at a time.
    pub async fn changed(&self) -> Vec<AccountId> {
        loop {
            let news = std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
            if !news.is_empty() {
                return news.into_iter().collect();
            }
            self.changes.notified().await;
        }
    }

    /// What a commit of this process changed.
    pub(crate) fn publish_own(&self, news: &[(AccountId, ModSeq)]) {
        if news.is_empty() {
            return;
        }
        self.publish(news);
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = news.iter().map(|(account, _)| *account).filter(|account| account.0 > 0);
        let room = CHANGED_MAX.saturating_sub(changed.len());
        changed.extend(accounts.take(room));
        drop(changed);
        self.changes.notify_one();
    }

    /// Accounts somebody listens to, or did lately.
    pub fn len(&self) -> usize {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).accounts.len()
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn publish(&self, news: &[(AccountId, ModSeq)]) {
        if news.is_empty() {
            return;
        }
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for (account, modseq) in news {
            let Some(sender) = listeners.accounts.get(account) else { continue };
            sender.send_if_modified(|known| {
                // Modseqs of an account are in the order of commits. What is said under a number that is no account's
                // has no order: two transactions may commit the other way round.
                let newer = *modseq > *known || account.0 <= 0;
                *known = (*known).max(*modseq);
                newer
            });
        }
    }

    /// Wakes everybody: hints may have been lost.
    pub(crate) fn wake_all(&self) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in listeners.accounts.values() {
            sender.send_modify(|_| {});
        }
    }
}

/// Accounts that are remembered as changed until somebody asks.
const CHANGED_MAX: usize = 10_000;
/// Below this many entries nothing is swept.
const SWEEP_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_heard_also_between_two_looks() {
        let hub = Hub::default();
        let mut ear = hub.subscribe(AccountId(1));
        hub.publish(&[(AccountId(1), ModSeq(5)), (AccountId(2), ModSeq(9))]);
        assert!(ear.has_changed().expect("the hub is there"));
        assert_eq!(*ear.borrow_and_update(), ModSeq(5));
        hub.publish(&[(AccountId(1), ModSeq(4))]);
        assert!(!ear.has_changed().expect("the hub is there"), "an older hint is no news");
        hub.wake_all();
        assert!(ear.has_changed().expect("the hub is there"));
        assert_eq!(hub.len(), 1);
        let mut other = hub.subscribe(AccountId(0));
        for modseq in [7, 6] {
            hub.publish(&[(AccountId(0), ModSeq(modseq))]);
            assert!(other.has_changed().expect("the hub is there"), "what is no account's has no order");
            other.borrow_and_update();
        }
        drop(other);
        drop(ear);
        hub.publish(&[(AccountId(1), ModSeq(6)), (AccountId(3), ModSeq(6))]);
        assert_eq!(hub.len(), 2, "nobody listened to account 3");
        assert_eq!(*hub.subscribe(AccountId(1)).borrow(), ModSeq(6), "news between two looks are not lost");
    }

    #[tokio::test]
    async fn what_changed_here_is_told_once() {
        let hub = Hub::default();
        hub.publish(&[(AccountId(9), ModSeq(1))]);
        hub.publish_own(&[(AccountId(1), ModSeq(1)), (AccountId(-5), ModSeq(1))]);
        hub.publish_own(&[(AccountId(1), ModSeq(2))]);
        assert_eq!(hub.changed().await, [AccountId(1)], "not what others changed, nor what is no account");
        hub.publish_own(&[(AccountId(2), ModSeq(1))]);
        assert_eq!(hub.changed().await, [AccountId(2)]);
        for account in 1..=2 * CHANGED_MAX as i64 {
            hub.publish_own(&[(AccountId(account), ModSeq(1))]);
        }
        assert_eq!(hub.changed().await.len(), CHANGED_MAX);
    }

    #[test]
    fn entries_are_bounded_by_listeners() {
        let hub = Hub::default();
        for account in 0..10_000 {
            drop(hub.subscribe(AccountId(account)));
        }
        assert!(hub.len() <= SWEEP_MIN);
    }
}
