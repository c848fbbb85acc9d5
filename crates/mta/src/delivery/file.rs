//! Into which mailbox a copy goes, and what a mailbox that does not take it means.

use postroad_mail::deliver::{self, Kept};
use postroad_mail::resolve::Target;
use postroad_mail::{Arrival, By, Error, Filing, Mailbox, MailboxName, Role, What, mailboxes};
use postroad_smtp::Reply;
use postroad_store::WriteTx;

use super::Undone;
use crate::checks::Filed;
use crate::story::Story;
use crate::{FullMailbox, replies};

/// Files one parcel and says where.
pub(super) fn file(
    tx: &mut WriteTx,
    by: &By,
    target: &Target,
    filed: Filed,
    kept: &mut Kept<'_>,
    story: &Story,
) -> Result<String, Error> {
    let (mailbox, why) = match filed {
        Filed::Usual => choose_mailbox(tx, target)?,
        Filed::Junk => junk(tx, by, target)?,
    };
    let filing = Filing { trace: Some(story.id()), ..Filing::default() };
    let delivered = deliver::deliver(tx, by, target.account, mailbox.id, kept, &filing)?;
    Ok(format!("{}: {} as uid {}{why}", target.address, mailbox.name, delivered.uid))
}

/// Files a notice in its account; the error is why the mailbox does not take it.
pub(crate) fn file_notice(
    tx: &mut WriteTx,
    by: &By,
    target: &Target,
    arrival: &Arrival,
    story: &Story,
) -> Result<Result<String, Reply>, Undone> {
    let mut kept = Kept::put(tx, arrival)?;
    let filed = match file(tx, by, target, Filed::Usual, &mut kept, story) {
        Ok(stored) => Ok(stored),
        Err(error) => Err(survivable(error, FullMailbox::TryLater)?),
    };
    kept.finish(tx)?;
    Ok(filed)
}

/// The mailbox with the role of Junk, made where somebody removed it; INBOX where it cannot be made.
fn junk(tx: &mut WriteTx, by: &By, target: &Target) -> Result<(Mailbox, &'static str), Error> {
    if let Some(junk) = mailboxes::by_role(tx, target.account, Role::Junk)? {
        return Ok((junk, ""));
    }
    let name = MailboxName::parse("Junk").map_err(Error::NameInvalid)?;
    match tx.attempt(|tx| mailboxes::create(tx, by, target.account, &name, Some(Role::Junk))) {
        Ok(junk) => Ok((junk, ", made anew")),
        Err(Error::Exists(_) | Error::Limit(_)) => {
            // One of that name, whose role somebody took away.
            if let Some(named) = mailboxes::find(tx, target.account, &name)?.filter(|found| found.selectable) {
                return Ok((named, ""));
            }
            let (inbox, _) = choose_mailbox(tx, &Target { detail: None, ..target.clone() })?;
            Ok((inbox, ", since there is no mailbox for junk"))
        }
        Err(error) => Err(error),
    }
}

/// INBOX; or, for mail to `local+detail@`, the mailbox named like the detail in any case, when there is one.
///
/// A mailbox with a role never: whoever writes to `alice+sent@` must not put words into Alice's mouth, and
/// one to `alice+trash@` must not vanish unseen.
fn choose_mailbox(tx: &WriteTx, parcel: &Target) -> Result<(Mailbox, &'static str), Error> {
    let wanted = parcel.detail.as_deref().and_then(|detail| MailboxName::parse(detail).ok());
    if let Some(wanted) = wanted {
        let wanted = wanted.to_string().to_lowercase();
        let found = mailboxes::list(tx, parcel.account)?
            .into_iter()
            .filter(|listed| listed.name.to_string().to_lowercase() == wanted)
            .filter_map(|listed| listed.mailbox)
            .find(|mailbox| mailbox.selectable && mailbox.role.is_none());
        if let Some(mailbox) = found {
            return Ok((mailbox, ", as the address says"));
        }
    }
    let inbox = mailboxes::by_role(tx, parcel.account, Role::Inbox)?;
    inbox.map(|inbox| (inbox, "")).ok_or(Error::NotFound(What::Account))
}

/// What concerns one recipient only becomes its reply; anything else ends the transaction.
pub(super) fn survivable(error: Error, full: FullMailbox) -> Result<Reply, Undone> {
    match error {
        Error::OverQuota | Error::Suspended | Error::NotFound(_) | Error::Limit(_) => {
            Ok(replies::mail_failed(&error, full))
        }
        Error::Exists(_)
        | Error::NameInvalid(_)
        | Error::AddressInvalid(_)
        | Error::Refused(_)
        | Error::Message(_)
        | Error::Store(_)
        | Error::Corrupt(_) => Err(Undone::Broken(error)),
    }
}
