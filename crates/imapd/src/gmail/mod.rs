//! Gmail's X-GM-EXT-1, for logins whose account has labels (Google, "IMAP Extensions").
//!
//! X-GM-MSGID and X-GM-THRID are the numbers of EMAILID and THREADID (RFC 8474). X-GM-LABELS are the mailboxes that a
//! message is in besides: what they mean, and that All Mail, Trash and flags follow, is `postroad_mail::labels`.
//!
//! Only mailboxes of one's own account have labels: in those of others a message has none, and none can be given, for
//! their names are not for everybody whom a mailbox is shared with.
//!
//! What it never does: show its items to who has no labels. For them the words do not exist.

mod search;
mod store;

use postroad_imap::command::{Fetch, FetchItem, Label, OwnLabel};
use postroad_mail::labels::{self, Labels, Named, Own};
use postroad_mail::{Authenticated, Entry, MessageId, ThreadId};
use postroad_store::ReadTx;

use crate::error::Error;
use crate::names;
use crate::session::{Place, Session};

pub(crate) use search::expanded;
pub(crate) use store::{Telling, run as store, tell};

/// Whether this login's account has labels: it is told of the extension, and may use its words.
pub(crate) fn is_on(session: &Session) -> bool {
    session.login.as_ref().is_some_and(Authenticated::has_labels)
}

/// Whether a mailbox is of the login's own account, which has labels.
fn is_own(session: &Session, place: Place) -> Result<bool, Error> {
    Ok(is_on(session) && session.account()? == place.account)
}

/// Refuses items that do not exist for this login.
pub(crate) fn check(session: &Session, fetch: &Fetch) -> Result<(), Error> {
    let named = fetch
        .items
        .iter()
        .any(|item| matches!(item, FetchItem::GmailMessage | FetchItem::GmailThread | FetchItem::Labels));
    if named && !is_on(session) { Err(unknown()) } else { Ok(()) }
}

fn unknown() -> Error {
    Error::bad("X-GM-EXT-1 is for accounts with labels")
}

/// The labels of entries of the selected mailbox, in their order.
pub(crate) fn labels_of(session: &Session, tx: &ReadTx, entries: &[Entry]) -> Result<Labels, Error> {
    let place = session.place()?;
    if entries.is_empty() || !is_own(session, place)? {
        return Ok(Labels::default());
    }
    let uids = entries.iter().map(|entry| entry.uid).collect();
    Ok(labels::of(tx, place.account, place.mailbox, &uids)?)
}

/// The labels of an entry, as they are written.
pub(crate) fn written(labels: &Labels, uid: u32) -> Vec<Label> {
    let all = labels.of(uid).into_iter();
    all.filter_map(|(own, name)| match own {
        Some(own) => Some(Label::Own(to_wire(own))),
        None => names::to_wire(name.as_str()).map(Label::Name),
    })
    .collect()
}

/// EMAILID as a number: the ids that are given are positive.
pub(crate) fn message_number(message: MessageId) -> u64 {
    message.0.unsigned_abs()
}

/// THREADID as a number.
pub(crate) fn thread_number(thread: ThreadId) -> u64 {
    thread.0.unsigned_abs()
}

fn to_wire(own: Own) -> OwnLabel {
    match own {
        Own::Inbox => OwnLabel::Inbox,
        Own::Sent => OwnLabel::Sent,
        Own::Draft => OwnLabel::Draft,
        Own::Starred => OwnLabel::Starred,
        Own::Important => OwnLabel::Important,
        Own::Trash => OwnLabel::Trash,
        Own::Spam => OwnLabel::Spam,
    }
}

fn of_wire(label: &Label) -> Result<Named, Error> {
    Ok(match label {
        Label::Own(OwnLabel::Inbox) => Named::Own(Own::Inbox),
        Label::Own(OwnLabel::Sent) => Named::Own(Own::Sent),
        Label::Own(OwnLabel::Draft) => Named::Own(Own::Draft),
        Label::Own(OwnLabel::Starred) => Named::Own(Own::Starred),
        Label::Own(OwnLabel::Important) => Named::Own(Own::Important),
        Label::Own(OwnLabel::Trash) => Named::Own(Own::Trash),
        Label::Own(OwnLabel::Spam) => Named::Own(Own::Spam),
        Label::Name(name) => Named::Name(names::of_wire(name)?),
    })
}
