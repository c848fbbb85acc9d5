//! What an attempt's verdicts become: one transaction with the queue's rows, the notice and the story.
//!
//! The remote's answer was heard once and cannot be asked for again, so a verdict is kept in memory and recorded
//! again while the database is away. That may go on after the lease of the node has ended: whether the claim has passed
//! to another node is known from its row, and as long as it has not, nobody else delivers. A COMMIT whose answer was
//! lost is looked up in the story. Nothing here touches a socket.
//!
//! Standards: RFC 3461 §4 to §6 (who is told what, and when), RFC 3463 (codes), RFC 5321 §4.5.4.1 and §6.1.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use postroad_login::Clock;
use postroad_mail::{Actor, By, Error};
use postroad_net::Stop;
use postroad_queue as queue;
use postroad_store::{Locks, Store, Timestamp, WriteTx, trace};

use super::held::Here;
use super::schedule::Schedule;
use crate::delivery::Undone;
use crate::notice::{self, Notice, Original, Report};
use crate::sign::Signing;
use crate::story::{Story, printable};
use plan::Plan;

pub(crate) use crate::notice::Words;

/// What settling needs to know about the server.
#[derive(Clone)]
pub(crate) struct Settler {
    pub(crate) store: Store,
    /// Our name: Reporting-MTA, and the domain of who writes the notices.
    pub(crate) hostname: String,
    pub(crate) clock: Clock,
    pub(crate) schedule: Schedule,
    /// When the server stops, what cannot be recorded is given up before long.
    pub(crate) stop: Stop,
    pub(crate) signing: Signing,
}

/// An attempt that is over. Jobs to be expired and jobs whose delay is to be told ([`queue::Purpose`]) come here as
/// well, without verdicts.
#[derive(Debug, Clone)]
pub(crate) struct Settling {
    pub(crate) job: queue::Job,
    pub(crate) attempt: Attempt,
    /// Recipients whose verdicts come from another host than that of the attempt.
    pub(crate) elsewhere: Vec<(i64, Attempt)>,
    /// By [`queue::Due::number`]. Recipients of the job that are not named here count as [`Verdict::NotTried`].
    pub(crate) verdicts: Vec<(i64, Verdict)>,
    /// What is to be told of the policies of others, once.
    pub(crate) notes: Vec<String>,
    /// What is filed here in the same transaction.
    pub(crate) here: Option<Arc<Here>>,
    /// What was learned of the destination as a whole: written in the same transaction.
    pub(crate) destination: Destination,
    /// For the jitter of the next try: any value, all bits alike.
    pub(crate) random: u64,
    /// When the claim on the job runs out: after it another node may take it, and then nothing is recorded.
    pub(crate) lease_ends: Timestamp,
}

/// With whom the attempt was made, for the story and the notices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The host's name, from MX, A or a route; `None` when the attempt did not get as far.
    pub(crate) host: Option<String>,
    /// Its address and port; `None` when there was no connection.
    pub(crate) address: Option<std::net::SocketAddr>,
    /// `TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified`; `None` in clear.
    pub(crate) tls: Option<String>,
    /// What the connection had to be like, where that was not left to opportunity: `DANE (3 1 1)`.
    pub(crate) policy: Option<String>,
}

/// What one recipient's mail came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The next host took it. `dsn`: it was given NOTIFY and tells the sender itself from now on; else who asked for
    /// success is told "relayed" (RFC 3461 §5.2.2).
    /// `in_time`: it does the same about the time by which it is to be delivered (RFC 2852).
    Relayed { words: Words, dsn: bool, in_time: bool },
    /// For good.
    Failed(Words),
    /// For now.
    Deferred(Words),
    /// It was not tried, because its hosts have just failed for others: what they said. No attempt counted.
    Spared(Words),
    /// It was held until now and is filed here ([`super::held`]). `told`: who wants to hear of success hears now.
    Here { told: bool },
    /// It was not come to: back to its place, no attempt counted.
    NotTried,
}

/// What an attempt taught about its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Nothing that concerns other mail.
    AsBefore,
    /// It works (again): parked mail goes on.
    Up,
    /// No host of it can be spoken with: all of its mail waits until then ([`super::schedule::destination`]).
    Down { until: Timestamp, failures: u32, why: String },
    /// It works, and has enough to do until then.
    Later { until: Timestamp, why: String },
}

/// What came of settling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is recorded. `message_ended`: no recipient of the message waits any more.
    Recorded { message_ended: bool },
    /// The claim had run out, and the job is somebody else's, or an administrator took it away: nothing was recorded.
    Lost,
}

