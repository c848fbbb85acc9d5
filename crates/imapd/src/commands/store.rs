//! STORE and UID STORE (RFC 9051 §6.4.6; RFC 7162 §3.1.3 UNCHANGEDSINCE).

use postroad_imap::command::{Store, StoreAction};
use postroad_imap::{NumberSet, Numbering, ResponseCode, Status};
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{Entry, FlagChange, UidSet, flags as mail_flags};
use postroad_store::{ModSeq, WriteTx};

use crate::error::{Error, Reply};
use crate::flags;
use crate::session::{Flow, Session};
use crate::sync;
use crate::view::number_set;

pub(crate) fn run(session: &mut Session, tx: &mut WriteTx, store: &Store) -> Result<Flow, Error> {
    if store.unchanged_since.is_some() {
        session.enable_condstore();
    }
    let view = session.view()?;
    let (account, mailbox) = (session.account()?, view.mailbox);
    let named = view.resolve(&store.set, store.numbering)?;
    let (gone, present) = (named.intersection(&view.ghosts), named.difference(&view.ghosts));
    let (system, keywords) = flags::split(&store.flags)?;
    let change = match store.action {
        StoreAction::Replace => FlagChange::Replace(system, keywords),
        StoreAction::Add => FlagChange::Add(system, keywords),
        StoreAction::Remove => FlagChange::Remove(system, keywords),
    };
    let since = store.unchanged_since.map(|modseq| ModSeq(i64::try_from(modseq).unwrap_or(i64::MAX)));
    let changed = mail_flags::change(tx, &session.by()?, account, mailbox, &present, &change, since)?;

    // RFC 7162 §3.1.3: MODSEQ is told of what changed even with .SILENT.
    let told: UidSet = match store.silent {
        true => changed.changed.iter().map(|entry| entry.uid).collect(),
        false => changed.changed.iter().map(|entry| entry.uid).collect::<UidSet>().union(&changed.unchanged),
    };
    if !store.silent || session.enabled.condstore {
        tell(session, tx, &told, !store.silent, store.numbering)?;
    }
    sync::own_change(session, changed.modseq);
    Ok(Flow::Done(reply(session, store, &gone, &changed.modified)?))
}

fn tell(
    session: &mut Session,
    tx: &WriteTx,
    uids: &UidSet,
    with_flags: bool,
    numbering: Numbering,
) -> Result<(), Error> {
    let limit = usize::try_from(uids.count()).unwrap_or(usize::MAX);
    let query = Query { uids, want: Want::Flags, changed_since: None, limit };
    let (account, mailbox) = (session.account()?, session.view()?.mailbox);
    let entries: Vec<Entry> = view::entries(tx, account, mailbox, &query)?;
    sync::tell_keywords(session, tx, &entries)?;
    for entry in &entries {
        sync::tell_entry(session, entry, with_flags, numbering == Numbering::Uid)?;
    }
    Ok(())
}

fn reply(session: &Session, store: &Store, gone: &UidSet, modified: &UidSet) -> Result<Reply, Error> {
    if !modified.is_empty() {
        let numbers = match store.numbering {
            Numbering::Uid => number_set(modified),
            Numbering::Sequence => {
                let map = session.view()?.map();
                NumberSet::from_sorted(modified.iter().filter_map(|uid| map.seq(uid)))
            }
        };
        let code = ResponseCode::Modified(numbers);
        return Ok(Reply::new(Status::Ok, Some(code), "some messages had changed and were left alone"));
    }
    // RFC 5530: EXPUNGEISSUED. By UID it is no error (RFC 9051 §6.4.9): what is not there is passed over.
    if !gone.is_empty() && store.numbering == Numbering::Sequence {
        return Ok(Reply::no(ResponseCode::ExpungeIssued, "some of these messages are gone"));
    }
    Ok(Reply::ok("STORE done"))
}
