//! The worlds of the reading services: they perform the jobs of sessions with the store and the clock.
//!
//! Each is a few lines, because a session that needs data travels into the transaction. The world of SMTP is
//! `postroad-mta`.

mod imap;
mod pop3;

pub(crate) use imap::ImapWorld;
pub(crate) use pop3::Pop3World;