/// Why nothing was committed.
#[derive(Debug)]
enum Stopped {
    /// The rows are not ours any more.
    Lost,
    Broken(Error),
}

impl Settler {
    /// Records an attempt: queue rows, notice, story, what was learned of the destination. Waits while the database
    /// is away. Errors: the database's, when trying again cannot help, the server stops, or it was tried for
    /// [`KEPT_FOR`].
    pub(crate) async fn settle(&self, settling: Settling) -> Result<Settled, Error> {
        let now = (self.clock)();
        let plan = Plan::of(&settling, &self.schedule, now);
        let kept = Kept { id: settling.job.message.id, tells: !plan.told.is_empty(), lease_ends: settling.lease_ends };
        let attempt = |how| self.try_once(&settling, &plan, how, now);
        let settled = kept.until_recorded(&self.clock, || self.stop.is_stopped(), tokio::time::sleep, attempt).await?;
        if matches!(settled, Settled::Recorded { .. }) {
            log(&settling.job, &plan.tried);
            plan.count();
        }
        Ok(settled)
    }

    async fn try_once(&self, settling: &Settling, plan: &Plan, how: How, now: Timestamp) -> Result<Settled, Stopped> {
        let notice = if how.bare { None } else { self.notice(settling, plan, now).await? };
        let (job, destination, plan) = (settling.job.clone(), settling.destination.clone(), plan.clone());
        let here = settling.here.clone();
        let accounts = here.iter().flat_map(|here| here.accounts());
        let locks = Locks::accounts(notice.iter().filter_map(Notice::account).chain(accounts))
            .and(Locks::named(&format!("settle {} {}", job.message.id, job.domain)));
        let written = self.store.write(locks, move |tx| {
            if how.uncertain && is_there(tx, &job, &plan, now)? {
                return Err(Stopped::Lost);
            }
            write(tx, &job, &plan, &destination, Parts { notice: notice.as_ref(), here: here.as_deref() }, now)
        });
        Ok(written.await?.value)
    }

    /// The notice about this attempt; `None` when nobody is to be told anything.
    async fn notice(&self, settling: &Settling, plan: &Plan, now: Timestamp) -> Result<Option<Notice>, Stopped> {
        let message = &settling.job.message;
        let Ok(sender) = message.sender.parse::<postroad_smtp::Address>() else { return Ok(None) };
        if plan.told.is_empty() || is_forged(message) {
            return Ok(None);
        }
        let stranger = message.account.is_none() && message.standing != queue::Standing::Vouched;
        let (blob, size) = (message.blob, message.size);
        let whole = message.ret == Some(queue::Ret::Full)
            && size <= notice::MAX_WHOLE
            && message.body != queue::Body::BinaryMime
            && plan.fails
            // RFC 8689 §5: what may travel over verified TLS only does not come back in clear.
            && !message.requiretls
            && !stranger;
        let original = self.store.read(move |tx| -> Result<Original, Error> {
            Ok(match whole {
                true => Original::whole(&tx.blob_read(blob, 0..size)?),
                false => Original::header(&tx.blob_read(blob, 0..size.min(notice::MAX_HEADER as u64 + 1))?),
            })
        });
        let original = match original.await {
            Ok(original) => original,
            Err(error) if may_pass(&error) => return Err(Stopped::Broken(error)),
            // Damaged bytes are no reason not to tell.
            Err(error) => {
                tracing::error!(%error, id = %message.id, "a queued message cannot be read for its notice");
                Original::default()
            }
        };
        let report = Report {
            hostname: self.hostname.clone(),
            sender: Some(sender),
            envid: message.envid.clone(),
            arrived: message.created,
            now,
            trace: message.trace,
            serial: Some(now.0),
            stranger,
            utf8: message.smtputf8,
            deliver_by: message.deliver_by.map(|by| by.at),
            hold_asked: message.hold_asked.clone(),
            priority: message.priority,
            original,
            told: plan.told.clone(),
        };
        Ok(notice::prepare(&self.store, &self.signing, report).await?)
    }
}

/// How the next try to record goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct How {
    /// A COMMIT before it was not answered: it may be recorded already.
    uncertain: bool,
    /// Without the notice, which cannot be written.
    bare: bool,
}

/// Verdicts that are kept until they are recorded.
struct Kept {
    id: queue::QueueId,
    /// A notice goes with them.
    tells: bool,
    lease_ends: Timestamp,
}

