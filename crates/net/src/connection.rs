//! *The* connection loop: feeds a session, drains its steps, has its jobs performed.
//!
//! 1. One job at a time; nothing is read while it runs, so a client cannot make us hold more than one read.
//! 2. A job that was begun is finished, whatever happens to the client or the server meanwhile.
//! 3. Output is flushed before anything is waited for, and before a job when [`FLUSH_AT`] bytes wait.
//! 4. While waiting, no buffer is held: input lands on the stack of the moment, output has been sent.
//! 5. After an interrupt a session may have a few jobs done, and then it is closed, whatever it says.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use postroad_protocol::{Interrupt, Protocol, Step, TlsFacts};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument;

use crate::cuts::Cut;
use crate::wire::Wire;
use crate::{Arrival, Door, Stream, World};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The whole TLS handshake.
    pub handshake: Duration,
    /// The whole PROXY protocol header.
    pub proxy_header: Duration,
    /// A peer that takes none of its output for so long is dropped.
    pub write: Duration,
    /// After the last word, how long we wait for the peer to close, so that the word arrives.
    pub linger: Duration,
    /// After the stop, how long connections may take to finish their running job.
    pub grace: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            handshake: Duration::from_secs(30),
            proxy_header: Duration::from_secs(5),
            write: Duration::from_secs(120),
            linger: Duration::from_secs(2),
            grace: Duration::from_secs(30),
        }
    }
}

/// How a connection ended, for the log and for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The session closed it.
    Session,
    /// The client closed it.
    Client,
    /// The client sent nothing for the session's patience.
    TimedOut,
    /// The server stops.
    Stopped,
    /// What the client signed in by was taken away.
    CutOff,
    /// The client did not take its output.
    SlowReader,
    /// The TLS handshake failed; what rustls said.
    Handshake(String),
    /// The network failed.
    Broken(std::io::ErrorKind),
    /// The world lost the session, or something panicked.
    Fatal(String),
}

/// Runs a session over a stream to its end. Servers use [`crate::serve`]; this is also for tests over a pipe.
pub fn run<'a, P, W, S>(
    stream: Stream<S>,
    arrival: &'a Arrival,
    door: &'a Door,
    world: &'a W,
    session: P,
) -> impl Future<Output = Ending> + Send + use<'a, P, W, S>
where
    P: Protocol,
    W: World<P>,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let span = tracing::info_span!("connection", id = %arrival.id, listener = &*arrival.listener,
        client = %arrival.peer.remote);
    // A future keeps room for each place that a value may be moved to: the session would lie in it six times over.
    let session = Box::new(session);
    async move {
        let started = Instant::now();
        let mut wire = Wire::new(stream, Arc::clone(&arrival.listener), door.times);
        let mut secured = None;
        let driven =
            Drive { wire: &mut wire, door, world, secured: &mut secured, cut: None, left: STEPS_AFTER_INTERRUPT };
        let ending = match unless_panicking(pin!(driven.until_over(session))).await {
            Ok(ending) => ending,
            Err(panic) => Ending::Fatal(format!("panicked: {panic}")),
        };
        // What earlier jobs answered is true, also when a later one lost the session.
        wire.finish(&ending).await;
        tell(&wire, arrival.tls.as_ref().or(secured.as_ref()), started.elapsed(), &ending);
        ending
    }
    .instrument(span)
}

/// Logs once, at the end.
fn tell<S>(wire: &Wire<S>, tls: Option<&TlsFacts>, lasted: Duration, ending: &Ending) {
    let tls = tls.map_or("no", |facts| facts.version);
    let (received, sent, jobs) = (wire.received, wire.sent, wire.jobs);
    let milliseconds = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
    match ending {
        Ending::Fatal(reason) => {
            tracing::error!(received, sent, jobs, milliseconds, tls, reason, "connection lost by a fault of ours");
        }
        Ending::Session
        | Ending::Client
        | Ending::TimedOut
        | Ending::Stopped
        | Ending::CutOff
        | Ending::SlowReader
        | Ending::Handshake(_)
        | Ending::Broken(_) => {
            tracing::info!(received, sent, jobs, milliseconds, tls, ending = %ending.words(), "connection ended");
        }
    }
}

impl Ending {
    fn words(&self) -> String {
        match self {
            Ending::Session => "the session was over".into(),
            Ending::Client => "the client closed".into(),
            Ending::TimedOut => "the client was silent for too long".into(),
            Ending::Stopped => "the server stops".into(),
            Ending::CutOff => "what the client signed in by was taken away".into(),
            Ending::SlowReader => "the client did not take its output".into(),
            Ending::Handshake(why) => format!("the TLS handshake failed: {why}"),
            Ending::Broken(kind) => format!("the network failed: {kind}"),
            Ending::Fatal(why) => why.clone(),
        }
    }
}

