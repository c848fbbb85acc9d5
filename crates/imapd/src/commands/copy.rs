//! COPY and UID COPY (RFC 9051 §6.4.7), also from one account to another (RFC 4314 §4).

use postroad_imap::command::Copy;
use postroad_imap::{ResponseCode, Status};
use postroad_mail::acl::{self, Who};
use postroad_mail::across::{self, End, Keep};
use postroad_mail::copy::{self, Copied};
use postroad_mail::flags::MAX_NAMED;
use postroad_mail::{By, FlagChange, Flags, Keyword, UidSet, flags as mail_flags, view};
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::flags;
use crate::message_limit;
use crate::session::{Flow, Place, Session};
use crate::target::{self, Target};
use crate::view::number_set;

pub(crate) fn run(session: &mut Session, tx: &mut WriteTx, copy: &Copy) -> Result<Flow, Error> {
    let target = target::destination(session, tx, &copy.mailbox)?;
    let view = session.view()?;
    let uids = view.resolve(&copy.set, copy.numbering)?.difference(&view.ghosts);
    message_limit::check_copy(session, &uids)?;
    let copied = transfer(session, tx, &uids, &target, How::Copy)?;
    Ok(Flow::Done(match copy_uid(&copied) {
        Some(code) => Reply::new(Status::Ok, Some(code), "COPY done"),
        // iOS keeps ghosts of messages that another session removed when it hears NO: nothing to copy is OK.
        None => Reply::ok("nothing to copy"),
    }))
}

/// What becomes of the messages where they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// They stay.
    Copy,
    /// They go.
    Move,
}

/// Messages of the selected mailbox come into the target, with the flags that this login may set there.
pub(super) fn transfer(
    session: &Session,
    tx: &mut WriteTx,
    uids: &UidSet,
    target: &Target,
    how: How,
) -> Result<Copied, Error> {
    let (by, from, keep) = (session.by()?, session.place()?, flags::permitted(target.rights));
    let to = target.place();
    if from.account != to.account {
        let end = |place: Place| End { account: place.account, mailbox: place.mailbox };
        return Ok(match how {
            How::Copy => across::copy(tx, &by, end(from), uids, end(to), keep)?,
            How::Move => across::move_to(tx, &by, end(from), uids, end(to), keep)?,
        });
    }
    let copied = match how {
        How::Copy => copy::copy(tx, &by, from.account, from.mailbox, uids, to.mailbox)?,
        How::Move => copy::move_to(tx, &by, from.account, from.mailbox, uids, to.mailbox)?,
    };
    if keep != Keep::ALL {
        strip(session, tx, to, &copied.target, keep)?;
    }
    Ok(copied)
}

/// Takes from messages that came into a mailbox the flags that this login may not set there (RFC 4314 §4, APPEND). Nothing
/// in one's own.
pub(crate) fn strip_unpermitted(
    session: &Session,
    tx: &mut WriteTx,
    to: Place,
    uids: &UidSet,
) -> Result<(), postroad_mail::Error> {
    let Some(login) = session.login.as_ref().filter(|login| login.account() != to.account) else { return Ok(()) };
    let keep = flags::permitted(acl::rights(tx, &Who::of(login), to.account, to.mailbox)?);
    if keep == Keep::ALL { Ok(()) } else { strip(session, tx, to, uids, keep) }
}

/// Takes away what this login may not set.
fn strip(
    session: &Session,
    tx: &mut WriteTx,
    to: Place,
    uids: &UidSet,
    keep: Keep,
) -> Result<(), postroad_mail::Error> {
    let Some(login) = &session.login else { return Ok(()) };
    let by = By::new(session.now, login.actor());
    let keywords: Vec<Keyword> = match keep.keywords {
        true => Vec::new(),
        false => {
            let known = view::keywords(tx, to.account, to.mailbox)?;
            known.iter().filter_map(|text| Keyword::parse(text)).collect()
        }
    };
    let system = Flags::ALL.without(keep.flags);
    let mut parts = keywords.chunks(MAX_NAMED);
    let first = FlagChange::Remove(system, parts.next().unwrap_or_default().to_vec());
    let rest = parts.map(|part| FlagChange::Remove(Flags::NONE, part.to_vec()));
    for change in std::iter::once(first).chain(rest) {
        mail_flags::change(tx, &by, to.account, to.mailbox, uids, &change, None)?;
    }
    Ok(())
}

/// `COPYUID` (RFC 4315), when something was copied.
pub(crate) fn copy_uid(copied: &Copied) -> Option<ResponseCode> {
    copied.modseq?;
    Some(ResponseCode::CopyUid(copied.uidvalidity, number_set(&copied.source), number_set(&copied.target)))
}
