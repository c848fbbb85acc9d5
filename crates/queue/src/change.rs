//! What the administrator orders. Each order goes through the messages in the order of their ids, a bounded part in
//! each transaction, so that it ends whatever comes in meanwhile. What is being sent is never touched; that it is to be
//! tried again is remembered.

use std::collections::{BTreeMap, BTreeSet};

use postroad_store::trace::TraceEvent;
use postroad_store::{Param, ReadTx, Timestamp, TraceId, WriteTx, params};

use crate::{DELAY, LIFETIME, QueueId, Result, depth, record};

/// Which messages an order is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// One.
    Message(QueueId),
    /// All recipients of this domain, in its canonical form.
    Domain(String),
    /// All messages of this MAIL FROM; empty for the null sender.
    Sender(String),
    /// All.
    All,
}

/// What an order changed. It is carried out in parts: while `next` is there, call again with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Messages of which a recipient was changed.
    pub messages: u64,
    /// Recipients changed.
    pub recipients: u64,
    /// Recipients left alone because they are being sent. What [`retry`] is about is due at once if it comes back.
    pub busy: u64,
    /// Where to go on.
    pub next: Option<QueueId>,
}

/// Due at once, whatever the state of their destinations, which are tried as well. One message comes before all others.
/// What is being sent at the moment is due at once as well, should it come back. What is held stays held.
pub fn retry(tx: &mut WriteTx, which: &Which, after: Option<QueueId>, now: Timestamp) -> Result<Changed> {
    let part = part(tx, which, after)?;
    // Behind a destination that is tried again everything moves by itself.
    let (states, due) = match which {
        Which::Message(_) => ("'waiting', 'parked', 'backlog'", Timestamp(0)),
        Which::Sender(_) => ("'waiting', 'parked', 'backlog'", now),
        Which::Domain(_) | Which::All => ("'waiting'", now),
    };
    // RFC 4865 §4: what its sender wants to be held is not sent because its destination is wanted. Who names the message
    // knows what they do.
    let unless_held = match which {
        Which::Message(_) => String::new(),
        Which::Domain(_) | Which::Sender(_) | Which::All => format!(
            " AND NOT EXISTS (SELECT 1 FROM queue_message m
               WHERE m.id = queue_recipient.message AND m.hold_until > {})",
            now.0
        ),
    };
    let sql = format!(
        "UPDATE queue_recipient SET state = 'waiting', due = $3
         WHERE message {{in:$1}} AND ($2 = '' OR domain = $2) AND state IN ({states})
           AND (state <> 'waiting' OR due > $3){unless_held} RETURNING message, address, domain"
    );
    let mut touched = touch(tx, &part, which, &sql, Some(due))?;
    let mut domains: BTreeSet<String> = touched.domains.clone();
    domains.extend(Some(domain_of(which)).filter(|domain| !domain.is_empty()).map(str::to_owned));
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    tx.execute(
        "UPDATE queue_destination SET not_before = $1 WHERE domain {in:$2} AND not_before > $1",
        params![now, &domains],
    )?;
    if *which == Which::All && after.is_none() {
        tx.execute("UPDATE queue_destination SET not_before = $1 WHERE not_before > $1", params![now])?;
    }
    crate::news(tx);
    if matches!(which, Which::Message(_)) {
        tell(tx, &part, &touched, "retried", "to be tried at once, the administrator says", now)?;
    }
    let ids: Vec<i64> = part.messages.keys().copied().collect();
    touched.changed.busy = tx.execute(
        "UPDATE queue_recipient SET again = 1
         WHERE message {in:$1} AND ($2 = '' OR domain = $2) AND state = 'claimed'",
        params![&ids, domain_of(which)],
    )?;
    Ok(touched.changed)
}

/// Not to be sent until released.
pub fn hold(tx: &mut WriteTx, which: &Which, after: Option<QueueId>, now: Timestamp) -> Result<Changed> {
    let part = part(tx, which, after)?;
    let mut touched = touch(
        tx,
        &part,
        which,
        "UPDATE queue_recipient SET state = 'held', due = CASE WHEN state = 'waiting' THEN due ELSE $3 END
         WHERE message {in:$1} AND ($2 = '' OR domain = $2) AND state IN ('waiting', 'parked', 'backlog')
         RETURNING message, address, domain",
        Some(now),
    )?;
    tell(tx, &part, &touched, "held", "held by the administrator", now)?;
    touched.changed.busy = busy(tx, &part, which)?;
    Ok(touched.changed)
}