impl Kept {
    /// Tries until it is recorded, or is given up. `rest` waits.
    async fn until_recorded<A, R>(
        &self,
        clock: &Clock,
        stopping: impl Fn() -> bool,
        rest: impl Fn(Duration) -> R,
        mut attempt: impl FnMut(How) -> A,
    ) -> Result<Settled, Error>
    where
        A: Future<Output = Result<Settled, Stopped>>,
        R: Future<Output = ()>,
    {
        let (mut wait, mut how, mut last_tries, id) = (FIRST_WAIT, How::default(), LAST_TRIES, self.id);
        loop {
            let error = match attempt(how).await {
                Ok(settled) => return Ok(settled),
                // What was to be recorded may be what took the claim away: a COMMIT that happened after all.
                Err(Stopped::Lost) if how.uncertain => return Ok(Settled::Recorded { message_ended: false }),
                Err(Stopped::Lost) => return Ok(Settled::Lost),
                Err(Stopped::Broken(error)) => error,
            };
            how.uncertain |= matches!(error, Error::Store(postroad_store::Error::OutcomeUnknown(_)));
            if !may_pass(&error) {
                if how.bare || !self.tells {
                    return Err(error);
                }
                // What the remote took must not be sent again because the notice cannot be written.
                tracing::error!(%error, %id, "a notice to a sender cannot be written; the rest is recorded without it");
                how.bare = true;
                continue;
            }
            if stopping() {
                last_tries -= 1;
            }
            if last_tries == 0 || clock() >= self.lease_ends.plus(KEPT_FOR) {
                return Err(error);
            }
            tracing::warn!(%error, %id, "an attempt is not recorded yet, and is kept");
            rest(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// RFC 5321 §6.2 wants failures told; a forged sender has no part in them, and a notice would be the forger's letter by our hand.
fn is_forged(message: &queue::Message) -> bool {
    message.account.is_none() && message.standing == queue::Standing::Forged
}

/// What is put into mailboxes with it.
struct Parts<'a> {
    notice: Option<&'a Notice>,
    here: Option<&'a Here>,
}

/// The transaction.
fn write(
    tx: &mut WriteTx,
    job: &queue::Job,
    plan: &Plan,
    destination: &Destination,
    parts: Parts<'_>,
    now: Timestamp,
) -> Result<Settled, Stopped> {
    let Parts { notice, here } = parts;
    let recorded = queue::record(tx, job, &plan.tried, now)?;
    match destination {
        Destination::AsBefore => {}
        Destination::Up => queue::unblock(tx, &job.domain, now)?,
        Destination::Down { until, failures, why } => {
            // Who asked for it while it was tried wants it to be tried again.
            let until = if recorded.again { now } else { *until };
            queue::block(tx, &job.domain, until, *failures, why, now)?;
        }
        Destination::Later { until, why } => queue::rest(tx, &job.domain, *until, why, now)?,
    }
    let mut story = match job.message.trace {
        Some(id) => Story::about(id),
        None => Story::begin(),
    };
    story.key(&job.message.sender);
    for due in &job.recipients {
        story.key(&due.address);
    }
    for (kind, detail) in &plan.events {
        story.note(now, kind, detail);
    }
    suppress(tx, job, plan, &mut story, now)?;
    if let Some(here) = here {
        here.file(tx, &By::new(now, Actor::Delivery), job, &mut story)?;
    }
    if notice.is_some_and(|notice| is_told_enough(tx, job, notice)) {
        story.note(
            now,
            "not told",
            format_args!("the sender <{}> is a stranger, and was told often enough", job.message.sender),
        );
    } else if let Some(notice) = notice {
        notice::send(tx, &By::new(now, Actor::Delivery), notice, &mut story)?;
    } else if !plan.told.is_empty() && is_forged(&job.message) {
        story.note(now, "not told", notice::forged(&job.message.sender));
    } else if !plan.told.is_empty() {
        story.note(now, "notice", format_args!("the sender <{}> cannot be told", job.message.sender));
    }
    story.write(tx)?;
    Ok(Settled::Recorded { message_ended: recorded.message_ended })
}

/// Whom nothing is to be sent to any more, and who exists after all.
fn suppress(
    tx: &mut WriteTx,
    job: &queue::Job,
    plan: &Plan,
    story: &mut Story,
    now: Timestamp,
) -> Result<(), queue::Error> {
    let reached: Vec<&str> = plan.reached.iter().map(String::as_str).collect();
    queue::suppression::reached(tx, &reached)?;
    for (address, said) in &plan.unknown {
        let source = job.message.id.to_string();
        match queue::suppression::refused(tx, &job.message.sender, address, said, &source, now)? {
            queue::suppression::Heard::Suppressed(entry) => {
                let until = entry.expires.map(plan::date).unwrap_or_default();
                story.note(
                    now,
                    "suppressed",
                    format_args!(
                        "{address}: unknown for the {}. time; mail of {} is not taken for it until {until}, unless somebody \
                         says `postroad suppression remove {address}`",
                        entry.failures, entry.scope
                    ),
                );
            }
            queue::suppression::Heard::Counted(_) | queue::suppression::Heard::Ignored => {}
        }
    }
    Ok(())
}

/// A line for each recipient whose mail was sent, failed or is to be tried again; who was not come to has none.
fn log(job: &queue::Job, tried: &[queue::Tried]) {
    let queue::Message { id, sender: from, .. } = &job.message;
    let trace = job.message.trace.map(|trace| trace.to_string()).unwrap_or_default();
    for (due, tried) in job.recipients.iter().zip(tried) {
        let to = &due.address;
        // Bytes of strangers: a field is written quoted, with control characters escaped.
        let reply = tried.reply.as_deref().or(due.last_reply.as_deref()).unwrap_or_default();
        match tried.outcome {
            queue::Outcome::Delivered | queue::Outcome::Relayed => tracing::info!(%id, trace, from, to, reply, "sent"),
            queue::Outcome::Failed => tracing::info!(%id, trace, from, to, reply, "failed for good"),
            queue::Outcome::Deferred { until } => {
                let next_try = plan::date(until);
                tracing::info!(%id, trace, from, to, reply, next_try, "to be tried again");
            }
            queue::Outcome::Unattempted => {}
        }
    }
}

/// Whether a stranger elsewhere has had enough notices about one message: whoever forges a sender and writes to a group
/// that leads to many places would have us write to them from each.
fn is_told_enough(tx: &WriteTx, job: &queue::Job, notice: &Notice) -> bool {
    let (Some(trace), None, None) = (job.message.trace, job.message.account, notice.account()) else { return false };
    // Without the story it cannot be known, and a failure has to be told.
    let story = trace::story(tx, trace).unwrap_or_default();
    story.iter().filter(|event| event.kind == "notice").count() >= NOTICES_TO_STRANGERS
}

/// Whether this attempt is in the story already.
fn is_there(tx: &WriteTx, job: &queue::Job, plan: &Plan, now: Timestamp) -> Result<bool, Stopped> {
    let (Some(id), Some((kind, detail))) = (job.message.trace, plan.events.first()) else { return Ok(false) };
    let story = trace::story(tx, id)?;
    Ok(story.iter().any(|event| event.at == now && event.kind == *kind && event.detail == printable(detail)))
}

/// Whether the same may go well later.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Store(postroad_store::Error::Closed) => false,
        Error::Store(error) => error.is_temporary(),
        Error::OverQuota
        | Error::Suspended
        | Error::NotFound(_)
        | Error::Limit(_)
        | Error::Exists(_)
        | Error::NameInvalid(_)
        | Error::AddressInvalid(_)
        | Error::Refused(_)
        | Error::Message(_)
        | Error::Corrupt(_) => false,
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        Stopped::Broken(error)
    }
}

impl From<postroad_store::Error> for Stopped {
    fn from(error: postroad_store::Error) -> Stopped {
        Stopped::Broken(Error::Store(error))
    }
}

impl From<queue::Error> for Stopped {
    fn from(error: queue::Error) -> Stopped {
        match error {
            queue::Error::Lost => Stopped::Lost,
            queue::Error::Store(error) => error.into(),
            queue::Error::Recipients | queue::Error::Corrupt(_) => Stopped::Broken(Error::Corrupt(error.to_string())),
        }
    }
}

impl From<Undone> for Stopped {
    fn from(undone: Undone) -> Stopped {
        match undone {
            Undone::Broken(error) => Stopped::Broken(error),
            Undone::Failed(failures) => Stopped::Broken(Error::Corrupt(format!("a notice failed: {failures:?}"))),
            Undone::TooMuch(much) => Stopped::Broken(Error::Corrupt(format!("a notice has a limit: {much:?}"))),
        }
    }
}

/// Notices about one message that a sender elsewhere gets who did not log in. A notice is about all recipients of one attempt.
const NOTICES_TO_STRANGERS: usize = 10;
/// So long after the lease verdicts are kept at most. They are as many as attempts run at a time.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Tries once the server stops.
const LAST_TRIES: u32 = 3;
/// The first wait for a database that is away; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
