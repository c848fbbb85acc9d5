//! Outgoing mail: what is to be sent, to whom, by when; written in the transaction that takes the message in.
//!
//! Here is the enqueue side and looking at the queue. Each recipient is a row of its own, so that each has
//! an outcome of its own. The queue takes its own reference to the message's blob. It never knows accounts,
//! mailboxes or sockets.
//!
//! Standards: RFC 5321 (envelope), RFC 3461 (DSN parameters), RFC 6531 (SMTPUTF8), RFC 6152 (8BITMIME),
//! RFC 3030 (BINARYMIME), RFC 8689 (REQUIRETLS).

mod enqueue;
mod look;
mod schema;

pub use enqueue::{Body, LIFETIME, Notify, Outgoing, QueueId, Recipient, Ret, enqueue};
pub use look::{Depth, Listed, ListedRecipient, State, depth, list};
pub use schema::MIGRATIONS;

use std::fmt;

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with the queue.
#[derive(Debug)]
pub enum Error {
    /// No recipient, or more than [`MAX_RECIPIENTS`].
    Recipients,
    /// The database failed.
    Store(postroad_store::Error),
    /// A row contradicts an invariant: our bug or a damaged database.
    Corrupt(String),
}

/// Most recipients of one queued message.
pub const MAX_RECIPIENTS: usize = 50_000;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Recipients => f.write_str("a queued message has between one and 50,000 recipients"),
            Error::Store(error) => write!(f, "{error}"),
            Error::Corrupt(what) => write!(f, "the queue contradicts itself: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Store(error) => Some(error),
            Error::Recipients | Error::Corrupt(_) => None,
        }
    }
}

impl From<postroad_store::Error> for Error {
    fn from(error: postroad_store::Error) -> Self {
        Error::Store(error)
    }
}
