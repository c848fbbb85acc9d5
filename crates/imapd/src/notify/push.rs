//! FETCH responses that nobody asked for with a command: of new messages in the selected mailbox (RFC 5465 §5.2, §7).
//!
//! What it never does: set `\Seen`, or stop for long in the middle of a literal: the next job goes on before any command.

use std::sync::Arc;

use postroad_imap::command::{Fetch, FetchItem};
use postroad_imap::{MessageSet, Numbering, SequenceSet};
use postroad_mail::UidSet;
use postroad_store::ReadTx;

use crate::error::Error;
use crate::fetch;
use crate::session::{Flow, Session};
use crate::view::number_set;

/// New messages of which the client is still to be told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fresh(Vec<(Arc<Vec<FetchItem>>, UidSet)>);

impl Fresh {
    /// These items of these messages too.
    pub(crate) fn add(&mut self, items: &Arc<Vec<FetchItem>>, uids: &UidSet) {
        if uids.is_empty() {
            return;
        }
        // RFC 5465 §5.2: one FETCH for all who asked for the same message.
        if let Some((known, _)) = self.0.iter_mut().find(|(_, others)| others == uids) {
            let news: Vec<FetchItem> = items.iter().filter(|item| !known.contains(item)).cloned().collect();
            Arc::make_mut(known).extend(news);
            return;
        }
        match self.0.iter_mut().find(|(known, _)| known == items) {
            Some((_, others)) => *others = others.union(uids),
            None => self.0.push((Arc::clone(items), uids.clone())),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A FETCH that is under way.
#[derive(Debug)]
pub(crate) struct Pushing {
    command: Fetch,
    cursor: fetch::Cursor,
}

impl Pushing {
    /// Whether a job stopped in the middle of a message.
    pub(crate) fn is_in_literal(&self) -> bool {
        self.cursor.is_in_literal()
    }
}

/// Whether there is something to tell.
pub(super) fn is_left(session: &Session) -> bool {
    session.pushing.is_some() || !session.fresh.is_empty()
}

/// Tells a part; true: there is more, perhaps.
pub(super) fn go_on(session: &mut Session, tx: &ReadTx) -> Result<bool, Error> {
    let Some(mut pushing) = session.pushing.take().or_else(|| next(session)) else { return Ok(false) };
    let flow = crate::sync::load_map(session, tx)
        .and_then(|()| fetch::read(session, tx, &pushing.command, &mut pushing.cursor));
    // Kept also after an error in the middle of a literal: nothing can be said there any more.
    if matches!(flow, Ok(Flow::More)) || pushing.is_in_literal() {
        session.pushing = Some(pushing);
    }
    flow.map(|_| true)
}

fn next(session: &mut Session) -> Option<Box<Pushing>> {
    session.view.as_ref()?;
    let (items, uids) = session.fresh.0.pop()?;
    let set = SequenceSet::parse(number_set(&uids).to_string().as_bytes(), usize::MAX).ok()?;
    let command = Fetch {
        numbering: Numbering::Uid,
        set: MessageSet::Set(set),
        items: items.to_vec(),
        changed_since: None,
        vanished: false,
        partial: None,
    };
    Some(Box::new(Pushing { command, cursor: fetch::Cursor::default() }))
}
