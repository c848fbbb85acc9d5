//! SEARCH and UID SEARCH (RFC 9051 §6.4.4).
//!
//! The session calls [`read`] for each job until it answers `Flow::Done`; `Flow::More` after about
//! `settings::MESSAGES_PER_JOB` messages looked at, so that no search holds a snapshot for long. At the first
//! call the view is in step with the database and its map is loaded. Output goes to `session.writer()`:
//! `* SEARCH` unless RETURN was given or `session.enabled.rev2`, then `* ESEARCH`. `session.tag_under_way()` is for
//! its `(TAG ..)`. SAVE: set `session.view_mut()?.saved`; a search with SAVE that fails empties it, which the
//! caller does. A MODSEQ key calls `session.enable_condstore()`. Ghosts are not found by keys that need
//! their content.

use postroad_imap::command::Search;
use postroad_store::ReadTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};

/// What SEARCH keeps between its jobs.
#[derive(Debug, Default)]
pub(crate) struct Cursor {}

/// One job of SEARCH.
pub(crate) fn read(
    _session: &mut Session,
    _tx: &ReadTx,
    _search: &Search,
    _cursor: &mut Cursor,
) -> Result<Flow, Error> {
    Ok(Flow::Done(Reply::bad("SEARCH is being built")))
}
