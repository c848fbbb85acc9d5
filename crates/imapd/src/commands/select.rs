//! SELECT and EXAMINE (RFC 9051 §6.3.2-6.3.3; RFC 7162 §3.1.8, §3.2.5; RFC 8474 §4.3).
//!
//! Costs a constant number of rows whatever the size of the mailbox; QRESYNC costs what changed.

use std::sync::Arc;

use postroad_imap::command::Select;
use postroad_imap::encode::ListResponse;
use postroad_imap::{ResponseCode, Status};
use postroad_mail::changes::{self, Mark};
use postroad_mail::mailboxes::Mailbox;
use postroad_mail::{Rights, UidSet, view};
use postroad_store::{ModSeq, ReadTx, WriteTx};

use super::status;
use crate::error::{Error, Reply};
use crate::names;
use crate::notify::Fresh;
use crate::recent;
use crate::session::{Cursor, Flow, Session};
use crate::settings::{CHANGES_PER_JOB, UNSEEN_COUNTED_MAX};
use crate::sync;
use crate::target::{self, Target};
use crate::view::{View, number_set, uid_set};

/// A look, unless there are recent messages to be claimed: by SELECT, not by EXAMINE (RFC 3501 §2.3.2), or in
/// the mailbox that is left.
pub(crate) fn read(
    session: &mut Session,
    tx: &ReadTx,
    select: &Select,
    cursor: &mut Cursor,
    read_only: bool,
) -> Result<Flow, Error> {
    if let Cursor::Select(_) = cursor {
        return tell_changes(session, tx, select, cursor);
    }
    let target = find(session, tx, select)?;
    let leaves_unclaimed = session.view.as_ref().is_some_and(|view| view.unclaimed);
    if leaves_unclaimed || (target.mailbox.has_recent() && !read_only && target.owner.is_none()) {
        return Ok(Flow::Write);
    }
    open(session, tx, select, cursor, &target, read_only)
}

/// The same with recent messages: they are this session's.
pub(crate) fn write(
    session: &mut Session,
    tx: &mut WriteTx,
    select: &Select,
    cursor: &mut Cursor,
    read_only: bool,
) -> Result<Flow, Error> {
    let target = find(session, tx, select)?;
    sync::claim_recent(session, tx)?;
    let flow = open(session, tx, select, cursor, &target, read_only)?;
    if !read_only && target.owner.is_none() {
        view::claim_recent(tx, target.account, target.mailbox.id)?;
    }
    Ok(flow)
}

fn find(session: &Session, tx: &ReadTx, select: &Select) -> Result<Target, Error> {
    if select.qresync.is_some() && !session.enabled.qresync {
        // RFC 7162 §3.2.5: the parameter may come only after ENABLE QRESYNC.
        return Err(Error::bad("say ENABLE QRESYNC first"));
    }
    let target = target::find(session, tx, &select.mailbox, Rights::READ)?;
    if !target.mailbox.selectable {
        return Err(Error::no(ResponseCode::NonExistent, "this name holds no messages, only other mailboxes"));
    }
    Ok(target)
}

fn open(
    session: &mut Session,
    tx: &ReadTx,
    select: &Select,
    cursor: &mut Cursor,
    target: &Target,
    read_only: bool,
) -> Result<Flow, Error> {
    let (account, mailbox) = (target.account, &target.mailbox);
    // RFC 7162 §3.2.11: what follows is of the new mailbox.
    if session.view.take().is_some() {
        session.writer().untagged(Status::Ok, Some(&ResponseCode::Closed), "the previous mailbox is closed");
    }
    if select.condstore || select.qresync.is_some() {
        session.enable_condstore();
    }
    let claims = target.owner.is_none() && !read_only;
    let first_recent = session.settings.recent.first_unclaimed(target.place(), mailbox);
    let recent = status::recent(tx, target, first_recent)?;
    if claims {
        session.settings.recent.take(target.place(), mailbox);
    }
    session.view = Some(View {
        account,
        rights: target.rights,
        mailbox: mailbox.id,
        uid_validity: mailbox.uidvalidity,
        examined: read_only,
        read_only: read_only || !target.rights.intersects(Rights::CHANGING),
        claims,
        mark: Mark::at(mailbox.highest_modseq),
        told: Mark::at(mailbox.highest_modseq),
        uid_next: mailbox.uidnext,
        recent_uids: Arc::new(recent::between(first_recent, mailbox.uidnext)),
        url_key: sync::key_of_other(session, tx, target.place())?,
        unclaimed: false,
        recent,
        keywords: Arc::new(view::keywords(tx, account, mailbox.id)?),
        exists: mailbox.messages,
        map: None,
        ghosts: Arc::default(),
        saved: Arc::default(),
        kept_flags: Arc::default(),
        came: Arc::default(),
        contexts: Arc::default(),
        touched: Arc::default(),
    });
    // As the mailbox is in this look.
    session.looked = (!session.writing).then(|| Box::new(mailbox.clone()));
    session.fresh = Fresh::default();
    session.pushing = None;
    if session.notify_freezes() {
        sync::load_map(session, tx)?;
    }
    sync::tell_known_flags(session)?;
    tell_state(session, tx, target, recent)?;
    if let Some(known) = &select.qresync
        && known.uid_validity == mailbox.uidvalidity
    {
        *cursor = Cursor::Select(Mark::at(ModSeq(i64::try_from(known.mod_seq).unwrap_or(i64::MAX))));
        return tell_changes(session, tx, select, cursor);
    }
    done(session)
}

