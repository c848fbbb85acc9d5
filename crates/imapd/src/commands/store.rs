//! STORE and UID STORE (RFC 9051 §6.4.6; RFC 7162 §3.1.3 UNCHANGEDSINCE).

use postroad_imap::command::{Store, StoreAction};
use postroad_imap::{NumberSet, Numbering, ResponseCode, Status};
use postroad_mail::across::Keep;
use postroad_mail::flags::MAX_NAMED;
use postroad_mail::view;
use postroad_mail::{FlagChange, Flags, Keyword, Rights, UidSet, flags as mail_flags};
use postroad_store::{ModSeq, ReadTx, WriteTx};

use crate::context;
use crate::error::{Error, Reply};
use crate::fetch;
use crate::flags;
use crate::message_limit;
use crate::session::{Cursor, Flow, Place, Session};
use crate::settings::MESSAGES_PER_JOB;
use crate::sync;
use crate::target;
use crate::view::number_set;

/// What STORE has to tell, when it is too much for one job.
#[derive(Debug)]
pub(crate) struct Telling {
    uids: UidSet,
    /// The last one told.
    after: u32,
    modseq: Option<ModSeq>,
    reply: Reply,
}

/// Changes the flags, and tells of it as far as one job goes.
pub(crate) fn run(session: &mut Session, tx: &mut WriteTx, store: &Store, cursor: &mut Cursor) -> Result<Flow, Error> {
    if store.unchanged_since.is_some() {
        session.enable_condstore();
    }
    let view = session.view()?;
    let (account, mailbox) = (view.account, view.mailbox);
    let named = view.resolve(&store.set, store.numbering)?;
    let (gone, present) = (named.intersection(&view.ghosts), named.difference(&view.ghosts));
    let (present, cut) = message_limit::within(session, present);
    let (system, keywords) = flags::split(&store.flags)?;
    let change = match store.action {
        StoreAction::Replace => FlagChange::Replace(system, keywords),
        StoreAction::Add => FlagChange::Add(system, keywords),
        StoreAction::Remove => FlagChange::Remove(system, keywords),
    };
    let changes = within_rights(tx, Place { account, mailbox }, view.rights, change)?;
    let by = session.by()?;
    let mut since = store.unchanged_since.map(|modseq| ModSeq(i64::try_from(modseq).unwrap_or(i64::MAX)));
    let (mut rest, mut modseq) = (present.clone(), None);
    let (mut really, mut unchanged, mut modified) = (UidSet::new(), UidSet::new(), UidSet::new());
    for change in changes {
        let changed = mail_flags::change(tx, &by, account, mailbox, &rest, &change, since.take())?;
        really = really.union(&changed.changed.iter().map(|entry| entry.uid).collect());
        unchanged = unchanged.union(&changed.unchanged);
        modified = modified.union(&changed.modified);
        rest = rest.difference(&changed.modified);
        modseq = changed.modseq.or(modseq);
    }

    context::touched(session, really.iter());
    let uids = match (store.silent, session.enabled.condstore) {
        (false, _) => really.union(&unchanged),
        // RFC 7162 §3.1.3: MODSEQ is told of what changed even with .SILENT.
        (true, true) => really,
        (true, false) => UidSet::new(),
    };
    let reply = reply(session, store, (&gone, &present), &modified)?;
    let reply = message_limit::reply(session, cut, reply);
    *cursor = Cursor::Store(Box::new(Telling { uids, after: 0, modseq, reply }));
    tell(session, tx, store, cursor)
}