/// Domains below this one, itself among them, for which something waits: [`BELOW_MAX`] at most.
pub fn waiting_below(tx: &ReadTx, domain: &str) -> Result<Vec<String>> {
    let limit = i64::try_from(BELOW_MAX).unwrap_or(i64::MAX);
    let pattern = format!("%.{}", domain.replace('!', "!!").replace('_', "!_").replace('%', "!%"));
    Ok(tx.rows(
        "SELECT DISTINCT domain FROM queue_recipient {by:queue_recipient_place}
         WHERE (domain = $1 OR domain LIKE $2 ESCAPE '!') AND state IN ('waiting', 'parked', 'backlog')
         ORDER BY domain LIMIT $3",
        params![domain, pattern.as_str(), limit],
        |row| row.text(0),
    )?)
}

/// What was held is due at once, and its time begins anew: it is tried for as long as it was to be. What was not to be sent before a
/// time keeps that time (RFC 4865).
pub fn release(tx: &mut WriteTx, which: &Which, after: Option<QueueId>, now: Timestamp) -> Result<Changed> {
    let part = part(tx, which, after)?;
    let touched = touch(
        tx,
        &part,
        which,
        "UPDATE queue_recipient SET state = 'waiting', due = CASE WHEN attempts = 0 THEN due ELSE {least:due, $3} END
         WHERE message {in:$1} AND ($2 = '' OR domain = $2) AND state = 'held' RETURNING message, address, domain",
        Some(now),
    )?;
    if touched.changed.recipients > 0 {
        let ids: Vec<i64> = touched.addresses.keys().copied().collect();
        tx.execute(
            "UPDATE queue_message SET look_at = {least:$3, $2 + expires - created},
                    expires = CASE WHEN $2 + expires - created < $4 THEN $2 + expires - created
                                   ELSE {greatest:expires, $4} END
             WHERE id {in:$1} AND created < $2 AND (by_mode IS NULL OR by_mode IN ('N', 'NT'))",
            params![&ids, now, now.plus(DELAY), now.plus(2 * LIFETIME)],
        )?;
        crate::news(tx);
    }
    tell(tx, &part, &touched, "released", "released by the administrator", now)?;
    Ok(touched.changed)
}

/// Never to be sent, and nobody is told. What is being sent is left alone.
pub fn cancel(tx: &mut WriteTx, which: &Which, after: Option<QueueId>, now: Timestamp) -> Result<Changed> {
    let part = part(tx, which, after)?;
    let busy = busy(tx, &part, which)?;
    let mut touched = touch(
        tx,
        &part,
        which,
        "UPDATE queue_recipient SET state = 'cancelled'
         WHERE message {in:$1} AND ($2 = '' OR domain = $2) AND state IN ('waiting', 'parked', 'backlog', 'held')
         RETURNING message, address, domain",
        None,
    )?;
    touched.changed.busy = busy;
    tell(tx, &part, &touched, "cancelled", "cancelled by the administrator", now)?;
    let ended: Vec<(i64, i64)> =
        touched.addresses.iter().map(|(message, addresses)| (*message, addresses.len() as i64)).collect();
    record::end(tx, &ended)?;
    Ok(touched.changed)
}

/// How many messages, and how many of their recipients, an order could change: what has not ended. Reads them all.
pub fn count(tx: &ReadTx, which: &Which) -> Result<(u64, u64)> {
    let open = "state IN ('waiting', 'parked', 'backlog', 'held', 'claimed')";
    let (sql, params) = match which {
        Which::All => return depth::depth(tx).map(|depth| (depth.messages, depth.recipients)),
        Which::Message(id) => (
            format!(
                "SELECT CAST(count(DISTINCT message) AS BIGINT), CAST(count(*) AS BIGINT) FROM queue_recipient
                 WHERE message = $1 AND {open}"
            ),
            [Param::from(id.0)],
        ),
        Which::Domain(domain) => (
            format!(
                "SELECT CAST(count(DISTINCT message) AS BIGINT), CAST(count(*) AS BIGINT) FROM queue_recipient
                 WHERE domain = $1 AND {open}"
            ),
            [Param::from(domain)],
        ),
        Which::Sender(sender) => (
            "SELECT CAST(count(*) AS BIGINT), CAST(coalesce(sum(open), 0) AS BIGINT) FROM queue_message
             WHERE sender = $1"
                .to_owned(),
            [Param::from(sender)],
        ),
    };
    Ok(tx.one(&sql, &params, |row| Ok((row.int(0)?.unsigned_abs(), row.int(1)?.unsigned_abs())))?)
}

/// The messages of one transaction.
struct Part {
    messages: BTreeMap<i64, Option<TraceId>>,
    next: Option<QueueId>,
}

/// What a statement changed.
struct Touched {
    changed: Changed,
    /// By message.
    addresses: BTreeMap<i64, Vec<String>>,
    domains: BTreeSet<String>,
}

