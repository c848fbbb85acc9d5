//! FETCH and UID FETCH (RFC 9051 §6.4.5; RFC 3516 BINARY; RFC 7162 CHANGEDSINCE and VANISHED; RFC 8474).
//!
//! What it is: a cursor over the messages that are asked for. A job reads a set of rows, writes responses
//! until its budget is used up and stops, if need be in the middle of a literal; the next job goes on
//! there. Flags, sizes, dates, envelopes and structures come from the rows alone; only text is read from
//! the blob, by ranges.
//!
//! Invariants:
//! 1. Between the jobs of one message's response nothing else is written: a write ([`seen`]) is asked for
//!    only between two messages.
//! 2. A message's literal is never longer or shorter than was announced; when its octets cannot be had any
//!    more the session ends ([`Error::Cut`]).
//!
//! What it never does: parse a message, or hold more of it than one piece.

pub(crate) mod binary;
mod envelope;
mod light;
mod message;
pub(crate) mod octets;
mod plan;
mod preview;
mod remembered;
mod seen;
pub(crate) mod structure;

use postroad_imap::command::{Fetch, FetchItem};
use postroad_imap::{Numbering, ResponseCode, Status};
use postroad_mail::changes::{self, Mark};
use postroad_mail::view::{self, Query};
use postroad_mail::{Entry, UidSet};
use postroad_store::{BlobBytes, ReadTx, WriteTx};

use crate::error::{Error, Reply};
use crate::gmail;
use crate::message_limit;
use crate::session::{Flow, Session};
use crate::settings::{MESSAGES_PER_JOB, OUTPUT_BUDGET};
use crate::sync;
use crate::view::{number_set, uid_set};
use light::Collecting;
pub(crate) use light::tell_changed;
use message::Message;
use octets::{Budget, exhausted};
use plan::Plan;
pub use remembered::Remembered;
use seen::Seen;

/// What FETCH keeps between its jobs.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    plan: Option<Plan>,
    /// The last message whose response is whole.
    last: u32,
    seen: Seen,
    vanished_told: bool,
    /// The message that a job stopped in.
    message: Option<Box<Message>>,
    /// Some part's transfer encoding was not known.
    unknown_encoding: bool,
    /// Messages of which something was told in ASCII that is not.
    downgraded: UidSet,
    /// Some message could not be read; the others are told first.
    damage: Option<Error>,
    /// Octets of a message, of those that were read last.
    mean_size: Option<u64>,
    /// What is told of a whole mailbox, to be remembered.
    collecting: Option<Collecting>,
}

impl Cursor {
    /// How many messages are told, and of how many.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        let plan = self.plan.as_ref()?;
        Some((plan.count() - plan.rest(self.last, plan.end()).count(), plan.count()))
    }

    /// Whether a job stopped in a message, of which a part has been sent.
    pub(crate) fn is_in_literal(&self) -> bool {
        self.message.is_some()
    }
}

/// One job of FETCH.
pub(crate) fn read(session: &mut Session, tx: &ReadTx, fetch: &Fetch, cursor: &mut Cursor) -> Result<Flow, Error> {
    let plan = match cursor.plan.take() {
        Some(plan) => plan,
        None => Plan::new(session, tx, fetch)?,
    };
    if plan.condstore {
        session.enable_condstore();
    }
    let flow = go_on(session, tx, fetch, &plan, cursor);
    cursor.plan = Some(plan);
    flow
}

/// Sets `\Seen` before the answer.
pub(crate) fn write(
    session: &mut Session,
    tx: &mut WriteTx,
    _fetch: &Fetch,
    cursor: &mut Cursor,
) -> Result<Flow, Error> {
    if cursor.plan.as_ref().is_some_and(|plan| plan.condstore) {
        session.enable_condstore();
    }
    seen::write(session, tx, &mut cursor.seen)?;
    Ok(Flow::More)
}