struct Drive<'a, W, S> {
    wire: &'a mut Wire<S>,
    door: &'a Door,
    world: &'a W,
    secured: &'a mut Option<TlsFacts>,
    /// Set while somebody is signed in.
    cut: Option<Cut>,
    /// Steps that the session still has once it was interrupted.
    left: usize,
}

/// What ended a wait.
enum Event {
    Input(usize),
    News,
    Tick,
    TimedOut,
    Stopped,
    CutOff,
    Failed(std::io::ErrorKind),
}

impl<W, S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Drive<'_, W, S> {
    async fn until_over<P: Protocol>(mut self, mut session: Box<P>) -> Ending
    where
        W: World<P>,
    {
        let mut ending = None;
        let mut patient_since = Instant::now();
        loop {
            if ending.is_none() {
                ending = self.reason_to_end(&mut *session);
            }
            if ending.is_some() {
                self.left -= 1;
            }
            let step = boxed(session.step());
            self.wire.queue(session.take_output());
            // After an interrupt only jobs are still done, and not for ever.
            if let Some(ending) = &ending
                && (self.left == 0 || !matches!(step, Step::Do(_)))
            {
                return ending.clone();
            }
            match step {
                Step::Close => return Ending::Session,
                Step::Do(job) => {
                    session = match self.perform(session, job).await {
                        Ok(session) => session,
                        Err(ending) => return ending,
                    };
                    patient_since = Instant::now();
                }
                Step::StartTls => ending = self.start_tls(&mut *session).await,
                Step::StartCompression => {
                    self.wire.flush().await;
                    self.wire.compress();
                }
                Step::EndCompression => {
                    self.wire.flush().await;
                    let behind = self.wire.end_compression();
                    if !behind.is_empty() {
                        session.input(&behind);
                    }
                }
                Step::Read => {
                    if self.wire.queued() == 0 {
                        self.wire.acknowledge();
                    }
                    self.wire.flush().await;
                    if self.wire.failure.is_some() {
                        continue;
                    }
                    let event = self.read(&mut *session, patient_since).await;
                    ending = react(event, &mut *session, &mut patient_since);
                }
                Step::Wait(job) => {
                    self.wire.flush().await;
                    if self.wire.failure.is_some() {
                        continue;
                    }
                    match self.wait(&mut *session, job, patient_since).await {
                        (Event::News, job) => {
                            session = match self.perform(session, job).await {
                                Ok(session) => session,
                                Err(ending) => return ending,
                            };
                        }
                        (event, _) => ending = react(event, &mut *session, &mut patient_since),
                    }
                }
            }
        }
    }

    /// Interrupts the session when the peer does not take its output or the server stops.
    fn reason_to_end(&mut self, session: &mut impl Protocol) -> Option<Ending> {
        if let Some(failure) = &self.wire.failure {
            session.interrupt(Interrupt::Closed);
            return Some(failure.clone());
        }
        if self.door.stop.is_stopped() {
            session.interrupt(Interrupt::ShuttingDown);
            return Some(Ending::Stopped);
        }
        let signed_in = session.signed_in();
        if self.cut.as_ref().map(Cut::who) != signed_in {
            self.cut = signed_in.map(|who| self.door.cuts.expect(who));
        }
        if self.cut.as_ref().is_some_and(Cut::has_happened) {
            session.interrupt(Interrupt::CutOff);
            return Some(Ending::CutOff);
        }
        None
    }

    async fn perform<P: Protocol>(&mut self, session: Box<P>, job: Box<P::Job>) -> Result<Box<P>, Ending>
    where
        W: World<P>,
    {
        if self.wire.queued() >= FLUSH_AT {
            // When this fails the job is done all the same, so that the session sees an answer to what it asked.
            self.wire.flush().await;
        }
        let (stage, started) = (self.world.label(&job), Instant::now());
        // Boxed, so that an idle connection does not keep room for its largest job.
        let mut work = Box::pin(self.world.perform(*session, *job));
        let done = unless_panicking(work.as_mut()).await;
        drop(work);
        self.wire.jobs += 1;
        self.wire.measured(stage).record(started.elapsed());
        match done {
            Ok(Ok(mut session)) => {
                // Taken now, so that a panic in the next step does not swallow the answer to work that is done.
                self.wire.queue(session.take_output());
                Ok(Box::new(session))
            }
            Ok(Err(fatal)) => Err(Ending::Fatal(format!("{stage}: {fatal}"))),
            Err(panic) => Err(Ending::Fatal(format!("{stage} panicked: {panic}"))),
        }
    }

    async fn read(&mut self, session: &mut impl Protocol, since: Instant) -> Event {
        let deadline = since + session.patience().min(LONGEST_PATIENCE);
        tokio::select! {
            read = self.wire.read(|bytes| session.input(bytes)) => read.into(),
            () = self.door.stop.stopped() => Event::Stopped,
            () = cut_off(&mut self.cut) => Event::CutOff,
            () = sleep_until(deadline) => Event::TimedOut,
        }
    }

    /// The job comes back, for when it is to be done.
    async fn wait<P: Protocol>(&mut self, session: &mut P, job: Box<P::Job>, since: Instant) -> (Event, Box<P::Job>)
    where
        W: World<P>,
    {
        let deadline = since + session.patience().min(LONGEST_PATIENCE);
        let tick = session.tick_every().map(|every| Instant::now() + every.min(LONGEST_PATIENCE));
        // The news hold on to the session, so input waits here until they are let go.
        let mut input = Vec::new();
        let news = self.world.news(session, &job);
        let event = tokio::select! {
            read = self.wire.read(|bytes| input.extend_from_slice(bytes)) => read.into(),
            () = news => Event::News,
            () = self.door.stop.stopped() => Event::Stopped,
            () = cut_off(&mut self.cut) => Event::CutOff,
            () = sleep_until(deadline) => Event::TimedOut,
            () = sleep_until(tick.unwrap_or(deadline)), if tick.is_some() => Event::Tick,
        };
        if !input.is_empty() {
            session.input(&input);
        }
        (event, job)
    }

    async fn start_tls(&mut self, session: &mut impl Protocol) -> Option<Ending> {
        self.wire.flush().await;
        if self.wire.failure.is_some() {
            return None;
        }
        let handshake = async {
            let Some(tls) = &self.door.tls else { return Err("no certificate is set up".to_owned()) };
            match timeout(self.door.times.handshake, self.wire.secure(tls)).await {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(_) => Err("it took too long".to_owned()),
            }
        };
        let result = tokio::select! {
            result = handshake => result,
            () = self.door.stop.stopped() => Err("the server stops".to_owned()),
        };
        match result {
            Ok(facts) => {
                *self.secured = Some(facts.clone());
                session.secured(facts);
                None
            }
            Err(why) => {
                count_failed_handshake(&self.wire.listener);
                session.interrupt(Interrupt::Closed);
                Some(Ending::Handshake(why))
            }
        }
    }
}

