//! What else happened: the untagged responses that keep two sessions of one mailbox in step.
//!
//! [`gather`] reads the changes since the view's mark, tells new messages and flags, and makes ghosts of
//! what is gone; [`tell_expunged`] tells of those, where the protocol allows it. Whatever order changes,
//! commands and sessions come in, a client that got a NOOP answered knows what a fresh SELECT would tell.
//!
//! Standards: RFC 9051 §5.2, §7.4, §7.5.1; RFC 7162 §3.2.10 (VANISHED).

use std::collections::HashSet;
use std::sync::Arc;

use postroad_imap::{ResponseCode, Status};
use postroad_mail::changes::{self, Mark};
use postroad_mail::view::{Query, Want};
use postroad_mail::{Entry, Flags, Rights, UidSet, acl, mailboxes, urlauth, view};
use postroad_store::{ModSeq, ReadTx, WriteTx};

use crate::context;
use crate::error::Error;
use crate::flags;
use crate::recent;
use crate::seqmap::SeqMap;
use crate::session::{Place, Session};
use crate::settings::{CHANGES_PER_JOB, EXPUNGES_PER_JOB};
use crate::target;
use crate::view::number_set;

/// How much of what happened is in the view now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// All.
    All,
    /// Not all: the next job goes on.
    Part,
}

/// Brings the view up to date, tells EXISTS, RECENT and FETCH FLAGS. Costs one statement when nothing happened, none where this
/// look has shown that already; in a mailbox of somebody else one more for the rights, and one for the key for URLs.
/// [`Error::Deselected`] when the mailbox is gone.
pub(crate) fn gather(session: &mut Session, tx: &ReadTx) -> Result<Gathered, Error> {
    refresh_rights(session, tx)?;
    if session.is_frozen() {
        return Ok(Gathered::All);
    }
    tell_kept_flags(session, tx)?;
    if session.view.is_none() {
        return Ok(Gathered::All);
    }
    if session.looked.is_some() {
        return context::update(session, tx);
    }
    tell_key_of_other(session, tx)?;
    let view = session.view()?;
    let (known, account, mailbox, mut mark) = (view.uid_next, view.account, view.mailbox, view.mark);
    let mut arrived = Vec::new();
    loop {
        let changes = changes::changes_since(tx, account, mailbox, mark, CHANGES_PER_JOB)?;
        let now = changes.mailbox.ok_or(Error::Deselected)?;
        if now.uidvalidity != session.view()?.uid_validity {
            return Err(Error::Deselected);
        }
        if now.uidnext > known && arrived.is_empty() && !recent::arriving(session, &now)? {
            return Ok(Gathered::Part);
        }
        let (old, new): (Vec<Entry>, Vec<Entry>) = changes.changed.into_iter().partition(|entry| entry.uid < known);
        if !changes.vanished.is_empty() || !old.is_empty() {
            load_map_as_of(session, tx, &changes.vanished)?;
        }
        if changes.new_key && session.account()? == account {
            tell_new_key(session);
        }
        session.view_mut()?.vanished(&changes.vanished);
        tell_flags(session, tx, &old)?;
        context::touched(session, old.iter().map(|entry| entry.uid));
        arrived.extend(new.iter().map(|entry| (entry.uid, entry.modseq)));
        (mark, session.view_mut()?.mark) = (changes.mark, changes.mark);
        // Arrivals may lie on any page, and can be told only together: uids must rise.
        if changes.more && now.uidnext == known {
            context::update(session, tx)?;
            return Ok(Gathered::Part);
        }
        if !changes.more {
            session.looked = (!session.writing).then(|| Box::new(now));
            break;
        }
    }
    let came = arrived;
    let arrived: UidSet = came.iter().map(|(uid, _)| *uid).collect();
    tell_arrived(session, &arrived)?;
    session.push_arrived(&came);
    context::touched(session, arrived.iter());
    context::update(session, tx)
}

/// RFC 4467 §7, RESETKEY: sessions of the user that have the mailbox selected hear of it.
fn tell_new_key(session: &mut Session) {
    session.writer().untagged(Status::Ok, Some(&ResponseCode::UrlMech), "the mailbox has a new key");
}

