//! What an IMAP session asks of the world, and what the world tells it.
//!
//! The set is closed and small, so that a world is some twenty lines (see the crate's documentation).

use std::time::Duration;

use postroad_mail::{Authenticated, Refused};
use postroad_sasl::{Answer, Ask};
use postroad_store::{AccountId, Locks, ModSeq};

/// A job for the world. The session travels with it and comes back.
#[derive(Debug, PartialEq)]
pub enum Job {
    /// `store.read_with(session, |tx, session| session.run_read(tx, now))`, then [`crate::Session::read_done`].
    /// With the command's name, for metrics.
    Read(&'static str),
    /// `store.write_with(locks, session, |tx, session| session.run_write(tx, now))`, then
    /// [`crate::Session::write_done`]. With the command's name.
    Write(Locks, &'static str),
    /// [`crate::Session::run_disk`] on a thread that may block: octets of an APPEND go to the blob store.
    Disk,
    /// Have looked at what a client shows of itself (never inside a transaction: hashing is slow), then
    /// [`crate::Session::logged_in`].
    Login(Login),
    /// Hold the session for this long, then [`crate::Session::resumed`]: the answer to a failed login.
    Pause(Duration),
    /// Only inside `Step::Wait`. The news are that the modseq of one of these accounts is above what the session
    /// knows; the job is then that of [`Job::Read`].
    Idle {
        /// The accounts whose changes matter, and what the session already knows of each.
        accounts: Vec<(AccountId, ModSeq)>,
    },
}

impl Job {
    /// A name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Job::Read(command) | Job::Write(_, command) => command,
            Job::Disk => "append",
            Job::Login(_) => "login",
            Job::Pause(_) => "pause",
            Job::Idle { .. } => "idle",
        }
    }
}

/// Who wants to log in.
#[derive(Debug, PartialEq, Eq)]
pub struct Login {
    /// Who, and what there is to show for it. One login may ask several times.
    pub ask: Ask,
    /// Whether it came under TLS.
    pub secure: bool,
}

/// What became of a question. Only [`postroad_mail::credentials`] makes an [`Authenticated`].
pub type Outcome = Answer<Authenticated, Refused>;
