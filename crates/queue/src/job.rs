//! The words of sending: who asks for work, what is handed out, what became of it.

use std::time::Duration;

use postroad_store::{AccountId, BlobId, Timestamp, TraceId, new_id};

use crate::{Body, DeliverBy, LEASE, Notify, QueueId, Ret, Standing};

/// A server that sends, in one of its lives.
///
/// The name is stable for a data folder; the life is drawn each time the server starts, so that what an earlier
/// life had claimed is told from what this one has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    name: String,
    life: i64,
    lease: Duration,
}

impl Node {
    /// A new life of the server with this name, with a lease of [`LEASE`].
    pub fn new(name: impl Into<String>) -> Node {
        Node { name: name.into(), life: new_id(), lease: LEASE }
    }

    /// With another lease.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Node {
        Node { lease, ..self }
    }

    /// For how long the others believe that it lives after they last heard of it.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn life(&self) -> i64 {
        self.life
    }
}

/// What a node asks [`crate::claim`] for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks.
    pub node: &'a Node,
    /// The time.
    pub now: Timestamp,
    /// How many jobs at most; no more than [`crate::JOBS_MAX`] are given.
    pub jobs: usize,
    /// How many of them for one destination.
    pub jobs_per_destination: usize,
    /// How many recipients in one job.
    pub recipients_per_job: usize,
    /// Destinations at their limit on this node: nothing is given for them.
    pub crowded: &'a [String],
    /// How often this node has asked before. Those who wait for different reasons take turns at being first, also
    /// when only one job is asked for at a time.
    pub turn: u64,
}

/// One message for one destination: what one transaction on a connection carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What to do with it.
    pub purpose: Purpose,
    /// The message.
    pub message: Message,
    /// The destination, in its canonical form.
    pub domain: String,
    /// The address of ours that forwarded (the Delivered-To of the copy that leaves).
    pub via: Option<String>,
    /// To whom, at least one.
    pub recipients: Vec<Due>,
    /// How often in a row the destination as a whole could not be reached before this.
    pub failures: u32,
    /// Whether this tries a destination that was blocked: until [`crate::block`] or [`crate::unblock`] says more
    /// nothing else goes there. [`crate::record`] unblocks by itself when a recipient has ended.
    pub probe: bool,
    /// Who has it.
    pub node: Node,
}

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be sent.
    Send,
    /// Its time is over, and it cannot be tried: to be recorded as failed (RFC 3463: 4.4.7). What can be tried is tried a
    /// last time as [`Purpose::Send`]; whoever tries gives it up when that fails after [`Message::expires`].
    Expire,
    /// It waits for long behind a destination that cannot be reached, and its sender has not been told: nothing is to be
    /// tried, a notice of delay is due, and the outcome is [`Outcome::Unattempted`] with `delay_told`.
    TellDelay,
}

/// A queued message without its recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: QueueId,
    /// Its bytes; the queue holds a reference as long as the job is claimed.
    pub blob: BlobId,
    /// How many.
    pub size: u64,
    /// MAIL FROM; empty for the null reverse-path.
    pub sender: String,
    /// Who handed it in, when somebody logged in.
    pub account: Option<AccountId>,
    /// What is known of the sender, where nobody logged in.
    pub standing: Standing,
    /// ENVID, decoded.
    pub envid: Option<String>,
    /// RET.
    pub ret: Option<Ret>,
    /// BODY.
    pub body: Body,
    /// Whether it needs SMTPUTF8.
    pub smtputf8: bool,
    /// REQUIRETLS.
    pub requiretls: bool,
    /// Its story.
    pub trace: Option<TraceId>,
    /// When it came in.
    pub created: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// By when it is to be delivered.
    pub deliver_by: Option<DeliverBy>,
    /// Not to be sent before; `None` when nobody asked for that.
    pub hold_until: Option<Timestamp>,
    /// How that was asked for: `for;3600`.
    pub hold_asked: Option<String>,
    /// -9 to 9.
    pub priority: i8,
    /// Its classes of solicitation.
    pub solicitation: Option<String>,
}

/// A recipient that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its number within the message.
    pub number: i64,
    /// The address.
    pub address: String,
    /// When the sender wants to hear.
    pub notify: Notify,
    /// ORCPT, decoded.
    pub orcpt: Option<String>,
    /// How often it was tried before.
    pub attempts: u32,
    /// Whether the sender was told of the delay.
    pub delay_told: bool,
    /// RRVS (RFC 7293): `2026-11-22T12:00:00Z;R`.
    pub valid_since: Option<String>,
    /// What was said at the last attempt; for one that never was tried, why its destination could not be reached.
    pub last_reply: Option<String>,
}

/// What became of one recipient of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Which.
    pub number: i64,
    /// What became of it.
    pub outcome: Outcome,
    /// The other side's words, or ours: `550 5.1.1 No such user (mx.example.test)`. `None` leaves the last ones.
    pub reply: Option<String>,
    /// Whether the sender has been told of the delay; once true it stays true.
    pub delay_told: bool,
}

/// What became of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The other side took it.
    Delivered,
    /// The other side took it and will not report success.
    Relayed,
    /// Given up.
    Failed,
    /// To be tried again.
    Deferred {
        /// When.
        until: Timestamp,
    },
    /// Nothing was tried: back to its place, due as before, no attempt counted.
    Unattempted,
}

/// What recording led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Whether the message's last recipient has ended: its rows and its reference to the blob are gone.
    pub message_ended: bool,
    /// Whether [`crate::retry`] asked for a recipient that is deferred while it was claimed: it is due at once.
    pub again: bool,
}

/// Most jobs of one claim.
pub const JOBS_MAX: usize = 256;
