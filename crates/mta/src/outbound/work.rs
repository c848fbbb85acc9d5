//! A job from its claim to its record.

use std::sync::Arc;
use std::time::Duration;

use postroad_login::Clock;
use postroad_queue as queue;
use postroad_queue::{Job, Outcome, Purpose, Route};
use postroad_store::{Locks, Timestamp};

use super::attempt::{self, Carrier, Reach, Tried};
use super::halt::Halt;
use super::held;
use super::lease::Lease;
use super::schedule;
use super::settle::{Attempt, Destination, Settled, Settler, Settling, Verdict, Words};
use super::suppressed;
use super::wishes;

/// What all jobs of a life share.
pub(crate) struct Bench {
    pub(crate) carrier: Arc<Carrier>,
    pub(crate) settler: Settler,
    pub(crate) clock: Clock,
    pub(crate) lease: Arc<Lease>,
    pub(crate) halt: Halt,
}

/// After a fault of ours a job is tried again so much later.
const AFTER_A_FAULT: Duration = Duration::from_secs(15 * 60);
/// As many failures count where nothing was tried, because the hosts have just failed for others.
const SPARED_MAX: u32 = 4;

impl Bench {
    /// Does one job. `random` is any value, all bits alike. Says whether its destination was reached.
    pub(crate) async fn work(self: Arc<Bench>, job: Job, route: Option<Arc<Route>>, random: u64) -> bool {
        let (late, mut here) = (wishes::too_late(&job.message, (self.clock)()), None);
        let tried = match job.purpose {
            Purpose::Send => match late {
                Some(words) => attempt::everybody(&job, Verdict::Failed(words), Reach::Unknown),
                None => match held::look(&self.carrier.store, &job).await {
                    Ok(None) => self.send(&job, route, random).await,
                    Ok(Some(found)) => {
                        here = found.here.map(Arc::new);
                        Tried {
                            verdicts: found.verdicts,
                            ..attempt::everybody(&job, Verdict::NotTried, Reach::Unknown)
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, message = %job.message.id, "held mail cannot be filed yet");
                        let words = Words::ours((4, 3, 0), "It cannot be filed at the moment", "filing it");
                        attempt::everybody(&job, Verdict::Deferred(words), Reach::Unknown)
                    }
                },
            },
            // Nothing is tried; settling tells the sender.
            Purpose::Expire | Purpose::TellDelay => Tried {
                attempt: Attempt::default(),
                elsewhere: Vec::new(),
                verdicts: Vec::new(),
                reach: Reach::Unknown,
                notes: Vec::new(),
            },
        };
        let now = (self.clock)();
        count(&job, &tried, now);
        let reached = tried.reach == Reach::Reached;
        let settling = Settling {
            destination: destination(&job, &tried, now, random),
            attempt: tried.attempt,
            elsewhere: tried.elsewhere,
            verdicts: tried.verdicts,
            notes: tried.notes,
            here,
            random,
            lease_ends: self.lease.held().ends,
            job: job.clone(),
        };
        match self.settler.settle(settling).await {
            Ok(Settled::Recorded { .. }) => {}
            Ok(Settled::Lost) => {
                tracing::warn!(message = %job.message.id, domain = job.domain, "an attempt came to its end after its claim");
            }
            Err(error) => {
                tracing::error!(%error, message = %job.message.id, domain = job.domain,
                    "what came of an attempt could not be recorded; it is made again");
                self.put_off(&job, now).await;
            }
        }
        reached
    }

    /// The attempt, without those who came onto the list of whom nothing is sent to while the mail waited.
    async fn send(&self, job: &Job, route: Option<Arc<Route>>, random: u64) -> Tried {
        match suppressed::look(&self.carrier.store, job, (self.clock)()).await {
            Ok(barred) if barred.is_empty() => self.attempt(job, route, random).await,
            Ok(barred) => match suppressed::without(job, &barred) {
                Some(rest) => suppressed::with(Some(self.attempt(&rest, route, random).await), barred),
                None => suppressed::with(None, barred),
            },
            Err(error) => {
                tracing::warn!(%error, message = %job.message.id, "it cannot be looked up whether mail may be sent");
                let words = Words::ours((4, 3, 0), "It cannot be sent at the moment", "looking whether it may be");
                attempt::everybody(job, Verdict::Deferred(words), Reach::Unknown)
            }
        }
    }