/// The next messages: up to a number of messages and of recipients.
fn part(tx: &ReadTx, which: &Which, after: Option<QueueId>) -> Result<Part> {
    let after = after.map_or(i64::MIN, |id| id.0);
    let limit = i64::try_from(MESSAGES_MAX).unwrap_or(i64::MAX);
    let columns = "SELECT id, open, trace FROM queue_message";
    let order = "ORDER BY id LIMIT $2";
    let read = |sql: &str, params: &[Param<'_>]| {
        tx.rows(sql, params, |row| Ok((row.int(0)?, row.int(1)?, row.int_or_null(2)?.map(TraceId))))
    };
    let found = match which {
        Which::Message(id) => {
            read(&format!("{columns} WHERE id > $1 AND id = $3 {order}"), params![after, limit, id.0])
        }
        Which::Sender(sender) => read(
            &format!("{columns} {{by:queue_message_sender}} WHERE id > $1 AND sender = $3 {order}"),
            params![after, limit, sender],
        ),
        Which::Domain(domain) => {
            let ids = tx.rows(
                "SELECT DISTINCT message FROM queue_recipient {by:queue_recipient_place}
                 WHERE message > $1 AND domain = $3 ORDER BY message LIMIT $2",
                params![after, limit, domain],
                |row| row.int(0),
            )?;
            read(&format!("{columns} WHERE id > $1 AND id {{in:$3}} {order}"), params![after, limit, &ids])
        }
        Which::All => read(&format!("{columns} WHERE id > $1 {order}"), params![after, limit]),
    }?;
    let (mut messages, mut recipients) = (BTreeMap::new(), 0);
    let more = found.len() == MESSAGES_MAX;
    for (id, open, trace) in &found {
        if recipients >= RECIPIENTS_MAX {
            break;
        }
        recipients += open;
        messages.insert(*id, *trace);
    }
    let cut = more || messages.len() < found.len();
    let next = messages.last_key_value().filter(|_| cut).map(|(id, _)| QueueId(*id));
    Ok(Part { messages, next })
}

/// `sql` has the messages in `$1`, the domain or nothing in `$2`, and a time, when there is one, in `$3`.
fn touch(tx: &mut WriteTx, part: &Part, which: &Which, sql: &str, time: Option<Timestamp>) -> Result<Touched> {
    let ids: Vec<i64> = part.messages.keys().copied().collect();
    let mut params = vec![Param::from(&ids), Param::from(domain_of(which))];
    params.extend(time.map(Param::from));
    let rows = tx.returning(sql, &params, |row| Ok((row.int(0)?, row.text(1)?, row.text(2)?)))?;
    let recipients = rows.len() as u64;
    let mut addresses: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let mut domains = BTreeSet::new();
    for (message, address, domain) in rows {
        addresses.entry(message).or_default().push(address);
        domains.insert(domain);
    }
    let changed = Changed { messages: addresses.len() as u64, recipients, busy: 0, next: part.next };
    Ok(Touched { changed, addresses, domains })
}

fn busy(tx: &ReadTx, part: &Part, which: &Which) -> Result<u64> {
    let ids: Vec<i64> = part.messages.keys().copied().collect();
    let busy = tx.one(
        "SELECT CAST(count(*) AS BIGINT) FROM queue_recipient
         WHERE message {in:$1} AND ($2 = '' OR domain = $2) AND state = 'claimed'",
        params![&ids, domain_of(which)],
        |row| row.int(0),
    )?;
    Ok(busy.unsigned_abs())
}

fn domain_of(which: &Which) -> &str {
    match which {
        Which::Domain(domain) => domain,
        Which::Message(_) | Which::Sender(_) | Which::All => "",
    }
}

/// A line in the story of each message.
fn tell(tx: &mut WriteTx, part: &Part, touched: &Touched, kind: &str, what: &str, now: Timestamp) -> Result<()> {
    for (message, addresses) in &touched.addresses {
        let Some(trace) = part.messages.get(message).copied().flatten() else { continue };
        let named: Vec<&str> = addresses.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = match addresses.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let detail = format!("{what}: {}{more} ({})", named.join(", "), QueueId(*message));
        tx.trace(trace, now, &TraceEvent { kind, detail: &detail }, &[])?;
    }
    Ok(())
}

/// Domains named at a time.
pub const BELOW_MAX: usize = 100;
/// Messages of one transaction.
const MESSAGES_MAX: usize = 200;
/// Recipients of one transaction, all of the last message's added.
const RECIPIENTS_MAX: i64 = 5_000;
/// Addresses named in a line of a story.
const NAMED_MAX: usize = 10;
