//! Looking at the queue.

use std::fmt;

use postroad_store::{Param, ReadTx, Row, Timestamp, TraceId, params};

use crate::job::Message;
use crate::{Body, Error, Notify, QueueId, Result, Ret};

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

/// A message with all its recipients.
pub fn show(_tx: &ReadTx, _id: QueueId) -> Result<Option<Listed>> {
    unimplemented!()
}

/// Queued messages after `after`, the oldest first, with their first recipients.
pub fn list(_tx: &ReadTx, _filter: &Filter, _after: Option<QueueId>, _limit: usize) -> Result<Vec<Listed>> {
    unimplemented!()
}

/// Recipients shown of one message in a list.
pub const LISTED_RECIPIENTS_MAX: usize = 100;
