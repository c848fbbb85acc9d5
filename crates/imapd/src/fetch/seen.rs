//! `\Seen`, set by reading (RFC 9051 §6.4.5): before the messages are told, a stretch of them at a time.

use postroad_mail::view::{self, Query};
use postroad_mail::{FlagChange, Flags, UidSet, Want, flags};
use postroad_store::{ReadTx, WriteTx};

use crate::context;
use crate::error::Error;
use crate::fetch::Cursor;
use crate::fetch::plan::Plan;
use crate::session::{Place, Session};
use crate::sync;

/// How far `\Seen` is set.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Messages up to this UID are seen, or not there; down to it where the highest come first.
    pub(super) through: u32,
    /// What the next write sets it for.
    pending: UidSet,
    /// What the last write changed: their responses tell FLAGS.
    pub(super) changed: UidSet,
}

/// Looks whether something must be written before the next message is told; if not, `through` is beyond it.
pub(super) fn wanted(session: &Session, tx: &ReadTx, plan: &Plan, cursor: &mut Cursor) -> Result<bool, Error> {
    let rest = plan.next(cursor.last, plan.end(), STRETCH);
    let seen = &mut cursor.seen;
    let next = if plan.cut.is_none() { rest.first() } else { rest.last() };
    if next.is_none_or(|next| !plan.is_after(next, seen.through)) {
        return Ok(false);
    }
    let query = Query { uids: &rest, want: Want::Flags, changed_since: plan.changed_since, limit: STRETCH };
    let place = session.place()?;
    let entries = view::entries(tx, place.account, place.mailbox, &query)?;
    seen.through = match (plan.cut, entries.last()) {
        (Some(_), _) => rest.first().unwrap_or(1),
        (None, Some(last)) if entries.len() == STRETCH => last.uid,
        (None, _) => u32::MAX,
    };
    seen.changed = UidSet::new();
    seen.pending = entries.iter().filter(|entry| !entry.flags.contains(Flags::SEEN)).map(|entry| entry.uid).collect();
    Ok(!seen.pending.is_empty())
}

/// Sets it. The view is in step with the database.
pub(super) fn write(session: &mut Session, tx: &mut WriteTx, seen: &mut Seen) -> Result<(), Error> {
    let Place { account, mailbox } = session.place()?;
    let change = FlagChange::Add(Flags::SEEN, Vec::new());
    let changed = flags::change(tx, &session.by()?, account, mailbox, &seen.pending, &change, None)?;
    seen.pending = UidSet::new();
    seen.changed = changed.changed.iter().map(|entry| entry.uid).collect();
    context::touched(session, seen.changed.iter());
    sync::own_change(session, changed.modseq);
    Ok(())
}

/// Messages whose `\Seen` is set by one write.
const STRETCH: usize = 500;
