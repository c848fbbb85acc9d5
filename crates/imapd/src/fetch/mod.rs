//! FETCH and UID FETCH (RFC 9051 §6.4.5).
//!
//! The session calls [`read`] for each job until it answers `Flow::Done`. At its first call the view is in
//! step with the database and its map is loaded. [`read`] answers:
//! - `Flow::Write` when something must be written first (`\Seen`): then [`write`] is called in a write
//!   transaction, and after its `Flow::More` again [`read`], with the cursor as `write` left it;
//! - `Flow::More` after about `settings::OUTPUT_BUDGET` bytes or `settings::MESSAGES_PER_JOB` messages;
//! - `Flow::Done(reply)` at the end. The session then synchronises (no EXPUNGE) and writes the tagged line.
//!
//! Output goes to `session.writer()`. Messages: `view.resolve(&fetch.set, fetch.numbering)?` once, kept in
//! the cursor, then `view.next_targets(&targets, last_uid, limit)`. A ghost (`view.is_ghost`) has no entry
//! any more. `\Recent`: `view.is_recent(uid)` unless `session.enabled.rev2`. With QRESYNC or for UID FETCH
//! each response has UID; with `session.enabled.condstore` MODSEQ comes with changed FLAGS. CHANGEDSINCE and
//! MODSEQ call `session.enable_condstore()`. After [`write`] changed flags it must call
//! `crate::sync::own_change(session, changed.modseq)` so that they are not told twice.

use postroad_imap::command::Fetch;
use postroad_store::{ReadTx, WriteTx};

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};

/// What FETCH keeps between its jobs.
#[derive(Debug, Default)]
pub(crate) struct Cursor {}

/// One job of FETCH.
pub(crate) fn read(_session: &mut Session, _tx: &ReadTx, _fetch: &Fetch, _cursor: &mut Cursor) -> Result<Flow, Error> {
    Ok(Flow::Done(Reply::bad("FETCH is being built")))
}

/// Sets `\Seen` before the answer.
pub(crate) fn write(
    _session: &mut Session,
    _tx: &mut WriteTx,
    _fetch: &Fetch,
    _cursor: &mut Cursor,
) -> Result<Flow, Error> {
    Ok(Flow::More)
}