fn go_on(session: &mut Session, tx: &ReadTx, fetch: &Fetch, plan: &Plan, cursor: &mut Cursor) -> Result<Flow, Error> {
    let mut budget = Budget::new();
    if let Some(message) = cursor.message.take() {
        one(session, tx, plan, cursor, message, &mut budget)?;
        return Ok(Flow::More);
    }
    if plan.sets_seen && seen::wanted(session, tx, plan, cursor)? {
        return Ok(Flow::Write);
    }
    if fetch.vanished && !cursor.vanished_told {
        tell_vanished(session, tx, fetch)?;
        cursor.vanished_told = true;
    }
    let end = if plan.sets_seen { cursor.seen.through } else { plan.end() };
    let all = match &plan.light {
        Some(items) => light::tell(session, tx, plan, items, cursor)?,
        None => up_to(session, tx, plan, cursor, end, &mut budget)?,
    };
    if !all || plan.goes_beyond(cursor.last) {
        return Ok(Flow::More);
    }
    match cursor.damage.take() {
        None => {
            let reply = reply(plan, fetch, cursor);
            Ok(Flow::Done(message_limit::reply(session, plan.cut, reply)))
        }
        Some(damage) if session.staged.is_empty() => Err(damage),
        // A job that fails says nothing: what was said goes out first.
        Some(damage) => {
            cursor.damage = Some(damage);
            Ok(Flow::More)
        }
    }
}

/// The responses for messages up to the UID `end`. False: the budget is used up before.
fn up_to(
    session: &mut Session,
    tx: &ReadTx,
    plan: &Plan,
    cursor: &mut Cursor,
    end: u32,
    budget: &mut Budget,
) -> Result<bool, Error> {
    let mut looked = 0;
    loop {
        let limit = batch(session, plan, cursor);
        let rest = plan.next(cursor.last, end, limit);
        if rest.is_empty() {
            return Ok(true);
        }
        let mut entries = rows(session, tx, plan, (&rest, limit))?;
        let lowest = rest.first();
        if plan.cut.is_some() {
            entries.reverse();
        }
        if plan.tells_flags {
            sync::tell_keywords(session, tx, &entries)?;
        }
        let labels = match plan.items.contains(&FetchItem::Labels) {
            true => Some(gmail::labels_of(session, tx, &entries)?),
            false => None,
        };
        let all = entries.len() < limit;
        let mut bytes = match plan.reads_text {
            true => together(session, tx, cursor, &entries)?.into_iter(),
            false => Vec::new().into_iter(),
        };
        for entry in entries {
            let bytes = bytes.next().flatten();
            if looked == MESSAGES_PER_JOB || exhausted(session, budget) {
                return Ok(false);
            }
            looked += 1;
            let uid = entry.uid;
            let Some(sequence) = session.view()?.map().seq(uid) else {
                cursor.last = uid;
                continue;
            };
            let newly_seen = cursor.seen.changed.contains(uid);
            let labels = labels.as_ref().map(|labels| gmail::written(labels, uid)).unwrap_or_default();
            let message = Box::new(Message::new(entry, sequence, newly_seen).labelled(labels).reading(bytes));
            if !one(session, tx, plan, cursor, message, budget)? {
                return Ok(false);
            }
        }
        match (plan.cut, lowest) {
            // What is not there any more is behind us too.
            (Some(_), Some(lowest)) => cursor.last = lowest,
            (_, _) if all => cursor.last = end,
            (_, _) => {}
        }
    }
}

/// How many rows to read next: where messages' octets are told too, about as many as the job still has room for.
fn batch(session: &Session, plan: &Plan, cursor: &Cursor) -> usize {
    match cursor.mean_size {
        Some(mean) if plan.reads_text => {
            let wanted = room(session) / mean.max(1) + 1;
            usize::try_from(wanted).unwrap_or(BODIES_MAX).min(BODIES_MAX)
        }
        Some(_) | None => plan.batch,
    }
}

/// Octets that the job may still tell.
fn room(session: &Session) -> u64 {
    OUTPUT_BUDGET.saturating_sub(session.staged.len()) as u64
}

