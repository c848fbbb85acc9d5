//! A closure on its way to the store's threads and its answer on the way back.
//!
//! Invariants:
//! 1. Whoever asks is answered exactly once, also when the thread dies: a job that is dropped answers by itself.
//! 2. The state that travels with a job comes back unless the closure panicked.
//! 3. Jobs that share a lock run in the order they came; a job that cannot have its locks yet occupies no thread.
//! 4. At most [`JOBS_WAITING_MAX`] jobs wait in a queue; further callers wait for room without blocking a thread.

use crate::{Error, Locks, Result};
use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// A job for a transaction of type `T`, of which a success gives a `W` (nothing, or the receipt of a commit).
pub(crate) trait Job<T, W>: Send {
    /// Runs the closure; says whether it wants to be committed. Never unwinds.
    fn run(&mut self, tx: &mut T) -> bool;
    /// Answers the caller.
    fn finish(self: Box<Self>, outcome: Result<W>);
}

/// What the caller gets: the state and the result.
pub(crate) type Answer<S, R, W, E> = (Option<S>, Result<(R, W), E>);

/// The one kind of [`Job`].
pub(crate) struct Work<S, F, R, W, E: From<Error>> {
    todo: Option<(S, F)>,
    done: Option<(Option<S>, Result<R, E>)>,
    reply: Option<oneshot::Sender<Answer<S, R, W, E>>>,
}

impl<S, F, R, W, E: From<Error>> Work<S, F, R, W, E> {
    /// The job and where its answer arrives.
    pub(crate) fn new(state: S, closure: F) -> (Self, oneshot::Receiver<Answer<S, R, W, E>>) {
        let (reply, answer) = oneshot::channel();
        (Work { todo: Some((state, closure)), done: None, reply: Some(reply) }, answer)
    }

    fn settle(&mut self, outcome: Result<W>) {
        let Some(reply) = self.reply.take() else { return };
        let (state, result) = match self.done.take() {
            Some((state, Ok(value))) => (state, outcome.map(|proof| (value, proof)).map_err(E::from)),
            Some((state, Err(error))) => (state, Err(error)),
            None => (self.todo.take().map(|(state, _)| state), Err(E::from(outcome.err().unwrap_or(Error::Closed)))),
        };
        // The caller may have gone: then nobody wants the answer.
        let _ = reply.send((state, result));
    }
}

impl<T, S, F, R, W, E> Job<T, W> for Work<S, F, R, W, E>
where
    F: FnOnce(&mut T, &mut S) -> Result<R, E> + Send,
    S: Send,
    R: Send,
    W: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, tx: &mut T) -> bool {
        let Some((mut state, closure)) = self.todo.take() else { return false };
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let _inside = Inside::enter();
            let result = closure(tx, &mut state);
            (state, result)
        }));
        let (state, result) = match ran {
            Ok((state, result)) => (Some(state), result),
            Err(panic) => (None, Err(E::from(Error::Panicked(panic_text(panic.as_ref()))))),
        };
        let keep = result.is_ok();
        self.done = Some((state, result));
        keep
    }

    fn finish(mut self: Box<Self>, outcome: Result<W>) {
        self.settle(outcome);
    }
}

impl<S, F, R, W, E: From<Error>> Drop for Work<S, F, R, W, E> {
    fn drop(&mut self) {
        self.settle(Err(Error::Closed));
    }
}

thread_local! {
    static IN_JOB: Cell<bool> = const { Cell::new(false) };
}

/// Whether a job runs on this thread now.
pub(crate) fn in_job() -> bool {
    IN_JOB.get()
}

/// Ends when the closure does, also by a panic.
struct Inside;

impl Inside {
    fn enter() -> Inside {
        IN_JOB.set(true);
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IN_JOB.set(false);
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let known = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    known.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}

/// A job that waits, with what is known about it.
pub(crate) struct Waiting<J: ?Sized> {
    pub(crate) job: Box<J>,
    pub(crate) locks: Locks,
    pub(crate) name: &'static Location<'static>,
    since: Instant,
    _room: Option<OwnedSemaphorePermit>,
}

/// Jobs in the order they came.
pub(crate) struct Queue<J: ?Sized> {
    label: &'static str,
    line: Mutex<Line<J>>,
    arrival: Condvar,
    room: Arc<Semaphore>,
}

struct Line<J: ?Sized> {
    jobs: VecDeque<Waiting<J>>,
    closed: bool,
    /// The locks of the jobs that were taken by [`Queue::pop_free`] and still run.
    held: HashSet<i64>,
}

impl<J: ?Sized> Line<J> {
    /// The first job that no running and no earlier waiting job shares a lock with.
    fn first_free(&self) -> Option<usize> {
        let mut earlier: HashSet<i64> = HashSet::new();
        self.jobs.iter().take(LOOKED_AT_MAX).position(|waiting| {
            let keys = waiting.locks.keys();
            let free = keys.iter().all(|key| !self.held.contains(key) && !earlier.contains(key));
            earlier.extend(keys);
            free
        })
    }
}

/// The locks of a job that runs; given back when dropped.
pub(crate) struct Held<'a, J: ?Sized> {
    queue: &'a Queue<J>,
    locks: Locks,
}