    /// The attempt on a task of its own: a panic in it ends nothing else.
    async fn attempt(&self, job: &Job, route: Option<Arc<Route>>, random: u64) -> Tried {
        let (carrier, halt, moved) = (Arc::clone(&self.carrier), self.halt.clone(), job.clone());
        let task = tokio::spawn(async move { carrier.attempt(&moved, route, &halt, random).await });
        match task.await {
            Ok(tried) => tried,
            Err(error) => {
                tracing::error!(%error, message = %job.message.id, domain = job.domain, "an attempt failed by a fault of ours");
                let words = Words::ours((4, 3, 5), "The attempt failed by a fault of this server", "sending");
                let verdict = |due: &queue::Due| (due.number, Verdict::Deferred(words.clone()));
                Tried {
                    attempt: Attempt::default(),
                    elsewhere: Vec::new(),
                    verdicts: job.recipients.iter().map(verdict).collect(),
                    reach: Reach::Unknown,
                    notes: Vec::new(),
                }
            }
        }
    }

    /// Without notices and story, so that the claim does not stay for ever.
    async fn put_off(&self, job: &Job, now: Timestamp) {
        let until = now.plus(AFTER_A_FAULT);
        let tried: Vec<queue::Tried> = job
            .recipients
            .iter()
            .map(|due| queue::Tried {
                number: due.number,
                outcome: Outcome::Deferred { until },
                reply: None,
                delay_told: due.delay_told,
            })
            .collect();
        let job = job.clone();
        let put_off = self.carrier.store.write(Locks::none(), move |tx| queue::record(tx, &job, &tried, now));
        if let Err(error) = put_off.await {
            tracing::error!(%error, "a job stays claimed until this server starts again");
        }
    }
}

/// What the attempt taught about the destination as a whole.
fn destination(job: &Job, tried: &Tried, now: Timestamp, random: u64) -> Destination {
    let was_down = job.probe || job.failures > 0;
    match &tried.reach {
        Reach::Unreachable(why) => {
            let failures = job.failures.saturating_add(1);
            let until = schedule::destination(failures, now, random);
            Destination::Down { until, failures, why: why.clone() }
        }
        // It learns from others: it need not wait as long as if it had failed itself so often.
        Reach::Spared(why) => {
            let failures = job.failures.saturating_add(1).min(SPARED_MAX).max(job.failures);
            let until = schedule::destination(failures.min(SPARED_MAX), now, random);
            Destination::Down { until, failures, why: why.clone() }
        }
        Reach::Crowded(wait, why) => Destination::Later { until: now.plus(*wait), why: why.clone() },
        // What one message demands of a host is no reason for others to wait, which may demand less (TLS-Required: No).
        Reach::Reached | Reach::Withheld if was_down => Destination::Up,
        // What ended before the hosts were tried says nothing of them, but a probe must let others try.
        Reach::Unknown if job.probe && tried.verdicts.iter().any(|(_, verdict)| *verdict != Verdict::NotTried) => {
            Destination::Up
        }
        Reach::Reached | Reach::Withheld | Reach::Unknown => Destination::AsBefore,
    }
}

fn count(job: &Job, tried: &Tried, now: Timestamp) {
    if job.purpose != Purpose::Send {
        return;
    }
    let reach = match tried.reach {
        Reach::Reached => "reached",
        Reach::Unreachable(_) | Reach::Spared(_) => "unreachable",
        Reach::Withheld => "withheld",
        Reach::Crowded(..) | Reach::Unknown => "not tried",
    };
    metrics::counter!("postroad_outbound_attempts_total", "reach" => reach).increment(1);
    // A clock that was put back makes no negative time.
    let seconds = (now.0 - job.message.created.0).max(0) as f64 / 1e6;
    for (_, verdict) in &tried.verdicts {
        let outcome = match verdict {
            Verdict::Relayed { .. } => "relayed",
            Verdict::Here { .. } => "filed",
            Verdict::Failed(_) => "failed",
            Verdict::Deferred(_) | Verdict::Spared(_) => "deferred",
            Verdict::NotTried => continue,
        };
        metrics::counter!("postroad_outbound_recipients_total", "outcome" => outcome).increment(1);
        if outcome != "deferred" {
            metrics::histogram!("postroad_outbound_queue_seconds", "outcome" => outcome).record(seconds);
        }
    }
}
