//! STATUS (RFC 9051 §6.3.11; RFC 7162, RFC 8438, RFC 8474).

use crate::command::Body;
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;

/// One thing to tell about a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusItem {
    /// `MESSAGES`.
    Messages,
    /// `RECENT` (RFC 3501).
    Recent,
    /// `UIDNEXT`.
    UidNext,
    /// `UIDVALIDITY`.
    UidValidity,
    /// `UNSEEN`.
    Unseen,
    /// `DELETED`.
    Deleted,
    /// `SIZE`.
    Size,
    /// `HIGHESTMODSEQ`: also a CONDSTORE-enabling command.
    HighestModSeq,
    /// `MAILBOXID`.
    MailboxId,
    /// `DELETED-STORAGE` (RFC 9208).
    DeletedStorage,
    /// `APPENDLIMIT` (RFC 7889 §3.1).
    AppendLimit,
}

impl StatusItem {
    /// The item as commands and responses name it.
    pub fn as_str(self) -> &'static str {
        match self {
            StatusItem::Messages => "MESSAGES",
            StatusItem::Recent => "RECENT",
            StatusItem::UidNext => "UIDNEXT",
            StatusItem::UidValidity => "UIDVALIDITY",
            StatusItem::Unseen => "UNSEEN",
            StatusItem::Deleted => "DELETED",
            StatusItem::Size => "SIZE",
            StatusItem::HighestModSeq => "HIGHESTMODSEQ",
            StatusItem::MailboxId => "MAILBOXID",
            StatusItem::DeletedStorage => "DELETED-STORAGE",
            StatusItem::AppendLimit => "APPENDLIMIT",
        }
    }
}

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`.
pub(super) fn status(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let mailbox = cursor.mailbox()?;
    cursor.space()?;
    let items = items(cursor)?;
    Ok(Body::Status { mailbox, items })
}

/// The list of what to tell. Empty lists are answered with an empty list.
pub(super) fn items(cursor: &mut Cursor<'_>) -> Rule<Vec<StatusItem>> {
    let mut items = Vec::new();
    cursor.list("( and what to tell", |cursor| {
        let start = cursor.position();
        let word = cursor.word("what to tell of a mailbox")?;
        let Some(&item) = EVERY.iter().find(|item| item.as_str() == word) else {
            return cursor.fault_at(start, Problem::Expected("something that STATUS can tell"));
        };
        if !items.contains(&item) {
            items.push(item);
        }
        Ok(())
    })?;
    Ok(items)
}

const EVERY: [StatusItem; 11] = [
    StatusItem::Messages,
    StatusItem::Recent,
    StatusItem::UidNext,
    StatusItem::UidValidity,
    StatusItem::Unseen,
    StatusItem::Deleted,
    StatusItem::Size,
    StatusItem::HighestModSeq,
    StatusItem::MailboxId,
    StatusItem::DeletedStorage,
    StatusItem::AppendLimit,
];
