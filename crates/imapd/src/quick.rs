//! Which jobs look at a few rows only: those may run where the session is, without a change of threads.
//!
//! A wrong answer costs others time and nothing else: a job that is called quick and is not keeps a thread of the shell.

use postroad_imap::command::{Fetch, StatusItem};
use postroad_imap::{Body, MessageSet};

use crate::session::{Cursor, Session};
use crate::steps::{Phase, Running};

impl Session {
    /// Whether the job that the session asks for, if it is [`crate::Job::Read`] or [`crate::Job::Idle`], is a look at a few
    /// rows: a world may then use `store.read_quick_with`.
    pub fn is_quick(&self) -> bool {
        match &self.phase {
            Phase::Working(running) => self.command_is_quick(running),
            Phase::Idle(_) => self.map_is_light(),
            Phase::Greeting
            | Phase::Ready
            | Phase::Authenticating(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::Appending(_)
            | Phase::StartTls
            | Phase::Closing => false,
        }
    }

    fn command_is_quick(&self, running: &Running) -> bool {
        // A command that goes on has shown that it is not.
        if !matches!(running.cursor, Cursor::Start) {
            return false;
        }
        match &running.body {
            Body::Noop | Body::Check => self.map_is_light(),
            Body::Select(select) | Body::Examine(select) => select.qresync.is_none() && self.notify.is_none(),
            Body::Status { items, .. } => !items.contains(&StatusItem::DeletedStorage) && self.map_is_light(),
            Body::Fetch(fetch) => self.map_is_light() && names_few(fetch),
            _ => false,
        }
    }

    /// Whether the map from numbers to UIDs is there, or soon read.
    fn map_is_light(&self) -> bool {
        self.view.as_ref().is_none_or(|view| {
            // As many messages as UIDs were given: it needs no reading.
            view.map.is_some() || view.exists <= MAP_READ_MAX || view.exists == view.uid_next.saturating_sub(1)
        })
    }
}

/// Whether a FETCH names a few messages.
fn names_few(fetch: &Fetch) -> bool {
    let MessageSet::Set(set) = &fetch.set else { return false };
    // What was expunged since is looked for everywhere.
    if set.has_star() || fetch.vanished || fetch.partial.is_some() {
        return false;
    }
    set.resolve(None).count() <= MESSAGES_MAX
}

/// Messages that a quick job reads.
const MESSAGES_MAX: u64 = 32;
/// A map of more messages is not read in a quick job.
const MAP_READ_MAX: u32 = 2_000;
