//! Says to other nodes what was committed here (PostgreSQL).
//!
//! A transaction that says NOTIFY holds a lock of the whole database until it is on disk: such commits come one after
//! the other and share no sync. So the news are said after COMMIT, those of many transactions in one of their own that
//! does not wait for the disk: nobody needs them after a crash of the database, since every listener is cut off by it
//! and looks for itself when it is back.
//!
//! Invariants:
//! 1. Only what was committed is said, and only after COMMIT was answered.
//! 2. Of an account only the newest is kept, and no more than [`KEPT_MAX`] accounts; what is beyond that, and what a
//!    process that dies had not said yet, is lost as hints may be.

use crate::pool::Target;
use crate::receipt::notify;
use crate::{AccountId, ModSeq, Result};
use postgres::Client;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// News on their way to other nodes.
#[derive(Debug, Default)]
pub(crate) struct Herald {
    line: Mutex<Line>,
    arrival: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    news: BTreeMap<AccountId, ModSeq>,
    closed: bool,
}

impl Herald {
    /// Takes news over; never waits for the database.
    pub(crate) fn tell(&self, news: &[(AccountId, ModSeq)]) {
        if news.is_empty() {
            return;
        }
        self.line().add(news.iter().copied());
        self.arrival.notify_one();
    }

    /// What was told is still said once, then [`Herald::run`] ends.
    pub(crate) fn close(&self) {
        self.line().closed = true;
        self.arrival.notify_all();
    }

    /// Says what is told until closed. Blocks, on a thread of its own.
    pub(crate) fn run(&self, target: &Target) {
        let mut client = None;
        let mut pause = PAUSE_FIRST;
        while let Some(news) = self.next() {
            let had_client = client.is_some();
            let mut said = say(&mut client, target, &news);
            if said.is_err() && had_client {
                // It idled while the database was away.
                said = say(&mut client, target, &news);
            }
            let Err(error) = said else {
                pause = PAUSE_FIRST;
                continue;
            };
            tracing::warn!(%error, next_step = error.next_step(), "other nodes do not hear of changes at the moment");
            let mut line = self.line();
            if line.closed {
                return;
            }
            // What came in meanwhile is newer and stays.
            line.add(news.into_iter());
            drop(self.arrival.wait_timeout_while(line, pause, |line| !line.closed));
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Everything that is to be said, when there is something; `None` once closed and said.
    fn next(&self) -> Option<BTreeMap<AccountId, ModSeq>> {
        let line = self.line();
        let waits = |line: &mut Line| line.news.is_empty() && !line.closed;
        let mut line = self.arrival.wait_while(line, waits).unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut line.news)).filter(|news| !news.is_empty())
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn add(&mut self, news: impl Iterator<Item = (AccountId, ModSeq)>) {
        for (account, modseq) in news {
            if let Some(known) = self.news.get_mut(&account) {
                *known = (*known).max(modseq);
            } else if self.news.len() < KEPT_MAX {
                self.news.insert(account, modseq);
            }
        }
    }
}

fn say(client: &mut Option<Client>, target: &Target, news: &BTreeMap<AccountId, ModSeq>) -> Result<()> {
    let speaker = match client {
        Some(speaker) => speaker,
        None => client.insert(target.speaker()?),
    };
    let said = speaker.batch_execute(&notify(news));
    said.map_err(|error| {
        *client = None;
        target.fault(&error)
    })
}

/// Accounts of which news wait at a time.
const KEPT_MAX: usize = 100_000;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_is_said_once() {
        let herald = Herald::default();
        herald.tell(&[]);
        herald.tell(&[(AccountId(1), ModSeq(5)), (AccountId(2), ModSeq(1))]);
        herald.tell(&[(AccountId(1), ModSeq(4)), (AccountId(2), ModSeq(2))]);
        let said = herald.next().map(|news| news.into_iter().collect::<Vec<_>>());
        assert_eq!(said, Some(vec![(AccountId(1), ModSeq(5)), (AccountId(2), ModSeq(2))]));
        herald.tell(&[(AccountId(3), ModSeq(1))]);
        herald.close();
        assert!(herald.next().is_some(), "what was told before the end is said");
        assert!(herald.next().is_none());
    }

    #[test]
    fn what_waits_is_bounded() {
        let herald = Herald::default();
        let account = |number: usize| AccountId(i64::try_from(number).expect("small"));
        (0..KEPT_MAX + 10).for_each(|number| herald.tell(&[(account(number), ModSeq(1))]));
        herald.tell(&[(account(0), ModSeq(9))]);
        let news = herald.next().expect("there are some");
        assert_eq!((news.len(), news.get(&account(0))), (KEPT_MAX, Some(&ModSeq(9))));
    }
}
