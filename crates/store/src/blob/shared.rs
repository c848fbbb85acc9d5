//! One fsync for all who wait for it.
//!
//! Invariant: [`SharedSync::run`] says that it succeeded only when a sync that began after the call did, and none failed
//! meanwhile.

use crate::{Error, Result};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What is synced again and again by many.
#[derive(Default)]
pub(super) struct SharedSync {
    state: Mutex<State>,
    ended: Condvar,
}

/// Syncs are numbered from 1.
#[derive(Default)]
struct State {
    begun: u64,
    done: u64,
    /// The last one that failed: those who waited for it must hear of it, the system tells only once.
    failed: Option<(u64, Error)>,
}

impl SharedSync {
    /// Waits for a sync that begins from now on: one that another caller makes, or one by `sync`.
    pub(super) fn run(&self, sync: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut state = self.lock();
        // One that is under way may have begun before what is to be made safe was there. It may also have met it, and
        // failed: the system tells of a failure once, so that one counts.
        let (since, wanted) = (state.done + 1, state.begun + 1);
        while state.begun > state.done && state.done < wanted {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some((number, error)) = &state.failed
            && *number >= since
        {
            return Err(error.clone());
        }
        if state.done >= wanted {
            return Ok(());
        }
        state.begun += 1;
        let number = state.begun;
        drop(state);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(sync));
        let outcome = outcome.unwrap_or_else(|_| Err(Error::Bug("a sync panicked".into())));
        let mut state = self.lock();
        state.done = number;
        if let Err(error) = &outcome {
            state.failed = Some((number, error.clone()));
        }
        drop(state);
        self.ended.notify_all();
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::SharedSync;
    use crate::Error;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::channel;

    /// While one is under way others come; none is content with it, and one more is enough for all of them.
    fn crowd(outcome: fn() -> crate::Result<()>) -> (u64, Vec<crate::Result<()>>) {
        let (shared, made) = (SharedSync::default(), AtomicU64::new(0));
        let (begun, hear_begun) = channel::<()>();
        let (go, wait) = channel::<()>();
        let arrived = AtomicU64::new(0);
        let counted = || {
            made.fetch_add(1, Ordering::Relaxed);
            outcome()
        };
        let outcomes = std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                let slow = move || {
                    begun.send(()).expect("somebody listens");
                    wait.recv().map_err(|_| Error::Bug("nobody says go".into()))
                };
                shared.run(slow)
            });
            hear_begun.recv().expect("it begins");
            let (shared, arrived, counted) = (&shared, &arrived, &counted);
            let crowd: Vec<_> = (0..10)
                .map(|_| {
                    scope.spawn(move || {
                        arrived.fetch_add(1, Ordering::Relaxed);
                        shared.run(counted)
                    })
                })
                .collect();
            while arrived.load(Ordering::Relaxed) < 10 {
                std::thread::yield_now();
            }
            assert_eq!(made.load(Ordering::Relaxed), 0, "the first is still under way");
            go.send(()).expect("it waits");
            assert_eq!(first.join().expect("no panic"), Ok(()));
            crowd.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        (made.into_inner(), outcomes)
    }

    #[test]
    fn a_sync_serves_those_who_came_before_it() {
        let (made, outcomes) = crowd(|| Ok(()));
        assert!((1..=10).contains(&made));
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }

    #[test]
    fn a_failure_is_told_to_all_who_waited_for_it() {
        let (made, outcomes) = crowd(|| Err(Error::Full("no room".into())));
        assert!((1..=10).contains(&made));
        assert!(outcomes.iter().all(|outcome| *outcome == Err(Error::Full("no room".into()))), "{outcomes:?}");
    }
}
