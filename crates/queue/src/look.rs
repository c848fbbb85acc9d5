//! Looking at the queue.

use std::collections::HashMap;
use std::fmt;

use postroad_store::{AccountId, Param, ReadTx, Row, Timestamp, TraceId, params};

use crate::job::Message;
use crate::{Body, DeliverBy, Error, Notify, QueueId, Result, Ret, Standing};

/// Where a recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// To be tried when due.
    Waiting,
    /// Its destination is blocked or at its limit.
    Parked,
    /// Its sender has so much to send that others go first.
    Backlog,
    /// Being sent.
    Claimed,
    /// Held by the administrator.
    Held,
    /// Taken by the next server.
    Delivered,
    /// Taken by a next server that will not report success.
    Relayed,
    /// Given up.
    Failed,
    /// Cancelled by the administrator.
    Cancelled,
}

impl State {
    /// All, in the order of a life.
    pub const ALL: [State; 9] = [
        State::Waiting,
        State::Parked,
        State::Backlog,
        State::Claimed,
        State::Held,
        State::Delivered,
        State::Relayed,
        State::Failed,
        State::Cancelled,
    ];

    /// As it is stored and typed.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Parked => "parked",
            State::Backlog => "backlog",
            State::Claimed => "claimed",
            State::Held => "held",
            State::Delivered => "delivered",
            State::Relayed => "relayed",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }

    /// Whether nothing is left to do.
    pub fn is_ended(self) -> bool {
        match self {
            State::Waiting | State::Parked | State::Backlog | State::Claimed | State::Held => false,
            State::Delivered | State::Relayed | State::Failed | State::Cancelled => true,
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which messages are listed: those for which all that is said here holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A recipient has this domain.
    pub domain: Option<String>,
    /// MAIL FROM is this.
    pub sender: Option<String>,
    /// A recipient (of the domain, when one is named) is in this state.
    pub state: Option<State>,
    /// It belongs to this story.
    pub trace: Option<TraceId>,
}

/// A queued message and its recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The message.
    pub message: Message,
    /// How many of its recipients have not ended.
    pub open: u64,
    /// To whom; in a list not more than [`LISTED_RECIPIENTS_MAX`].
    pub recipients: Vec<ListedRecipient>,
}

/// A recipient, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRecipient {
    /// Its number within the message.
    pub number: i64,
    /// The address.
    pub address: String,
    /// The destination.
    pub domain: String,
    /// The address of ours that forwarded.
    pub via: Option<String>,
    /// When the sender wants to hear.
    pub notify: Notify,
    /// Where it stands.
    pub state: State,
    /// When it is tried next.
    pub due: Timestamp,
    /// How often it was tried.
    pub attempts: u64,
    /// Whether the sender was told of the delay.
    pub delay_told: bool,
    /// What the other side said last.
    pub last_reply: Option<String>,
    /// The name of the node that sends it now.
    pub node: Option<String>,
}

/// A message with all its recipients. Two statements.
pub fn show(tx: &ReadTx, id: QueueId) -> Result<Option<Listed>> {
    let sql = format!("SELECT {MESSAGE}, open FROM queue_message WHERE id = $1");
    let found = tx.row(&sql, params![id.0], |row| Ok((read_message(row)?, row.int(OPEN)?.unsigned_abs())))?;
    let Some((message, open)) = found else { return Ok(None) };
    let sql = format!("SELECT {RECIPIENT} FROM queue_recipient WHERE message = $1 ORDER BY number");
    let recipients = tx.rows(&sql, params![id.0], read_recipient)?;
    let recipients = recipients.into_iter().map(|(_, state, recipient)| checked(&state, recipient));
    Ok(Some(Listed { message: message?, open, recipients: recipients.collect::<Result<_>>()? }))
}

/// Queued messages after `after`, the oldest first, with their first recipients that fit the filter. Two statements,
/// more when there are many recipients.
pub fn list(tx: &ReadTx, filter: &Filter, after: Option<QueueId>, limit: usize) -> Result<Vec<Listed>> {
    let found = found(tx, filter, after, limit)?;
    let mut messages = Vec::with_capacity(found.len());
    for (message, open) in found {
        messages.push(Listed { message: message?, open, recipients: Vec::new() });
    }
    let ids: Vec<i64> = messages.iter().map(|listed| listed.message.id.0).collect();
    let mut from = i64::MIN;
    loop {
        let rows = part(tx, filter, &ids, from)?;
        let full = rows.len() == ROWS_MAX;
        // The last message of a full part may be there in part only: it begins the next, unless it fills a part.
        let last = rows.last().map_or(i64::MAX, |(message, _, _)| *message);
        let only = rows.first().is_some_and(|(message, _, _)| *message == last);
        for (message, state, recipient) in rows {
            if full && !only && message == last {
                break;
            }
            let Ok(place) = ids.binary_search(&message) else { continue };
            if messages[place].recipients.len() < LISTED_RECIPIENTS_MAX {
                messages[place].recipients.push(checked(&state, recipient)?);
            }
        }
        if !full {
            return Ok(messages);
        }
        from = if only { last.saturating_add(1) } else { last };
    }
}

/// The messages with these ids.
pub(crate) fn messages(tx: &ReadTx, ids: &[i64]) -> Result<HashMap<i64, Message>> {
    let sql = format!("SELECT {MESSAGE} FROM queue_message WHERE id {{in:$1}}");
    let found = tx.rows(&sql, params![ids], read_message)?;
    found.into_iter().map(|message| message.map(|message| (message.id.0, message))).collect()
}

