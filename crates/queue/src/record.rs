//! What became of a job.

use std::collections::BTreeMap;

use postroad_store::{BlobId, Row, Timestamp, WriteTx, params};

use crate::{Error, Job, Outcome, Purpose, QueueId, Recorded, Result, State, Tried, claim, depth, destination};

/// Writes down what became of recipients of a job. All of them must still be claimed by the job's node in this life:
/// else the error is `Lost`, and the transaction is to be undone. Those of the job that are not named stay claimed.
///
/// With the last recipient of a message, the message goes and its reference to the blob. Three statements, one more
/// for each different outcome and reply, three more with the end of the message.
pub fn record(tx: &mut WriteTx, job: &Job, tried: &[Tried], now: Timestamp) -> Result<Recorded> {
    let mut groups: BTreeMap<Change<'_>, Vec<i64>> = BTreeMap::new();
    for one in tried {
        groups.entry(Change::of(one)).or_default().push(one.number);
    }
    let (mut ended, mut again) = (0, false);
    for (change, numbers) in &groups {
        let asked_for = apply(tx, job, change, numbers, now)?;
        if asked_for.len() != numbers.len() {
            return Err(Error::Lost);
        }
        again |= change.state == State::Waiting && asked_for.contains(&true);
        ended += if change.state.is_ended() { numbers.len() as i64 } else { 0 };
    }
    if groups.keys().any(|change| change.state == State::Waiting) {
        crate::news(tx);
    }
    let ends = end(tx, &[(job.message.id.0, ended)])?;
    if job.probe && job.purpose == Purpose::Send {
        settle_probe(tx, job, tried, now)?;
    }
    Ok(Recorded { message_ended: !ends.is_empty(), again })
}

/// One of what can become of several recipients at once.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change<'a> {
    state: State,
    /// `None`: as before.
    due: Option<i64>,
    attempts: i64,
    reply: Option<&'a str>,
    delay_told: bool,
}

impl<'a> Change<'a> {
    fn of(tried: &'a Tried) -> Change<'a> {
        let (state, due, attempts) = match tried.outcome {
            Outcome::Delivered => (State::Delivered, None, 1),
            Outcome::Relayed => (State::Relayed, None, 1),
            Outcome::Failed => (State::Failed, None, 1),
            Outcome::Deferred { until } => (State::Waiting, Some(until.0), 1),
            Outcome::Unattempted => (State::Waiting, None, 0),
        };
        Change { state, due, attempts, reply: tried.reply.as_deref(), delay_told: tried.delay_told }
    }
}

/// Says of each recipient that was changed whether somebody has asked for it since it was claimed.
fn apply(tx: &mut WriteTx, job: &Job, change: &Change<'_>, numbers: &[i64], now: Timestamp) -> Result<Vec<bool>> {
    let reply = change.reply.map(crate::storable);
    Ok(tx.returning(
        "UPDATE queue_recipient SET state = $1, attempts = attempts + $3,
                due = CASE WHEN again = 1 THEN {least:coalesce($2, due), $10} ELSE coalesce($2, due) END,
                last_reply = coalesce($4, last_reply), delay_told = {greatest:delay_told, $5},
                node = NULL, life = NULL
         WHERE message = $6 AND number {in:$7} AND state = 'claimed' AND node = $8 AND life = $9 RETURNING again",
        params![
            change.state.name(),
            change.due,
            change.attempts,
            reply.as_deref(),
            i64::from(change.delay_told),
            job.message.id.0,
            numbers,
            job.node.name(),
            job.node.life(),
            now,
        ],
        |row| row.bool(0),
    )?)
}

/// A probe has shown something about its destination. What it showed when all recipients were deferred only who tried
/// knows, and says so with `block` or `unblock`.
fn settle_probe(tx: &mut WriteTx, job: &Job, tried: &[Tried], now: Timestamp) -> Result<()> {
    let is_ended = |one: &Tried| match one.outcome {
        Outcome::Delivered | Outcome::Relayed | Outcome::Failed => true,
        Outcome::Deferred { .. } | Outcome::Unattempted => false,
    };
    if tried.iter().any(is_ended) {
        return destination::unblock(tx, &job.domain, now);
    }
    if tried.iter().all(|one| one.outcome == Outcome::Unattempted) {
        destination::wait_until(tx, &[job.domain.as_str()], now)?;
    }
    Ok(())
}

/// So many recipients of these messages have ended. Messages of which none is open go, with all that is theirs; says
/// which.
pub(crate) fn end(tx: &mut WriteTx, ended: &[(i64, i64)]) -> Result<Vec<QueueId>> {
    let total: i64 = ended.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return Ok(Vec::new());
    }
    // RETURNING shows each row as it is after the change; whoever comes second on PostgreSQL waits here and sees it.
    let read = |row: &Row<'_>| Ok((row.int(0)?, row.int(1)?, row.id::<BlobId>(2)?));
    let left = match ended {
        [(message, count)] => tx.returning(
            "UPDATE queue_message SET open = open - $2 WHERE id = $1 RETURNING id, open, blob",
            params![*message, *count],
            read,
        )?,
        several => tx.returning(
            "UPDATE queue_message SET open = open - n.b FROM {numbers:$1} AS n WHERE id = n.a RETURNING id, open, blob",
            params![&claim::list(several.iter().map(|(message, count)| [*message, *count]))],
            read,
        )?,
    };
    if let Some((id, open, _)) = left.iter().find(|(_, open, _)| *open < 0) {
        return Err(Error::Corrupt(format!("{} has {open} open recipients", QueueId(*id))));
    }
    let gone: Vec<(i64, BlobId)> =
        left.into_iter().filter(|(_, open, _)| *open == 0).map(|(id, _, blob)| (id, blob)).collect();
    let ids: Vec<i64> = gone.iter().map(|(id, _)| *id).collect();
    if !ids.is_empty() {
        tx.execute("DELETE FROM queue_recipient WHERE message {in:$1}", params![&ids])?;
        tx.execute("DELETE FROM queue_message WHERE id {in:$1}", params![&ids])?;
        tx.blob_release_all(&gone.iter().map(|(_, blob)| *blob).collect::<Vec<_>>())?;
    }
    depth::add(tx, -(ids.len() as i64), -total)?;
    Ok(ids.into_iter().map(QueueId).collect())
}
