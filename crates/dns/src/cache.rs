//! Outcomes kept for their time: answers, denials, and for a moment failures; and one question at a time of a kind.
//!
//! Limits: [`Limits`]. What was kept longest goes first. Standards: RFC 2308 §5 (denials), RFC 9520 §3 (failures).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::{Error, Security};

/// What was asked: a name in lower case with its final dot, and a type.
pub(crate) type Question = (String, RecordType);

/// Records as they came.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) records: Vec<RData>,
    /// Whose they are, without the final dot.
    pub(crate) name: String,
    pub(crate) security: Security,
    /// Until when they may be used.
    pub(crate) until: Instant,
}

/// What became of a question.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) found: Result<Arc<Found>, Error>,
    pub(crate) ttl: Duration,
    /// Octets of the messages that it came in.
    pub(crate) octets: usize,
}

impl Outcome {
    pub(crate) fn failed(error: Error) -> Outcome {
        Outcome { found: Err(error), ttl: Duration::ZERO, octets: 0 }
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) outcomes: usize,
    pub(crate) octets: usize,
}

pub(crate) struct Cache {
    limits: Limits,
    kept: Mutex<KeptOutcomes>,
    /// Questions on their way, so that who asks the same waits for the same answer.
    asked: Mutex<HashMap<Question, Arc<OnceCell<Outcome>>>>,
}

#[derive(Default)]
struct KeptOutcomes {
    outcomes: HashMap<Question, Kept>,
    /// In the order in which they were put in; those replaced meanwhile stand twice, with another number.
    order: VecDeque<(Question, u64)>,
    octets: usize,
    next: u64,
}

struct Kept {
    outcome: Outcome,
    until: Instant,
    octets: usize,
    number: u64,
}

impl Cache {
    pub(crate) fn new(limits: Limits) -> Cache {
        Cache { limits, kept: Mutex::default(), asked: Mutex::default() }
    }

    /// The outcome kept, else that of `ask`, which is run once for all who ask at the same time.
    pub(crate) async fn outcome(&self, question: &Question, ask: impl Future<Output = Outcome>) -> Outcome {
        if let Some(outcome) = self.kept().outcome(question) {
            return outcome;
        }
        let cell = Arc::clone(locked(&self.asked).entry(question.clone()).or_default());
        let _left = Left { asked: &self.asked, question, cell: &cell };
        // Should the one who asks go away, the next of those who wait asks.
        let outcome = cell.get_or_init(|| async {
            let outcome = ask.await;
            self.keep(question, &outcome);
            outcome
        });
        outcome.await.clone()
    }

    fn keep(&self, question: &Question, outcome: &Outcome) {
        let ttl = match &outcome.found {
            Ok(_) => outcome.ttl.min(ANSWER_MAX),
            Err(Error::NoSuchName(_) | Error::NoData(_)) => outcome.ttl.min(DENIAL_MAX),
            Err(Error::Temporary(_)) => FAILURE,
            Err(Error::Bogus(_)) => BOGUS,
            Err(Error::BadName(_)) => Duration::ZERO,
        };
        if !ttl.is_zero() {
            self.kept().keep(question.clone(), outcome.clone(), ttl, self.limits);
        }
    }

    fn kept(&self) -> MutexGuard<'_, KeptOutcomes> {
        locked(&self.kept)
    }
}

/// Takes the question off the list when the last who waits for it goes, whether or not there was an outcome.
struct Left<'a> {
    asked: &'a Mutex<HashMap<Question, Arc<OnceCell<Outcome>>>>,
    question: &'a Question,
    cell: &'a Arc<OnceCell<Outcome>>,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        let mut asked = locked(self.asked);
        let is_ours = asked.get(self.question).is_some_and(|cell| Arc::ptr_eq(cell, self.cell));
        // One is the list's and one ours: nobody else waits.
        if is_ours && (self.cell.initialized() || Arc::strong_count(self.cell) <= 2) {
            asked.remove(self.question);
        }
    }
}

impl KeptOutcomes {
    fn outcome(&mut self, question: &Question) -> Option<Outcome> {
        let kept = self.outcomes.get(question)?;
        if kept.until > Instant::now() {
            return Some(kept.outcome.clone());
        }
        self.remove(&question.clone());
        None
    }

    fn keep(&mut self, question: Question, outcome: Outcome, ttl: Duration, limits: Limits) {
        let octets = outcome.octets + question.0.len() + OVERHEAD;
        self.remove(&question);
        let (number, until) = (self.next, Instant::now() + ttl);
        self.next += 1;
        self.octets += octets;
        self.outcomes.insert(question.clone(), Kept { outcome, until, octets, number });
        self.order.push_back((question, number));
        while self.outcomes.len() > limits.outcomes || self.octets > limits.octets || self.is_littered(limits) {
            let Some((question, number)) = self.order.pop_front() else { break };
            if self.outcomes.get(&question).is_some_and(|kept| kept.number == number) {
                self.remove(&question);
            }
        }
    }

