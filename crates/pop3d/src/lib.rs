//! The POP3 service: a [`Session`] without sockets over an account's INBOX.
//!
//! What it is: RFC 1939 with CAPA (RFC 2449), STLS (RFC 2595), AUTH (RFC 5034), RESP-CODES and AUTH-RESP-CODE
//! (RFC 2449, RFC 3206), UTF8 and LANG (RFC 6856). APOP is
//! offered where a timestamp is given for the greeting.
//!
//! The maildrop is what lay in INBOX at login: its numbers, sizes and texts stay for the whole session,
//! whatever other sessions do. `DELE` is carried out at `QUIT` and only then; a session that ends in another
//! way deletes nothing. Several sessions may have it, unless a setting gives it to one at a time (`[IN-USE]`), by a lease in
//! the store that holds on all nodes.
//!
//! What it never does: sockets, SQL, clocks, threads, flags (`RETR` does not set `\Seen`).
//!
//! A world is this (without its error handling for a session that panicked):
//!
//! ```ignore
//! async fn perform(&self, mut session: Session, job: Job) -> Result<Session, Fatal> {
//!     let now = Timestamp::now();
//!     match job {
//!         Job::Read(_) => {
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
//!         Job::Login(login) => { session.logged_in(self.verify(login).await); Ok(session) }
//!         Job::Pause(duration) => { sleep(duration).await; session.resumed(); Ok(session) }
//!     }
//! }
//! ```

mod ahead;
mod capability;
mod commands;
mod error;
mod input;
mod job;
mod listing;
mod login;
mod maildrop;
mod run;
mod session;
mod settings;
mod transfer;

pub use error::Error;
pub use job::{Job, Login, Outcome};
pub use session::Session;
pub use settings::Settings;