/// What tells this login's key for a mailbox of somebody else from others: one statement. Nothing in one's own, whose operations
/// tell ([`changes::Changes::new_key`]).
pub(crate) fn key_of_other(session: &Session, tx: &ReadTx, place: Place) -> Result<Option<urlauth::Mark>, Error> {
    let (user, Place { account: owner, mailbox }) = (session.account()?, place);
    match user == owner {
        true => Ok(None),
        false => Ok(urlauth::mark(tx, urlauth::Place { user, owner, mailbox })?),
    }
}

/// Tells that the key is another, or gone, in a mailbox of somebody else: also that there is one now.
fn tell_key_of_other(session: &mut Session, tx: &ReadTx) -> Result<(), Error> {
    let now = key_of_other(session, tx, session.place()?)?;
    if std::mem::replace(&mut session.view_mut()?.url_key, now) != now {
        tell_new_key(session);
    }
    Ok(())
}

/// Whether the selected mailbox may still be read: one statement where it is somebody else's. Tells nothing, so that it can be
/// asked in the middle of an answer.
pub(crate) fn may_read(session: &Session, tx: &ReadTx) -> Result<bool, Error> {
    let login = session.account()?;
    let Some(view) = session.view.as_ref().filter(|view| view.account != login) else { return Ok(true) };
    Ok(acl::rights(tx, &target::who(session)?, view.account, view.mailbox)?.contains(Rights::READ))
}

/// Looks what this login may do now in a mailbox of somebody else, and tells what changed (RFC 4314 §5.1.1). Nothing in
/// one's own; one statement in others. [`Error::Withdrawn`] without `r`.
pub(crate) fn refresh_rights(session: &mut Session, tx: &ReadTx) -> Result<(), Error> {
    let login = session.account()?;
    let Some(view) = session.view.as_ref().filter(|view| view.account != login) else { return Ok(()) };
    let rights = acl::rights(tx, &target::who(session)?, view.account, view.mailbox)?;
    if !rights.contains(Rights::READ) {
        // The list of a mailbox goes with it.
        let there = mailboxes::by_id(tx, view.account, view.mailbox)?.is_some_and(|mailbox| mailbox.selectable);
        return Err(if there { Error::Withdrawn } else { Error::Deselected });
    }
    if rights == view.rights {
        return Ok(());
    }
    let was_read_only = view.read_only;
    let view = session.view_mut()?;
    view.rights = rights;
    view.read_only = view.examined || !rights.intersects(Rights::CHANGING);
    let read_only = view.read_only;
    tell_known_flags(session)?;
    if read_only != was_read_only {
        // RFC 9051 §7.1: access while selected has changed.
        let code = if read_only { ResponseCode::ReadOnly } else { ResponseCode::ReadWrite };
        session.writer().untagged(Status::Ok, Some(&code), "your rights have changed");
    }
    Ok(())
}

/// Loads the map if the view has none. The view must be up to date.
pub(crate) fn load_map(session: &mut Session, tx: &ReadTx) -> Result<(), Error> {
    load_map_as_of(session, tx, &UidSet::new())
}

/// Loads the map as it was at the view's mark: what is there now without what came since, and with what
/// vanished since.
fn load_map_as_of(session: &mut Session, tx: &ReadTx, vanished: &UidSet) -> Result<(), Error> {
    let view = session.view_mut()?;
    if view.map.is_some() {
        return Ok(());
    }
    let Some(last) = view.uid_next.checked_sub(1).filter(|last| *last > 0) else {
        view.map = Some(Arc::new(SeqMap::default()));
        return Ok(());
    };
    // As many messages as UIDs were given: none is missing, and nothing need be read.
    if view.exists == last {
        view.map = Some(Arc::new(SeqMap::from_set(&UidSet::range(1, last))));
        return Ok(());
    }
    let now: UidSet = view::uids(tx, view.account, view.mailbox)?.into_iter().collect();
    let then = now.union(vanished).intersection(&UidSet::range(1, last));
    let map = SeqMap::from_set(&then);
    // With retention over, all that is not there is named as vanished, also what was gone before SELECT.
    if map.len() != view.exists {
        return Err(Error::OutOfStep);
    }
    view.map = Some(Arc::new(map));
    Ok(())
}

