//! STATUS (RFC 9051 §6.3.11; RFC 7162, RFC 8438, RFC 8474, RFC 9208): read from the mailbox's own row.

use postroad_imap::command::StatusItem;
use postroad_imap::encode::StatusValue;
use postroad_imap::{MailboxName, ResponseCode};
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{Flags, Rights, UidSet};
use postroad_store::ReadTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::settings::RECENT_COUNTED_MAX;
use crate::target::{self, Target};

pub(crate) fn run(
    session: &mut Session,
    tx: &ReadTx,
    wire_name: &MailboxName,
    items: &[StatusItem],
) -> Result<Flow, Error> {
    let target = target::find(session, tx, wire_name, Rights::READ)?;
    if !target.mailbox.selectable {
        return Err(Error::no(ResponseCode::Cannot, "this name holds no messages, only other mailboxes"));
    }
    let values = values(session, tx, &target, items)?;
    session.writer().status(&wire_name.without_trailing_separator(), &values);
    Ok(Flow::Done(Reply::ok("STATUS done")))
}

/// What STATUS, and LIST's RETURN (STATUS ..), tell of a mailbox.
pub(crate) fn values(
    session: &mut Session,
    tx: &ReadTx,
    target: &Target,
    items: &[StatusItem],
) -> Result<Vec<StatusValue>, Error> {
    let mailbox = &target.mailbox;
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        let number = match item {
            StatusItem::Messages => u64::from(mailbox.messages),
            StatusItem::Recent => {
                u64::from(recent(tx, target, session.settings.recent.first_unclaimed(target.place(), mailbox))?)
            }
            StatusItem::UidNext => u64::from(mailbox.uidnext),
            StatusItem::UidValidity => u64::from(mailbox.uidvalidity),
            StatusItem::Unseen => u64::from(mailbox.unseen),
            StatusItem::Deleted => u64::from(mailbox.deleted),
            StatusItem::Size => mailbox.size,
            StatusItem::HighestModSeq => {
                session.enable_condstore();
                mailbox.highest_modseq.0.unsigned_abs()
            }
            StatusItem::AppendLimit => session.settings.message_size_max,
            StatusItem::DeletedStorage => deleted_storage(tx, target)?,
            StatusItem::MailboxId => {
                values.push(StatusValue::MailboxId(target.object_id()));
                continue;
            }
        };
        values.push(StatusValue::Number(*item, number));
    }
    Ok(values)
}

/// How many messages, from the first of which no session was told, there are. Counted when they are few; else the number of UIDs given since,
/// which is right but for messages that were expunged unseen (RFC 3501 §2.3.2 lets in doubt be recent).
pub(crate) fn recent(tx: &ReadTx, target: &Target, first: u32) -> Result<u32, Error> {
    let mailbox = &target.mailbox;
    let span = mailbox.uidnext.saturating_sub(first);
    if span == 0 || span > RECENT_COUNTED_MAX {
        return Ok(span.min(mailbox.messages));
    }
    let uids = UidSet::range(first, mailbox.uidnext.saturating_sub(1));
    let query = Query { uids: &uids, want: Want::Flags, changed_since: None, limit: span as usize };
    let entries = view::entries(tx, target.account, mailbox.id, &query)?;
    Ok(u32::try_from(entries.len()).unwrap_or(u32::MAX))
}

/// What EXPUNGE would free at most (RFC 9208 §4.1.4).
fn deleted_storage(tx: &ReadTx, target: &Target) -> Result<u64, Error> {
    let (account, mailbox) = (target.account, &target.mailbox);
    if mailbox.deleted == 0 {
        return Ok(0);
    }
    let uids = view::uids_by_flags(tx, account, mailbox.id, Flags::DELETED, Flags::NONE)?;
    let limit = usize::try_from(uids.count()).unwrap_or(usize::MAX);
    let query = Query { uids: &uids, want: Want::Flags, changed_since: None, limit };
    Ok(view::entries(tx, account, mailbox.id, &query)?.iter().map(|entry| entry.size).sum())
}