/// The octets of messages that are told next, as many as the job has room for.
fn together(
    session: &mut Session,
    tx: &ReadTx,
    cursor: &mut Cursor,
    entries: &[Entry],
) -> Result<Vec<Option<BlobBytes>>, Error> {
    let (octets, room) = (entries.iter().map(|entry| entry.size).sum::<u64>(), room(session));
    if let Some(count) = u64::try_from(entries.len()).ok().filter(|count| *count > 0) {
        cursor.mean_size = Some(octets / count);
    }
    // Room for them at once, and for what stands around them, instead of for twice as much again and again.
    let answer = usize::try_from(octets.min(room)).unwrap_or(0) + entries.len() * ANSWER_ROUND;
    session.staged.reserve(answer);
    octets::together(tx, entries, room)
}

fn rows(session: &Session, tx: &ReadTx, plan: &Plan, (uids, limit): (&UidSet, usize)) -> Result<Vec<Entry>, Error> {
    let query = Query { uids, want: plan.want, changed_since: plan.changed_since, limit };
    let place = session.place()?;
    Ok(view::entries(tx, place.account, place.mailbox, &query)?)
}

/// A message's response, or its next part. False: there is more of it, for the next job.
fn one(
    session: &mut Session,
    tx: &ReadTx,
    plan: &Plan,
    cursor: &mut Cursor,
    mut message: Box<Message>,
    budget: &mut Budget,
) -> Result<bool, Error> {
    let start = session.staged.len();
    let whole = match message.write(session, tx, plan, budget) {
        Ok(whole) => whole,
        Err(error) if error.is_damage() => {
            session.staged.truncate(start);
            cursor.damage = Some(error);
            true
        }
        Err(error) => return Err(error),
    };
    if whole {
        cursor.last = message.uid();
        cursor.unknown_encoding |= message.unknown_encoding;
        if message.downgraded {
            cursor.downgraded.insert(message.uid());
        }
    } else {
        cursor.message = Some(message);
    }
    Ok(whole)
}

/// `* VANISHED (EARLIER)` (RFC 7162 §3.2.6): what of the set was expunged since. What the client still sees
/// is left to the VANISHED that takes it from there.
fn tell_vanished(session: &mut Session, tx: &ReadTx, fetch: &Fetch) -> Result<(), Error> {
    let Some(since) = fetch.changed_since else { return Ok(()) };
    let view = session.view()?;
    let named = match &fetch.set {
        postroad_imap::MessageSet::Set(set) => uid_set(&set.resolve(view.uid_next.checked_sub(1).filter(|u| *u > 0))),
        postroad_imap::MessageSet::Saved => UidSet::clone(&view.saved),
    };
    let below = view.uid_next.saturating_sub(1);
    let known = view.map().uids();
    let mark = Mark::at(plan::mod_seq(since));
    let changes = changes::changes_since(tx, view.account, view.mailbox, mark, 1)?;
    let gone = changes.vanished.intersection(&named).difference(&known);
    let gone = if below == 0 { UidSet::new() } else { gone.intersection(&UidSet::range(1, below)) };
    session.writer().vanished(true, &number_set(&gone));
    Ok(())
}

fn reply(plan: &Plan, fetch: &Fetch, cursor: &Cursor) -> Reply {
    if cursor.unknown_encoding {
        return Reply::no(ResponseCode::UnknownCte, "some part has a transfer encoding that I do not know");
    }
    // RFC 5530 EXPUNGEISSUED, RFC 2180 §4.1: a client that asked for more than what is gone has its answer.
    // By UID it is no error (RFC 9051 §6.4.9): what is not there is passed over.
    if plan.ghosts && fetch.numbering == Numbering::Sequence {
        let status = if plan.all_gone { Status::No } else { Status::Ok };
        return Reply::new(
            status,
            Some(ResponseCode::ExpungeIssued),
            "some of these messages have been deleted elsewhere",
        );
    }
    // RFC 6858 §3: which messages are not told as they are.
    if !cursor.downgraded.is_empty() {
        let code = ResponseCode::Downgraded(number_set(&cursor.downgraded));
        return Reply::ok_with(code, "of these UIDs headers are told in ASCII, since UTF8=ACCEPT is not enabled");
    }
    Reply::ok("FETCH done")
}

/// Rows read at once when each message's bytes are read too, and it is known how large they are.
const BODIES_MAX: usize = 256;
/// Octets of a response beside the literal in it, about.
const ANSWER_ROUND: usize = 64;
