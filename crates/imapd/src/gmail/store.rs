//! STORE X-GM-LABELS, +X-GM-LABELS, -X-GM-LABELS.

use postroad_imap::command::{StoreAction, StoreLabels};
use postroad_imap::{Numbering, ResponseCode, Status};
use postroad_mail::labels::{self, Change, Named};
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{Entry, UidSet};
use postroad_store::{ModSeq, ReadTx, WriteTx};

use super::{is_on, is_own, labels_of, of_wire, unknown, written};
use crate::commands::store::not_unchanged;
use crate::error::{Error, Reply};
use crate::session::{Cursor, Flow, Session};
use crate::settings::MESSAGES_PER_JOB;
use crate::target;

/// What is still to be told of a change.
#[derive(Debug)]
pub(crate) struct Telling {
    uids: UidSet,
    after: u32,
    reply: Reply,
}

/// Changes labels, and tells of it as far as one job goes.
pub(crate) fn run(
    session: &mut Session,
    tx: &mut WriteTx,
    store: &StoreLabels,
    cursor: &mut Cursor,
) -> Result<Flow, Error> {
    if !is_on(session) {
        return Err(unknown());
    }
    let place = session.place()?;
    if !is_own(session, place)? {
        return Err(target::lacking());
    }
    if store.labels.len() > LABELS_MAX {
        return Err(Error::no(ResponseCode::Limit, "too many labels in one command"));
    }
    if store.unchanged_since.is_some() {
        session.enable_condstore();
    }
    let view = session.view()?;
    let named = view.resolve(&store.set, store.numbering)?;
    let (gone, present) = (named.intersection(&view.ghosts), named.difference(&view.ghosts));
    let names = store.labels.iter().map(of_wire).collect::<Result<Vec<Named>, Error>>()?;
    let change = match store.action {
        StoreAction::Replace => Change::Replace(names),
        StoreAction::Add => Change::Add(names),
        StoreAction::Remove => Change::Remove(names),
    };
    let since = store.unchanged_since.map(|modseq| ModSeq(i64::try_from(modseq).unwrap_or(i64::MAX)));
    let by = session.by()?;
    let changed = labels::change(tx, &by, place.account, place.mailbox, &present, &change, since)?;
    let uids = if store.silent { UidSet::new() } else { changed.uids };
    let reply = reply(session, store, &gone, &changed.modified)?;
    *cursor = Cursor::Labels(Box::new(Telling { uids, after: 0, reply }));
    tell(session, tx, store, cursor)
}

/// Tells the labels that messages have now: the next part. What left the mailbox is told by the end of the command.
pub(crate) fn tell(
    session: &mut Session,
    tx: &ReadTx,
    store: &StoreLabels,
    cursor: &mut Cursor,
) -> Result<Flow, Error> {
    let Cursor::Labels(telling) = cursor else { return Err(Error::bug("STORE has no labels to tell")) };
    let rest = telling.uids.intersection(&UidSet::range(telling.after.saturating_add(1), u32::MAX));
    if rest.is_empty() {
        return Ok(Flow::Done(telling.reply.clone()));
    }
    let query = Query { uids: &rest, want: Want::Flags, changed_since: None, limit: MESSAGES_PER_JOB };
    let place = session.place()?;
    let entries: Vec<Entry> = view::entries(tx, place.account, place.mailbox, &query)?;
    let labels = labels_of(session, tx, &entries)?;
    let (by_uid, enabled) = (store.numbering == Numbering::Uid, session.enabled);
    for entry in &entries {
        let Some(sequence) = session.view()?.map().seq(entry.uid) else { continue };
        let mut writer = session.begin_fetch(sequence, entry.uid);
        // RFC 7162 §3.2.4: with QRESYNC every FETCH response has the UID. UIDFETCH has it in front.
        if (by_uid || enabled.qresync || enabled.rev2) && !enabled.uid_only {
            writer.fetch_uid(entry.uid);
        }
        writer.fetch_labels(&written(&labels, entry.uid));
        if enabled.condstore {
            writer.fetch_mod_seq(entry.modseq.0.unsigned_abs());
        }
        writer.fetch_end();
    }
    match entries.last() {
        Some(last) if entries.len() == MESSAGES_PER_JOB => {
            telling.after = last.uid;
            Ok(Flow::More)
        }
        Some(_) | None => Ok(Flow::Done(telling.reply.clone())),
    }
}

fn reply(session: &Session, store: &StoreLabels, gone: &UidSet, modified: &UidSet) -> Result<Reply, Error> {
    if let Some(reply) = not_unchanged(session, store.numbering, modified)? {
        return Ok(reply);
    }
    if !gone.is_empty() && store.numbering == Numbering::Sequence {
        let text = "some of these messages have been deleted elsewhere";
        return Ok(Reply::new(Status::Ok, Some(ResponseCode::ExpungeIssued), text));
    }
    Ok(Reply::ok("STORE done"))
}

/// Labels that one command may name: each costs a copy, or a removal.
const LABELS_MAX: usize = 100;
