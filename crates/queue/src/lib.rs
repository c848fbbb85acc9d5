//! Outgoing mail: what is to be sent, to whom, by when; written in the transaction that takes the message in.
//!
//! Each recipient is a row of its own with an outcome of its own. Nodes claim work in due order, bounded and by
//! destination, and write down what became of it; the queue takes its own reference to the message's blob and gives
//! it up with the last recipient. It never knows accounts, mailboxes or sockets.
//!
//! Standards: RFC 5321 (envelope), RFC 3461 (DSN parameters), RFC 6531 (SMTPUTF8), RFC 6152 (8BITMIME),
//! RFC 3030 (BINARYMIME), RFC 8689 (REQUIRETLS), RFC 4865 (hold until), RFC 2852 (deliver by), RFC 6710
//! (priorities), RFC 7293 (RRVS), RFC 3865 (solicitations).

mod audit;
mod change;
mod claim;
mod depth;
mod destination;
mod enqueue;
pub mod grants;
mod job;
mod look;
mod node;
mod record;
mod restored;
mod route;
mod schema;
pub mod shaping;
pub mod suppression;

pub use audit::{AUDIT_FAULTS_MAX, audit};
pub use change::{BELOW_MAX, Changed, Which, cancel, count, hold, release, retry, waiting_below};
pub use claim::{claim, claim_for, next_due};
pub use depth::{Depth, depth};
pub use destination::{Destination, block, destinations, rest, unblock};
pub use enqueue::{
    Body, DELAY, DeliverBy, LIFETIME, NotAQueueId, Notify, Outgoing, QueueId, Recipient, Ret, Standing, Terms, enqueue,
};
pub use job::{Ask, Due, JOBS_MAX, Job, Message, Node, Outcome, Purpose, Recorded, Tried};
pub use look::{Filter, LISTED_RECIPIENTS_MAX, Listed, ListedRecipient, State, list, show};
pub use node::{LEASE, beat, leave, recover};
pub use record::record;
pub use restored::hold_restored;
pub use route::{Route, RouteCredential, RouteLogin, RouteTls, delete_route, put_route, route_for, routes};
pub use schema::MIGRATIONS;

use std::borrow::Cow;
use std::fmt;

use postroad_store::{AccountId, ModSeq, WriteTx, new_id};

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with the queue.
#[derive(Debug)]
pub enum Error {
    /// No recipient, or more than [`MAX_RECIPIENTS`].
    Recipients,
    /// What the node had is not its own any more: its lease has ended, or another life of it has begun. What was tried
    /// may be tried again by somebody else.
    Lost,
    /// The database failed.
    Store(postroad_store::Error),
    /// A row contradicts an invariant: our bug or a damaged database.
    Corrupt(String),
}

/// News of the queue: no account has this number. Whoever sends listens with `store.hub().subscribe(NEWS)`.
pub const NEWS: AccountId = AccountId(0);

/// Wakes whoever sends, on all nodes.
fn news(tx: &mut WriteTx) {
    tx.publish(NEWS, ModSeq(new_id()));
}

/// What others said, as it can be stored: without NUL, not endless.
fn storable(said: &str) -> Cow<'_, str> {
    let end = (0..=REPLY_MAX.min(said.len())).rev().find(|place| said.is_char_boundary(*place)).unwrap_or(0);
    let said = &said[..end];
    if said.contains('\0') { Cow::Owned(said.replace('\0', " ")) } else { Cow::Borrowed(said) }
}

/// Bytes kept of a reply.
const REPLY_MAX: usize = 2000;

/// Most recipients of one queued message.
pub const MAX_RECIPIENTS: usize = 50_000;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Recipients => f.write_str("a queued message has between one and 50,000 recipients"),
            Error::Lost => f.write_str("this node's claims have passed to others: it was not heard of for too long"),
            Error::Store(error) => write!(f, "{error}"),
            Error::Corrupt(what) => write!(f, "the queue contradicts itself: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Store(error) => Some(error),
            Error::Recipients | Error::Lost | Error::Corrupt(_) => None,
        }
    }
}

impl From<postroad_store::Error> for Error {
    fn from(error: postroad_store::Error) -> Self {
        Error::Store(error)
    }
}
