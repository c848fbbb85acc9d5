//! Runs a check: asks the DNS for what it wants until it has its verdict.
//!
//! What one step of a check asks is asked at once. Whatever goes wrong on the way (no answer, no time, an answer that is
//! not to be trusted) is a [`Failure`] told to the check, so that there is always a verdict and never a wrong one.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use postroad_dns::{Answer, Dns, Error};
use postroad_mailauth::{Failure, Machine, Question, Records, Step};
use tokio::time::{Instant, timeout_at};

/// Runs `check` to its verdict. Questions that are not answered by `deadline`, and all that come after, count as not
/// answered for now; the check itself is bounded in what it asks.
pub async fn run<M: Machine>(check: M, dns: &dyn Dns, deadline: Instant) -> M::Verdict {
    run_within(check, dns, deadline, &Budget::of(usize::MAX)).await
}

/// How many questions several checks may ask together: each is bounded, but many hostile ones add up.
#[derive(Debug)]
pub struct Budget(AtomicUsize);

impl Budget {
    /// So many.
    pub fn of(questions: usize) -> Budget {
        Budget(AtomicUsize::new(questions))
    }

    /// Takes one; whether there was one.
    fn take(&self) -> bool {
        self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// The same; questions beyond the budget count as not answered for now.
pub async fn run_within<M: Machine>(mut check: M, dns: &dyn Dns, deadline: Instant, budget: &Budget) -> M::Verdict {
    loop {
        let questions = match check.step() {
            Step::Done(verdict) => return verdict,
            Step::Ask(questions) => questions,
        };
        let asked = questions.into_iter().map(|question| asked(question, dns, deadline, budget.take())).collect();
        for answer in all(asked).await {
            check.answer(answer);
        }
    }
}

type Answered = Result<Records, Failure>;

/// One question, with its end.
fn asked(
    question: Question,
    dns: &dyn Dns,
    deadline: Instant,
    paid: bool,
) -> Pin<Box<dyn Future<Output = Answered> + Send + '_>> {
    Box::pin(async move {
        if !paid {
            return Err(Failure::Temporary(SPENT.to_owned()));
        }
        if Instant::now() >= deadline {
            return Err(Failure::Temporary(LATE.to_owned()));
        }
        match timeout_at(deadline, look_up(question, dns)).await {
            Ok(Ok(records)) => Ok(records),
            Ok(Err(error)) => Err(failure(error)),
            Err(_) => Err(Failure::Temporary(LATE.to_owned())),
        }
    })
}

async fn look_up(question: Question, dns: &dyn Dns) -> Result<Records, Error> {
    match question {
        Question::Txt(name) => Ok(Records::Txt(some(dns.txt(&name).await?)?)),
        Question::Mx(name) => {
            let found = some(dns.mx(&name).await?)?;
            Ok(Records::Mx(found.into_iter().map(|mx| (mx.preference, mx.exchange)).collect()))
        }
        Question::Ipv4(name) => Ok(Records::Ipv4(some(dns.ipv4(&name).await?)?)),
        Question::Ipv6(name) => Ok(Records::Ipv6(some(dns.ipv6(&name).await?)?)),
        Question::Ptr(address) => Ok(Records::Ptr(some(dns.ptr(address).await?)?)),
    }
}

/// Checks are promised at least one record.
fn some<T>(answer: Answer<T>) -> Result<Vec<T>, Error> {
    if answer.records.is_empty() { Err(Error::NoData(answer.security)) } else { Ok(answer.records) }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::NoSuchName(_) => Failure::NoSuchName,
        Error::NoData(_) => Failure::NoData,
        Error::BadName(_) => Failure::BadName,
        // A forged answer says nothing about the sender: as good as none.
        Error::Temporary(_) | Error::Bogus(_) => Failure::Temporary(error.to_string()),
    }
}

/// All of them at once, answers in the order of the questions.
async fn all<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

const SPENT: &str = "the message wants to know too much of the DNS";
const LATE: &str = "the DNS does not answer in time";

#[cfg(test)]
mod tests;