impl<J: ?Sized> Drop for Held<'_, J> {
    fn drop(&mut self) {
        if self.locks.keys().is_empty() {
            return;
        }
        let mut line = self.queue.line();
        for key in self.locks.keys() {
            line.held.remove(key);
        }
        drop(line);
        self.queue.arrival.notify_all();
    }
}

impl<J: ?Sized> Queue<J> {
    /// An empty queue; `label` names it in the metrics.
    pub(crate) fn new(label: &'static str) -> Queue<J> {
        Queue {
            label,
            line: Mutex::new(Line { jobs: VecDeque::new(), closed: false, held: HashSet::new() }),
            arrival: Condvar::new(),
            room: Arc::new(Semaphore::new(JOBS_WAITING_MAX)),
        }
    }

    /// Waits for room and adds a job. When the store is closed the job is dropped and thereby answered.
    pub(crate) async fn push(&self, job: Box<J>, locks: Locks, name: &'static Location<'static>) {
        // The semaphore is closed with the queue.
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
        let mut line = self.line();
        if line.closed {
            return;
        }
        line.jobs.push_back(Waiting { job, locks, name, since: Instant::now(), _room: Some(room) });
        self.count(&line);
        drop(line);
        self.arrival.notify_one();
    }

    /// The next job; waits for one. `None` once the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<Waiting<J>> {
        let mut line = self.line();
        loop {
            if let Some(waiting) = line.jobs.pop_front() {
                self.count(&line);
                return Some(self.taken(waiting));
            }
            if line.closed {
                return None;
            }
            line = self.arrival.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next job whose locks are free, for several threads that write at the same time: the database's own locks
    /// exclude other nodes, but a thread that waits for one could serve another account meanwhile.
    pub(crate) fn pop_free(&self) -> Option<(Waiting<J>, Held<'_, J>)> {
        let mut line = self.line();
        loop {
            if let Some(waiting) = line.first_free().and_then(|place| line.jobs.remove(place)) {
                line.held.extend(waiting.locks.keys());
                self.count(&line);
                let held = Held { queue: self, locks: waiting.locks.clone() };
                return Some((self.taken(waiting), held));
            }
            if line.closed && line.jobs.is_empty() {
                return None;
            }
            line = self.arrival.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next job if one waits.
    pub(crate) fn pop_now(&self) -> Option<Waiting<J>> {
        let mut line = self.line();
        let waiting = line.jobs.pop_front()?;
        self.count(&line);
        Some(self.taken(waiting))
    }

    /// Lets nothing more in; what waits can still be taken.
    pub(crate) fn close(&self) {
        self.line().closed = true;
        self.room.close();
        self.arrival.notify_all();
    }

    fn count(&self, line: &Line<J>) {
        metrics::gauge!("postroad_store_jobs_waiting", "kind" => self.label).set(line.jobs.len() as f64);
    }

    fn taken(&self, mut waiting: Waiting<J>) -> Waiting<J> {
        waiting._room = None;
        metrics::histogram!("postroad_store_job_wait_seconds", "kind" => self.label)
            .record(waiting.since.elapsed().as_secs_f64());
        waiting
    }

    fn line(&self) -> MutexGuard<'_, Line<J>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names a job in the log when it took longer than its budget.
pub(crate) fn measure<T>(
    kind: &'static str,
    name: &'static Location<'static>,
    budget: Duration,
    run: impl FnOnce() -> T,
) -> T {
    let start = Instant::now();
    let result = run();
    let took = start.elapsed();
    metrics::histogram!("postroad_store_job_seconds", "kind" => kind).record(took.as_secs_f64());
    if took > budget {
        tracing::warn!(
            kind,
            job = %name,
            milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "a job took longer than its budget: it should do less at a time"
        );
    }
    result
}

/// How far into a queue a job with free locks is looked for.
const LOOKED_AT_MAX: usize = 512;
/// How many jobs may wait in a queue.
pub(crate) const JOBS_WAITING_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    type TestJob = dyn Job<i64, ()>;
    type TestAnswer = oneshot::Receiver<Answer<String, i64, (), Error>>;

    fn work(closure: impl FnOnce(&mut i64, &mut String) -> Result<i64> + Send + 'static) -> (Box<TestJob>, TestAnswer) {
        let (work, answer) = Work::new("state".to_owned(), closure);
        (Box::new(work), answer)
    }

    #[test]
    fn who_finds_the_queue_full_waits_without_a_thread() {
        let queue: Queue<TestJob> = Queue::new("test");
        let here = Location::caller();
        let mut context = Context::from_waker(Waker::noop());
        let mut push = || {
            let (job, answer) = work(|tx, _| Ok(*tx));
            let mut push = Box::pin(queue.push(job, Locks::none(), here));
            (push.as_mut().poll(&mut context).is_ready(), push, answer)
        };
        let mut answers = Vec::new();
        for _ in 0..JOBS_WAITING_MAX {
            let (ready, _, answer) = push();
            assert!(ready);
            answers.push(answer);
        }
        let (ready, mut waits, mut late) = push();
        assert!(!ready);
        drop(queue.pop().expect("one waits"));
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready(), "there is room again");
        drop(waits);
        let (_, mut refused, mut closed) = push();
        queue.close();
        assert!(refused.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        drop(refused);
        assert_eq!(closed.try_recv(), Ok((Some("state".to_owned()), Err(Error::Closed))));
        let waiting = std::iter::from_fn(|| queue.pop()).inspect(|waiting| assert_eq!(waiting.locks, Locks::none()));
        assert_eq!(waiting.count(), JOBS_WAITING_MAX, "what waits is still served");
        assert_eq!(late.try_recv(), Ok((Some("state".to_owned()), Err(Error::Closed))), "dropped by this test");
    }

    #[test]
    fn a_job_whose_locks_are_taken_lets_others_pass() {
        let queue: Queue<TestJob> = Queue::new("test");
        let line: [&[i64]; 7] = [&[1], &[1], &[], &[1, 2], &[2], &[3], &[1]];
        for locks in line {
            let locks = Locks::accounts(locks.iter().copied().map(crate::AccountId));
            let (job, _) = work(|tx, _| Ok(*tx));
            let mut push = Box::pin(queue.push(job, locks, Location::caller()));
            assert!(push.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        }
        queue.close();
        let pop =
            || queue.pop_free().map(|(waiting, held)| (waiting.locks.keys().to_vec(), held)).expect("one is free");
        let (first, first_held) = pop();
        let (second, _second_held) = pop();
        let (third, third_held) = pop();
        assert_eq!([first, second, third], [vec![1], vec![], vec![3]], "nobody overtakes a job with the same lock");
        assert_eq!(queue.line().first_free(), None);
        drop(third_held);
        assert_eq!(queue.line().first_free(), None);
        drop(first_held);
        for expected in [vec![1], vec![1, 2]] {
            let (keys, _held) = pop();
            assert_eq!(keys, expected);
        }
        let (fourth, _fourth_held) = pop();
        let (fifth, _fifth_held) = pop();
        assert_eq!([fourth, fifth], [vec![2], vec![1]]);
        assert!(queue.pop_free().is_none());
    }

    #[test]
    fn answered_once_whatever_happens() {
        let state = Some("state".to_owned());
        let (mut job, mut answer) = work(|tx, _| Ok(*tx + 1));
        assert!(job.run(&mut 4));
        job.finish(Ok(()));
        assert_eq!(answer.try_recv(), Ok((state.clone(), Ok((5, ())))));

        let (mut job, mut answer) = work(|tx, _| Ok(*tx + 1));
        assert!(job.run(&mut 4));
        job.finish(Err(Error::Full("disk".into())));
        assert_eq!(answer.try_recv(), Ok((state.clone(), Err(Error::Full("disk".into())))), "the commit failed");

        let (mut job, mut answer) = work(|_, _| Err(Error::Missing("x".into())));
        assert!(!job.run(&mut 4));
        job.finish(Ok(()));
        assert_eq!(answer.try_recv(), Ok((state.clone(), Err(Error::Missing("x".into())))), "its own error wins");

        let (job, mut answer) = work(|tx, _| Ok(*tx));
        job.finish(Err(Error::Unavailable("gone".into())));
        assert_eq!(answer.try_recv(), Ok((state.clone(), Err(Error::Unavailable("gone".into())))), "never ran");

        let (job, mut answer) = work(|tx, _| Ok(*tx));
        drop(job);
        assert_eq!(answer.try_recv(), Ok((state, Err(Error::Closed))), "dropped");

        let (mut job, mut answer) = work(|_, _| panic!("ouch {}", 7));
        assert!(!job.run(&mut 4));
        job.finish(Ok(()));
        assert_eq!(answer.try_recv(), Ok((None, Err(Error::Panicked("ouch 7".into())))), "panicked");
    }
}