/// Never, while nobody is signed in.
async fn cut_off(cut: &mut Option<Cut>) {
    match cut {
        Some(cut) => cut.happens().await,
        None => std::future::pending().await,
    }
}

impl From<std::io::Result<usize>> for Event {
    fn from(read: std::io::Result<usize>) -> Event {
        match read {
            Ok(count) => Event::Input(count),
            Err(error) => Event::Failed(error.kind()),
        }
    }
}

/// See [`run`] on boxes: the same holds for jobs.
fn boxed<J>(step: Step<J>) -> Step<Box<J>> {
    match step {
        Step::Read => Step::Read,
        Step::Do(job) => Step::Do(Box::new(job)),
        Step::Wait(job) => Step::Wait(Box::new(job)),
        Step::StartTls => Step::StartTls,
        Step::StartCompression => Step::StartCompression,
        Step::EndCompression => Step::EndCompression,
        Step::Close => Step::Close,
    }
}

/// Tells the session what happened; an ending when that ends the connection.
fn react(event: Event, session: &mut impl Protocol, patient_since: &mut Instant) -> Option<Ending> {
    let (why, ending) = match event {
        Event::Input(0) => (Interrupt::Closed, Ending::Client),
        Event::Input(_) => {
            *patient_since = Instant::now();
            return None;
        }
        Event::Tick => {
            session.tick();
            return None;
        }
        Event::News => return None,
        Event::TimedOut => (Interrupt::TimedOut, Ending::TimedOut),
        Event::Stopped => (Interrupt::ShuttingDown, Ending::Stopped),
        Event::CutOff => (Interrupt::CutOff, Ending::CutOff),
        Event::Failed(kind) => (Interrupt::Closed, Ending::Broken(kind)),
    };
    session.interrupt(why);
    Some(ending)
}

pub(crate) fn count_failed_handshake(listener: &Arc<str>) {
    metrics::counter!("postroad_tls_handshake_failures_total", "listener" => Arc::clone(listener)).increment(1);
}

/// Drives a future; a panic inside becomes its words.
pub(crate) async fn unless_panicking<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, String> {
    std::future::poll_fn(|cx| {
        // The future is never polled again after a panic, so nobody sees it half-changed.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(words(panic.as_ref()))),
        }
    })
    .await
}

fn words(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "without words".to_owned()
    }
}

/// Output that waits is sent before a job once there is so much of it; less goes out with the job's own answer.
const FLUSH_AT: usize = 16 * 1024;

/// Steps of a session after it was interrupted.
const STEPS_AFTER_INTERRUPT: usize = 16;

/// Keeps the arithmetic of deadlines sane when a session says "for ever".
const LONGEST_PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);