/// What of a change this login may do (RFC 4314 §4): as a whole in a mailbox of its own. `NO [NOPERM]` only when
/// nothing is left of it.
fn within_rights(tx: &ReadTx, place: Place, rights: Rights, change: FlagChange) -> Result<Vec<FlagChange>, Error> {
    let keep = flags::permitted(rights);
    if keep == Keep::ALL {
        return Ok(vec![change]);
    }
    let within = |system: Flags| system.without(Flags::ALL.without(keep.flags));
    let words = |keywords: Vec<Keyword>| if keep.keywords { keywords } else { Vec::new() };
    let lacks = |system: Flags, keywords: &[Keyword]| {
        let asked = !system.is_empty() || !keywords.is_empty();
        let left = !within(system).is_empty() || (keep.keywords && !keywords.is_empty());
        asked && !left
    };
    match change {
        FlagChange::Add(system, keywords) | FlagChange::Remove(system, keywords) if lacks(system, &keywords) => {
            Err(target::lacking())
        }
        FlagChange::Add(system, keywords) => Ok(vec![FlagChange::Add(within(system), words(keywords))]),
        FlagChange::Remove(system, keywords) => Ok(vec![FlagChange::Remove(within(system), words(keywords))]),
        FlagChange::Replace(..) if keep.flags.is_empty() => Err(target::lacking()),
        // What may not be changed stays as it is in each message.
        FlagChange::Replace(system, keywords) => {
            let known = view::keywords(tx, place.account, place.mailbox)?;
            let others = known.iter().filter_map(|text| Keyword::parse(text)).filter(|known| !keywords.contains(known));
            let others: Vec<Keyword> = words(others.collect());
            let mut parts = others.chunks(MAX_NAMED);
            let gone = keep.flags.without(system);
            let first = FlagChange::Remove(gone, parts.next().unwrap_or_default().to_vec());
            let rest = parts.map(|part| FlagChange::Remove(Flags::NONE, part.to_vec()));
            let last = FlagChange::Add(within(system), words(keywords));
            Ok(std::iter::once(first).chain(rest).chain([last]).collect())
        }
    }
}

/// Tells of what was changed: the next part. Until all is told the view stays where it was, so that a failure
/// on the way is healed by the next synchronisation, which tells it all again.
pub(crate) fn tell(session: &mut Session, tx: &ReadTx, store: &Store, cursor: &mut Cursor) -> Result<Flow, Error> {
    let Cursor::Store(telling) = cursor else { return Err(Error::bug("STORE has nothing to tell")) };
    let rest = telling.uids.intersection(&UidSet::range(telling.after.saturating_add(1), u32::MAX));
    let what = (!store.silent, store.numbering == Numbering::Uid);
    if let Some(last) = fetch::tell_changed(session, tx, &rest, what, MESSAGES_PER_JOB)? {
        telling.after = last;
        return Ok(Flow::More);
    }
    sync::own_change(session, telling.modseq);
    Ok(Flow::Done(telling.reply.clone()))
}

/// The reply where `UNCHANGEDSINCE` kept some from being changed (RFC 7162 §3.1.3).
pub(crate) fn not_unchanged(
    session: &Session,
    numbering: Numbering,
    modified: &UidSet,
) -> Result<Option<Reply>, Error> {
    if modified.is_empty() {
        return Ok(None);
    }
    let numbers = match numbering {
        Numbering::Uid => number_set(modified),
        Numbering::Sequence => {
            let map = session.view()?.map();
            NumberSet::from_sorted(modified.iter().filter_map(|uid| map.seq(uid)))
        }
    };
    let code = ResponseCode::Modified(numbers);
    Ok(Some(Reply::new(Status::Ok, Some(code), "some messages had changed and were left alone")))
}

fn reply(
    session: &Session,
    store: &Store,
    (gone, present): (&UidSet, &UidSet),
    modified: &UidSet,
) -> Result<Reply, Error> {
    if let Some(reply) = not_unchanged(session, store.numbering, modified)? {
        return Ok(reply);
    }
    // RFC 5530: EXPUNGEISSUED. By UID it is no error (RFC 9051 §6.4.9): what is not there is passed over.
    if !gone.is_empty() && store.numbering == Numbering::Sequence {
        // RFC 2180 §4.2: NO only where nothing was done; users see a NO as an alarm.
        let status = if present.is_empty() && !store.silent { Status::No } else { Status::Ok };
        let text = "some of these messages have been deleted elsewhere";
        return Ok(Reply::new(status, Some(ResponseCode::ExpungeIssued), text));
    }
    Ok(Reply::ok("STORE done"))
}