fn done(session: &Session) -> Result<Flow, Error> {
    // RFC 4314 §5.2: SELECT without a right to change anything opens for reading only.
    let view = session.view()?;
    let code = if view.read_only { ResponseCode::ReadOnly } else { ResponseCode::ReadWrite };
    let text = if view.examined { "EXAMINE done" } else { "SELECT done" };
    Ok(Flow::Done(Reply::ok_with(code, text)))
}

/// EXISTS, RECENT and the response codes. Outlook needs EXISTS and UIDVALIDITY.
fn tell_state(session: &mut Session, tx: &ReadTx, target: &Target, recent: u32) -> Result<(), Error> {
    let mailbox = &target.mailbox;
    let rev2 = session.enabled.rev2;
    // RFC 9586 §3.6: no UNSEEN, which is a number.
    let unseen = match rev2 || session.enabled.uid_only {
        true => None,
        false => first_unseen(session, tx, mailbox)?,
    };
    let mut writer = session.writer();
    writer.exists(mailbox.messages);
    if !rev2 {
        writer.recent(recent);
    }
    let codes = [
        (unseen.map(ResponseCode::Unseen), "the first unseen message"),
        (Some(ResponseCode::UidValidity(mailbox.uidvalidity)), "UIDs are valid"),
        (Some(ResponseCode::UidNext(mailbox.uidnext)), "the next UID"),
        (Some(ResponseCode::HighestModSeq(mailbox.highest_modseq.0.unsigned_abs())), "the last change"),
        (Some(ResponseCode::MailboxId(target.object_id())), "the mailbox's id"),
        // RFC 4467 §8.
        (Some(ResponseCode::UrlMech), "what signs URLs"),
    ];
    for (code, text) in codes {
        if code.is_some() {
            writer.untagged(Status::Ok, code.as_ref(), text);
        }
    }
    // RFC 9051 §6.3.2: LIST tells the name as the server knows it.
    if rev2 {
        let name = names::to_wire(&target.shown());
        writer.list(&ListResponse { attributes: &[], name: name.as_ref(), extra: &[] });
    }
    Ok(())
}

/// `[UNSEEN n]`: the number of the first message without `\Seen`; left out of large mailboxes, because
/// counting what lies before it is the one thing in SELECT that grows with the mailbox.
fn first_unseen(session: &Session, tx: &ReadTx, mailbox: &Mailbox) -> Result<Option<u32>, Error> {
    if mailbox.unseen == 0 || mailbox.messages > UNSEEN_COUNTED_MAX {
        return Ok(None);
    }
    let account = session.place()?.account;
    let Some(uid) = view::first_unseen(tx, account, mailbox)? else { return Ok(None) };
    // As many messages as UIDs were given: none is missing before it.
    if mailbox.messages == mailbox.uidnext.saturating_sub(1) {
        return Ok(Some(uid));
    }
    Ok(Some(view::entries_before(tx, account, mailbox.id, uid)? + 1))
}

/// RFC 7162 §3.2.5.1: what vanished and what changed since the client last looked, of the UIDs it knows: the
/// next part.
fn tell_changes(session: &mut Session, tx: &ReadTx, select: &Select, cursor: &mut Cursor) -> Result<Flow, Error> {
    let (Cursor::Select(mark), Some(known)) = (cursor, &select.qresync) else {
        return Err(Error::bug("SELECT has nothing to tell"));
    };
    let view = session.view()?;
    if *mark >= view.mark {
        return done(session);
    }
    let known_uids = match &known.known_uids {
        Some(uids) => uid_set(uids),
        None => UidSet::range(1, view.uid_next.saturating_sub(1)),
    };
    let page = changes::changes_since(tx, view.account, view.mailbox, *mark, CHANGES_PER_JOB)?;
    sync::load_map(session, tx)?;
    // The first page has all that vanished.
    if *mark == Mark::at(ModSeq(i64::try_from(known.mod_seq).unwrap_or(i64::MAX))) {
        let vanished = page.vanished.intersection(&known_uids).difference(&session.view()?.map().uids());
        session.writer().vanished(true, &number_set(&vanished));
    }
    for entry in page.changed.iter().filter(|entry| known_uids.contains(entry.uid)) {
        sync::tell_entry(session, entry, true, true)?;
    }
    *mark = page.mark;
    if page.more { Ok(Flow::More) } else { done(session) }
}