/// A change of flags that this session made itself, and told: not to be told again. The view was up to
/// date in the same transaction before it.
pub(crate) fn own_change(session: &mut Session, modseq: Option<ModSeq>) {
    // A view that stays behind is told all of it later.
    let frozen = session.is_frozen();
    if let (Some(view), Some(modseq), false) = (&mut session.view, modseq, frozen) {
        view.mark = Mark::at(modseq);
    }
}

/// `* n FETCH (FLAGS ..)` for each.
fn tell_flags(session: &mut Session, tx: &ReadTx, entries: &[Entry]) -> Result<(), Error> {
    if session.keeps_flags() {
        let kept = &session.view()?.kept_flags;
        let all = kept.union(&entries.iter().map(|entry| entry.uid).collect());
        session.view_mut()?.kept_flags = Arc::new(all);
        return Ok(());
    }
    tell_keywords(session, tx, entries)?;
    // RFC 5465 §5.1: with the UID.
    let with_uid = session.notify.is_some();
    for entry in entries {
        tell_entry(session, entry, true, with_uid)?;
    }
    Ok(())
}

/// What a client did not want to hear until now.
fn tell_kept_flags(session: &mut Session, tx: &ReadTx) -> Result<(), Error> {
    let Some(view) = session.view.as_ref().filter(|view| !view.kept_flags.is_empty()) else { return Ok(()) };
    if session.keeps_flags() {
        return Ok(());
    }
    let kept = Arc::clone(&view.kept_flags);
    let limit = usize::try_from(kept.count()).unwrap_or(usize::MAX);
    let query = Query { uids: &kept, want: Want::Flags, changed_since: None, limit };
    let entries = view::entries(tx, view.account, view.mailbox, &query)?;
    session.view_mut()?.kept_flags = Arc::default();
    load_map(session, tx)?;
    tell_flags(session, tx, &entries)
}

/// One `* n FETCH`: what a change of flags, or STORE, tells. Nothing when the client does not know it.
pub(crate) fn tell_entry(session: &mut Session, entry: &Entry, with_flags: bool, with_uid: bool) -> Result<(), Error> {
    let view = session.view()?;
    let Some(seq) = view.map().seq(entry.uid) else { return Ok(()) };
    let recent = view.is_recent(entry.uid) && !session.enabled.rev2;
    let enabled = session.enabled;
    let mut writer = session.begin_fetch(seq, entry.uid);
    // RFC 7162 §3.2.4: with QRESYNC every FETCH response has the UID. UIDFETCH has it in front.
    if (with_uid || enabled.qresync || enabled.rev2) && !enabled.uid_only {
        writer.fetch_uid(entry.uid);
    }
    if with_flags {
        writer.fetch_flags(&flags::join(entry.flags, &entry.keywords), recent);
    }
    // Old Outlooks break on a MODSEQ that they did not ask for: only after a CONDSTORE-enabling command.
    if enabled.condstore {
        writer.fetch_mod_seq(entry.modseq.0.unsigned_abs());
    }
    writer.fetch_end();
    Ok(())
}

/// `* FLAGS` again, before a keyword appears that the client has not heard of.
pub(crate) fn tell_keywords(session: &mut Session, tx: &ReadTx, entries: &[Entry]) -> Result<(), Error> {
    tell_keywords_of(session, tx, entries.iter().flat_map(|entry| entry.keywords.iter()))
}

/// The same for keywords by name.
pub(crate) fn tell_keywords_of<'a>(
    session: &mut Session,
    tx: &ReadTx,
    mut keywords: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    let known: HashSet<&str> = session.view()?.keywords.iter().map(String::as_str).collect();
    let news = keywords.any(|keyword| !known.contains(keyword));
    if !news {
        return Ok(());
    }
    let Place { account, mailbox } = session.place()?;
    let keywords = view::keywords(tx, account, mailbox)?;
    session.view_mut()?.keywords = Arc::new(keywords);
    tell_known_flags(session)
}

