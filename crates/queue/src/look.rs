//! Looking at the queue.

use postroad_store::{BlobId, ReadTx, Timestamp, TraceId, params};

use crate::{Error, Notify, QueueId, Result};

/// How full the queue is, for metrics and the administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages with at least one recipient waiting.
    pub messages: u64,
    /// Recipients waiting.
    pub recipients: u64,
    /// When the oldest message that waits came in.
    pub oldest: Option<Timestamp>,
}

/// Where a recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// To be tried when due.
    Waiting,
    /// Delivered, nothing left to do.
    Delivered,
    /// Given up.
    Failed,
}

impl State {
    fn from_name(name: &str) -> Option<State> {
        match name {
            "waiting" => Some(State::Waiting),
            "delivered" => Some(State::Delivered),
            "failed" => Some(State::Failed),
            _ => None,
        }
    }
}

/// A queued message, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: QueueId,
    /// Its bytes.
    pub blob: BlobId,
    /// How many.
    pub size: u64,
    /// MAIL FROM.
    pub sender: String,
    /// Its story.
    pub trace: Option<TraceId>,
    /// When it came in.
    pub created: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// To whom.
    pub recipients: Vec<ListedRecipient>,
}

/// A recipient, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRecipient {
    /// The address.
    pub address: String,
    /// When the sender wants to hear.
    pub notify: Notify,
    /// Where it stands.
    pub state: State,
    /// When it is tried next.
    pub due: Timestamp,
    /// How often it was tried.
    pub attempts: u64,
    /// What the other side said last.
    pub last_reply: Option<String>,
}

/// How full the queue is. One statement.
pub fn depth(tx: &ReadTx) -> Result<Depth> {
    let depth = tx.one(
        "SELECT CAST(count(DISTINCT r.message) AS BIGINT), CAST(count(*) AS BIGINT), min(m.created)
         FROM queue_recipient r JOIN queue_message m ON m.id = r.message WHERE r.state = 'waiting'",
        params![],
        |row| {
            Ok(Depth {
                messages: row.int(0)?.unsigned_abs(),
                recipients: row.int(1)?.unsigned_abs(),
                oldest: row.int_or_null(2)?.map(Timestamp),
            })
        },
    )?;
    Ok(depth)
}

/// Queued messages after `after`, the oldest first, with their recipients. Two statements.
pub fn list(tx: &ReadTx, after: Option<QueueId>, limit: usize) -> Result<Vec<Listed>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut messages = tx.rows(
        "SELECT id, blob, size, sender, trace, created, expires FROM queue_message
         WHERE id > $1 ORDER BY id LIMIT $2",
        params![after.map_or(i64::MIN, |id| id.0), limit],
        |row| {
            Ok(Listed {
                id: QueueId(row.int(0)?),
                blob: row.id(1)?,
                size: row.int(2)?.unsigned_abs(),
                sender: row.text(3)?,
                trace: row.int_or_null(4)?.map(TraceId),
                created: row.id(5)?,
                expires: row.id(6)?,
                recipients: Vec::new(),
            })
        },
    )?;
    let ids: Vec<i64> = messages.iter().map(|message| message.id.0).collect();
    let recipients = tx.rows(
        "SELECT message, address, notify, state, due, attempts, last_reply FROM queue_recipient
         WHERE message {in:$1} ORDER BY message, number",
        params![&ids],
        |row| {
            Ok((
                row.int(0)?,
                row.text(3)?,
                ListedRecipient {
                    address: row.text(1)?,
                    notify: Notify::from_bits(row.int(2)?),
                    state: State::Waiting,
                    due: row.id(4)?,
                    attempts: row.int(5)?.unsigned_abs(),
                    last_reply: row.text_or_null(6)?,
                },
            ))
        },
    )?;
    for (message, state, mut recipient) in recipients {
        recipient.state = State::from_name(&state).ok_or_else(|| Error::Corrupt(format!("state {state}")))?;
        if let Ok(at) = messages.binary_search_by_key(&message, |listed| listed.id.0) {
            messages[at].recipients.push(recipient);
        }
    }
    Ok(messages)
}