/// The messages that a filter lets through, and how many of their recipients are open. Goes by the index that fits the
/// filter best.
fn found(tx: &ReadTx, filter: &Filter, after: Option<QueueId>, limit: usize) -> Result<Vec<(Result<Message>, u64)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut params = vec![Param::from(after.map_or(i64::MIN, |id| id.0)), Param::from(limit)];
    let mut sql = format!("SELECT {MESSAGE}, open FROM queue_message WHERE id > $1");
    let recipients = match (filter.domain.is_some(), filter.state) {
        (true, Some(state)) => format!("WHERE domain = $3 AND state = '{state}'"),
        (true, None) => "WHERE domain = $3".to_owned(),
        (false, Some(State::Held)) => "{by:queue_recipient_held} WHERE state = 'held'".to_owned(),
        (false, Some(State::Claimed)) => "{by:queue_recipient_node} WHERE node IS NOT NULL".to_owned(),
        (false, Some(state)) => format!("WHERE message = queue_message.id AND state = '{state}'"),
        (false, None) => String::new(),
    };
    if !recipients.is_empty() {
        sql.push_str(&format!(" AND id IN (SELECT message FROM queue_recipient {recipients})"));
    }
    params.extend(filter.domain.as_deref().map(Param::from));
    if let Some(sender) = &filter.sender {
        params.push(Param::from(sender));
        sql.push_str(&format!(" AND sender = ${}", params.len()));
    }
    if let Some(trace) = filter.trace {
        params.push(Param::from(trace));
        sql.push_str(&format!(" AND trace = ${}", params.len()));
    }
    sql.push_str(" ORDER BY id LIMIT $2");
    Ok(tx.rows(&sql, &params, |row| Ok((read_message(row)?, row.int(OPEN)?.unsigned_abs())))?)
}

/// A message's number, a state as it is stored, and the rest.
type Read = (i64, String, ListedRecipient);

/// The next recipients of these messages that fit the filter, from the message `from` on.
fn part(tx: &ReadTx, filter: &Filter, messages: &[i64], from: i64) -> Result<Vec<Read>> {
    let mut params = vec![Param::from(messages), Param::from(from)];
    let mut sql = format!("SELECT {RECIPIENT} FROM queue_recipient WHERE message {{in:$1}} AND message >= $2");
    if let Some(domain) = &filter.domain {
        params.push(Param::from(domain));
        sql.push_str(" AND domain = $3");
    }
    if let Some(state) = filter.state {
        sql.push_str(&format!(" AND state = '{state}'"));
    }
    sql.push_str(&format!(" ORDER BY message, number LIMIT {ROWS_MAX}"));
    Ok(tx.rows(&sql, &params, read_recipient)?)
}

fn read_message(row: &Row<'_>) -> postroad_store::Result<Result<Message>> {
    let (ret, body) = (row.text_or_null(6)?, row.text(7)?);
    let unknown = |what: String| Err(Error::Corrupt(what));
    let ret = match ret {
        None => None,
        Some(name) => match Ret::from_name(&name) {
            None => return Ok(unknown(format!("ret {name}"))),
            known => known,
        },
    };
    let Some(body) = Body::from_name(&body) else { return Ok(unknown(format!("body {body}"))) };
    Ok(Ok(Message {
        id: QueueId(row.int(0)?),
        blob: row.id(1)?,
        size: row.int(2)?.unsigned_abs(),
        sender: row.text(3)?,
        account: row.int_or_null(4)?.map(AccountId),
        envid: row.text_or_null(5)?,
        ret,
        body,
        smtputf8: row.bool(8)?,
        requiretls: row.bool(9)?,
        trace: row.int_or_null(10)?.map(TraceId),
        created: row.id(11)?,
        expires: row.id(12)?,
        deliver_by: match (row.int_or_null(13)?, row.text_or_null(14)?) {
            (Some(at), Some(mode)) => Some(DeliverBy::from_stored(Timestamp(at), &mode)),
            (Some(_) | None, _) => None,
        },
        hold_until: row.int_or_null(15)?.map(Timestamp),
        hold_asked: row.text_or_null(16)?,
        priority: i8::try_from(row.int(17)?.clamp(-9, 9)).unwrap_or(0),
        solicitation: row.text_or_null(18)?,
        standing: Standing::from_stored(row.int(19)?),
    }))
}

/// The state is checked by [`checked`].
fn read_recipient(row: &Row<'_>) -> postroad_store::Result<Read> {
    let recipient = ListedRecipient {
        number: row.int(1)?,
        address: row.text(2)?,
        domain: row.text(3)?,
        via: row.text_or_null(4)?,
        notify: Notify::from_bits(row.int(5)?),
        state: State::Waiting,
        due: row.id(7)?,
        attempts: row.int(8)?.unsigned_abs(),
        delay_told: row.bool(9)?,
        last_reply: row.text_or_null(10)?,
        node: row.text_or_null(11)?,
    };
    Ok((row.int(0)?, row.text(6)?, recipient))
}

fn checked(state: &str, recipient: ListedRecipient) -> Result<ListedRecipient> {
    let state = State::from_name(state).ok_or_else(|| Error::Corrupt(format!("state {state}")))?;
    Ok(ListedRecipient { state, ..recipient })
}

const MESSAGE: &str =
    "id, blob, size, sender, account, envid, ret, body, smtputf8, requiretls, trace, created, expires, deliver_by, by_mode,
     hold_until, hold_asked, priority, solicitation, vouched";
/// The column behind those.
const OPEN: usize = 20;
const RECIPIENT: &str =
    "message, number, address, domain, via, notify, state, due, attempts, delay_told, last_reply, node";

/// Recipients shown of one message in a list.
pub const LISTED_RECIPIENTS_MAX: usize = 100;
/// Recipients read at a time.
const ROWS_MAX: usize = 2000;