/// `* FLAGS` and `* OK [PERMANENTFLAGS ..]` as they are known now.
pub(crate) fn tell_known_flags(session: &mut Session) -> Result<(), Error> {
    let view = session.view()?;
    let (read_only, rights) = (view.read_only, view.rights);
    let all = Flags::ANSWERED | Flags::FLAGGED | Flags::DELETED | Flags::SEEN | Flags::DRAFT;
    let mut known = flags::of_system(all);
    known.extend(view.keywords.iter().filter_map(|keyword| flags::keyword(keyword)));
    let mut writer = session.writer();
    writer.flags(&known);
    let code = match read_only {
        true => ResponseCode::PermanentFlags(Vec::new(), false),
        false => {
            known.retain(|flag| flags::right_to(flag).is_some_and(|right| rights.contains(right)));
            ResponseCode::PermanentFlags(known, rights.contains(Rights::WRITE))
        }
    };
    writer.untagged(Status::Ok, Some(&code), "flags that stay");
    Ok(())
}

fn tell_arrived(session: &mut Session, uids: &UidSet) -> Result<(), Error> {
    let rev1 = !session.enabled.rev2;
    let view = session.view_mut()?;
    let before = view.exists;
    view.arrived(uids);
    let (exists, recent) = (view.exists, view.recent);
    if exists != before {
        let mut writer = session.writer();
        writer.exists(exists);
        if rev1 {
            writer.recent(recent);
        }
    }
    Ok(())
}

/// `* n EXPUNGE` or `* VANISHED uids` for what is gone: only where the protocol allows it.
pub(crate) fn tell_expunged(session: &mut Session) -> Result<Gathered, Error> {
    // RFC 9586 §3.5: no number of a message.
    let by_uid = session.enabled.qresync || session.enabled.uid_only;
    let Some(view) = &session.view else { return Ok(Gathered::All) };
    let gone: UidSet = view.ghosts.iter().take(EXPUNGES_PER_JOB).collect();
    context::expunging(session, &gone)?;
    let view = session.view_mut()?;
    let (uids, seqs) = view.lay_ghosts(EXPUNGES_PER_JOB);
    let rest = if view.ghosts.is_empty() { Gathered::All } else { Gathered::Part };
    let mut writer = session.writer();
    if by_uid {
        writer.vanished(false, &number_set(&uids));
        return Ok(rest);
    }
    // RFC 9051 §7.5.1: each EXPUNGE lowers the numbers of all behind it at once.
    for (told, seq) in (0..).zip(seqs) {
        writer.expunge(seq - told);
    }
    Ok(rest)
}

/// At the end of a command, with QRESYNC: while EXPUNGEs or flags are held back, a client that keeps the highest
/// MODSEQ it saw would never hear of them after a lost connection. It is told how far it has heard all (RFC 7162 §3.2,
/// §6).
pub(crate) fn tell_held_back(session: &mut Session) {
    let by_qresync = session.enabled.qresync;
    let Some(view) = &mut session.view else { return };
    if view.ghosts.is_empty() && view.kept_flags.is_empty() {
        view.told = view.mark;
    } else if by_qresync {
        let code = ResponseCode::HighestModSeq(view.told.modseq.0.unsigned_abs());
        session.writer().untagged(Status::Ok, Some(&code), "not all since then is told");
    }
}

/// Marks the recent messages that the client was told of as announced, so that no other session sees them as
/// recent (RFC 3501 §2.3.2). Left for later when there are some that it was not told of.
pub(crate) fn claim_recent(session: &mut Session, tx: &mut WriteTx) -> Result<(), Error> {
    let Some(view) = &mut session.view else { return Ok(()) };
    if !view.unclaimed {
        return Ok(());
    }
    let mailbox = mailboxes::by_id(tx, view.account, view.mailbox)?;
    if mailbox.is_some_and(|mailbox| mailbox.uidnext == view.uid_next) {
        view::claim_recent(tx, view.account, view.mailbox)?;
        view.unclaimed = false;
    }
    Ok(())
}
