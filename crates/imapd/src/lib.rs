//! The IMAP service: a [`Session`] without sockets that gives the words of `postroad-imap` their meaning.
//!
//! What it is: RFC 9051 (IMAP4rev2) and RFC 3501 (IMAP4rev1) with the extensions of [`capability`]. A
//! session implements [`postroad_protocol::Protocol`]; what needs data becomes a [`Job`], into whose
//! transaction the session travels and comes back with its output. Handlers are ordinary functions
//! `(&mut Session, &Tx, command)`, one file per command in `commands/`, one row per command in
//! `commands/table.rs`.
//!
//! What it never does: sockets, SQL, clocks, threads. Nothing it says of a change leaves before the
//! change is stored: output of a job is held back until the world gives the outcome.
//!
//! A world is this (without its error handling for a session that panicked):
//!
//! ```ignore
//! async fn perform(&self, mut session: Session, job: Job) -> Result<Session, Fatal> {
//!     let now = Timestamp::now();
//!     match job {
//!         Job::Read(_) | Job::Idle { .. } => {
//!             let (session, result) = self.store.read_with(session, move |tx, s: &mut Session| s.run_read(tx, now)).await;
//!             let mut session = session.ok_or_else(lost)?;
//!             session.read_done(result);
//!             Ok(session)
//!         }
//!         Job::Write(locks, _) => {
//!             let (session, result) =
//!                 self.store.write_with(locks, session, move |tx, s: &mut Session| s.run_write(tx, now)).await;
//!             let mut session = session.ok_or_else(lost)?;
//!             session.write_done(result.map(|stored| stored.receipt));
//!             Ok(session)
//!         }
//!         Job::Disk => spawn_blocking(move || { session.run_disk(|| store.upload()); session }).await,
//!         Job::Login(login) => { session.logged_in(self.verify(login).await); Ok(session) }
//!         Job::Pause(duration) => { sleep(duration).await; session.resumed(); Ok(session) }
//!     }
//! }
//! fn news(&self, _session: &Session, job: &Job) -> impl Future<Output = ()> + Send {
//!     let Job::Idle { accounts } = job else { .. pending .. };
//!     let (mut ear, since) = (self.store.hub().subscribe(*account), *since);
//!     async move { ear.wait_for(|modseq| *modseq > since).await; }
//! }
//! ```
//!
//! `result` carries an [`Error`]; the session answers its client with it, and [`Error::log`] says what
//! the administrator should read, if anything; [`Session::run_disk`] answers with that line.
//!
//! In IDLE [`postroad_protocol::Protocol::tick`] says `* OK Still here`.

mod annotations;
mod append;
pub mod capability;
mod collation;
mod commands;
mod context;
mod error;
mod fetch;
mod flags;
mod gmail;
mod job;
mod language;
mod login;
mod message_limit;
mod names;
mod notify;
mod quick;
mod recent;
mod rehearse;
mod run;
mod search;
mod seqmap;
mod session;
mod settings;
mod shared;
mod sort;
mod steps;
mod sync;
mod target;
mod thread;
mod urls;
mod view;

pub use error::Error;
pub use fetch::Remembered;
pub use job::{Job, Login, Outcome};
pub use message_limit::{MESSAGE_LIMIT_MIN, MessageLimit};
pub use recent::RecentClaims;
pub use rehearse::rehearse;
pub use session::Session;
pub use settings::{Identity, Settings, shared_entry};
pub use sort::cache::SortKeys;