    /// Whether most of the order is of outcomes that are gone.
    fn is_littered(&self, limits: Limits) -> bool {
        self.order.len() > limits.outcomes.saturating_mul(2)
    }

    fn remove(&mut self, question: &Question) {
        if let Some(kept) = self.outcomes.remove(question) {
            self.octets -= kept.octets;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here is left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A day: some zones say years.
const ANSWER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// RFC 2308 §5: one to three hours work well; a new domain should be seen sooner.
const DENIAL_MAX: Duration = Duration::from_secs(60 * 60);
/// RFC 9520 §3.2: at least a second.
const FAILURE: Duration = Duration::from_secs(1);
/// A zone with broken signatures costs many questions each time. RFC 4035 §4.7.
const BOGUS: Duration = Duration::from_secs(30);
/// What an outcome takes beside its records, roughly.
const OVERHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn question(name: &str) -> Question {
        (name.to_owned(), RecordType::MX)
    }

    fn answer(name: &str, seconds: u64, octets: usize) -> Outcome {
        let ttl = Duration::from_secs(seconds);
        let found =
            Found { records: Vec::new(), name: name.into(), security: Security::Secure, until: Instant::now() + ttl };
        Outcome { found: Ok(Arc::new(found)), ttl, octets }
    }

    /// Asks for each, and says which had to be asked.
    async fn asked<'a>(cache: &Cache, questions: &[(&'a str, Outcome)]) -> Vec<&'a str> {
        let mut asked = Vec::new();
        for (name, outcome) in questions {
            let ask = async {
                asked.push(*name);
                outcome.clone()
            };
            cache.outcome(&question(name), ask).await;
        }
        asked
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_are_kept_for_their_time() {
        let cache = Cache::new(Limits { outcomes: 10, octets: 10_000 });
        let denial = Outcome { found: Err(Error::NoData(Security::Secure)), ttl: Duration::from_secs(20), octets: 0 };
        let all = [
            ("answer.", answer("answer.", 60, 10)),
            ("now.", answer("now.", 0, 10)),
            ("denial.", denial),
            ("failure.", Outcome::failed(Error::Temporary(String::new()))),
            ("bogus.", Outcome::failed(Error::Bogus(String::new()))),
        ];
        assert_eq!(asked(&cache, &all).await.len(), all.len());
        assert_eq!(asked(&cache, &all).await, ["now."]);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(asked(&cache, &all).await, ["now.", "failure."]);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(asked(&cache, &all).await, ["now.", "denial.", "failure."]);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(asked(&cache, &all).await.len(), all.len());
    }

    #[tokio::test]
    async fn no_more_is_kept_than_the_limits_say() {
        let cache = Cache::new(Limits { outcomes: 3, octets: 10_000 });
        let names: Vec<String> = (0..50).map(|number| format!("{number}.")).collect();
        let all: Vec<(&str, Outcome)> = names.iter().map(|name| (name.as_str(), answer(name, 60, 1))).collect();
        assert_eq!(asked(&cache, &all).await.len(), 50);
        assert_eq!(cache.kept().outcomes.len(), 3);
        assert!(asked(&cache, &all[47..]).await.is_empty(), "the newest are kept");
        // A large one pushes the others out.
        asked(&cache, &[("large.", answer("large.", 60, 9_700))]).await;
        assert_eq!(cache.kept().outcomes.len(), 1);
        // One that is larger than all is not kept at all.
        asked(&cache, &[("huge.", answer("huge.", 60, 20_000))]).await;
        assert_eq!(cache.kept().outcomes.len(), 0);
        assert_eq!(cache.kept().octets, 0);
        assert!(cache.kept().order.len() <= 6);
    }

    #[tokio::test]
    async fn who_asks_the_same_at_the_same_time_waits_for_one_answer() {
        let cache = Cache::new(Limits { outcomes: 3, octets: 10_000 });
        let count = AtomicUsize::new(0);
        let ask = || async {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            answer("a.", 0, 1)
        };
        let question = question("a.");
        tokio::join!(cache.outcome(&question, ask()), cache.outcome(&question, ask()), cache.outcome(&question, ask()));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        // One that went away does not keep others from asking.
        let gone = tokio::time::timeout(Duration::ZERO, cache.outcome(&question, std::future::pending()));
        assert!(gone.await.is_err());
        assert!(locked(&cache.asked).is_empty());
        cache.outcome(&question, ask()).await;
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
