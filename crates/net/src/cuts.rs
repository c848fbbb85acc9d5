//! Connections whose log-in is cut off: a password was taken away, a program's access, a session of the pages.
//!
//! A session says by what it signed in ([`postroad_protocol::SignedIn`]); the loop waits here beside all that it waits
//! for. What was cut off lately is remembered, so that nobody slips in between being verified and waiting here.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postroad_protocol::SignedIn;
use tokio::sync::watch;

/// Who waits to be cut off, in all listeners of a process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cuts(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<SignedIn, watch::Sender<bool>>,
    /// Accounts, and what was taken away of theirs.
    recent: VecDeque<(i64, i64)>,
    /// At this many entries the ones that nobody waits by are dropped.
    sweep_at: usize,
}

impl Cuts {
    /// Ends the connections that signed in by this password or grant of the account, into whichever.
    pub fn cut(&self, account: i64, by: i64) {
        let mut inner = self.inner();
        inner.end(|who| (who.account, who.by) == (account, by));
        if !inner.recent.contains(&(account, by)) {
            if inner.recent.len() >= RECENT_MAX {
                inner.recent.pop_front();
            }
            inner.recent.push_back((account, by));
        }
    }

    /// Ends the connections of an account that there are now, its delegates' to it with them; whoever signs in again may.
    pub fn cut_account(&self, account: i64) {
        self.inner().end(|who| who.account == account || who.into == account);
    }

    /// Ends the connections of a delegate to an account that there are now.
    pub fn cut_delegate(&self, delegate: i64, into: i64) {
        self.inner().end(|who| (who.account, who.into) == (delegate, into));
    }

    /// Waits to be cut off.
    pub(crate) fn expect(&self, who: SignedIn) -> Cut {
        let mut inner = self.inner();
        if inner.recent.contains(&(who.account, who.by)) {
            return Cut { who, receiver: watch::channel(true).1 };
        }
        if inner.waiting.len() >= inner.sweep_at {
            inner.waiting.retain(|_, sender| sender.receiver_count() > 0);
            inner.sweep_at = (inner.waiting.len() * 2).max(SWEEP_MIN);
        }
        let sender = inner.waiting.entry(who).or_insert_with(|| watch::Sender::new(false));
        Cut { who, receiver: sender.subscribe() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn end(&mut self, gone: impl Fn(&SignedIn) -> bool) {
        self.waiting.retain(|who, waiting| {
            let gone = gone(who);
            if gone {
                // Nobody may be left.
                let _ = waiting.send(true);
            }
            !gone
        });
    }
}

/// One connection's wait.
#[derive(Debug)]
pub(crate) struct Cut {
    who: SignedIn,
    receiver: watch::Receiver<bool>,
}

impl Cut {
    pub(crate) fn who(&self) -> SignedIn {
        self.who
    }

    pub(crate) fn has_happened(&self) -> bool {
        *self.receiver.borrow()
    }

    /// Until it happens, which may be never.
    pub(crate) async fn happens(&mut self) {
        if self.receiver.wait_for(|cut| *cut).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Cuts that are remembered.
const RECENT_MAX: usize = 1_000;
/// Below this many entries nothing is swept.
const SWEEP_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_is_meant_is_cut_off_also_who_comes_too_late() {
        let cuts = Cuts::default();
        let one = SignedIn { account: 1, by: 10, into: 1 };
        let other = SignedIn { by: 11, ..one };
        let (mut first, mut second, stays) = (cuts.expect(one), cuts.expect(one), cuts.expect(other));
        cuts.cut(1, 10);
        first.happens().await;
        second.happens().await;
        assert!(!stays.has_happened());
        assert!(cuts.expect(one).has_happened(), "verified just before");
        assert_eq!(stays.who(), other);
        let elsewhere = cuts.expect(SignedIn { account: 2, by: 12, into: 2 });
        cuts.cut_account(1);
        assert!(stays.has_happened() && !elsewhere.has_happened());
        assert!(!cuts.expect(other).has_happened(), "who signs in again may");
    }

    #[test]
    fn a_delegates_connections_end_with_the_account_with_the_delegation_and_with_the_password() {
        let own = SignedIn { account: 1, by: 10, into: 1 };
        let [theirs, others] = [2, 3].map(|into| SignedIn { into, ..own });
        let ended = |cut: fn(&Cuts)| {
            let cuts = Cuts::default();
            let waits = [own, theirs, others].map(|who| cuts.expect(who));
            cut(&cuts);
            waits.map(|wait| wait.has_happened())
        };
        assert_eq!(ended(|cuts| cuts.cut_account(2)), [false, true, false]);
        assert_eq!(ended(|cuts| cuts.cut_account(1)), [true, true, true]);
        assert_eq!(ended(|cuts| cuts.cut_delegate(1, 2)), [false, true, false]);
        assert_eq!(ended(|cuts| cuts.cut(1, 10)), [true, true, true]);
        assert_eq!(ended(|cuts| cuts.cut(2, 10)), [false, false, false]);
    }

    #[test]
    fn entries_are_bounded_by_connections() {
        let cuts = Cuts::default();
        for by in 0..10_000 {
            drop(cuts.expect(SignedIn { account: 1, by, into: 1 }));
            cuts.cut(2, by);
        }
        assert!(cuts.inner().waiting.len() <= SWEEP_MIN);
        assert_eq!(cuts.inner().recent.len(), RECENT_MAX);
    }
}
