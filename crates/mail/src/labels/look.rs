//! Looking at labels, in sets.

use std::collections::HashMap;

use postroad_store::{AccountId, ReadTx, params};

use crate::selected::Place;
use crate::{MailboxId, MailboxName, MessageId, Result, Role, ThreadId, UidSet, mailboxes, sql};

/// A label that Gmail has a word of its own for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Own {
    /// In INBOX.
    Inbox,
    /// In the mailbox with the role `sent`.
    Sent,
    /// In that with the role `drafts`.
    Draft,
    /// Has `\Flagged`.
    Starred,
    /// In the mailbox with the role `important`.
    Important,
    /// In that with the role `trash`.
    Trash,
    /// In that with the role `junk`.
    Spam,
}

impl Own {
    /// Of a mailbox's role; `None`: its name is the label.
    pub fn of_role(role: Role) -> Option<Own> {
        match role {
            Role::Inbox => Some(Own::Inbox),
            Role::Sent => Some(Own::Sent),
            Role::Drafts => Some(Own::Draft),
            Role::Flagged => Some(Own::Starred),
            Role::Important => Some(Own::Important),
            Role::Trash => Some(Own::Trash),
            Role::Junk => Some(Own::Spam),
            Role::Archive | Role::All => None,
        }
    }

    /// The role of its mailbox.
    pub fn role(self) -> Role {
        match self {
            Own::Inbox => Role::Inbox,
            Own::Sent => Role::Sent,
            Own::Draft => Role::Drafts,
            Own::Starred => Role::Flagged,
            Own::Important => Role::Important,
            Own::Trash => Role::Trash,
            Own::Spam => Role::Junk,
        }
    }
}

/// The labels of some entries of a mailbox.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    names: HashMap<MailboxId, (Option<Own>, MailboxName)>,
    of: HashMap<u32, Vec<MailboxId>>,
}

impl Labels {
    /// The labels of an entry, Gmail's own first, then by name: each with its word or its name.
    pub fn of(&self, uid: u32) -> Vec<(Option<Own>, &MailboxName)> {
        let ids = self.of.get(&uid).map_or(&[][..], Vec::as_slice);
        let mut all: Vec<(Option<Own>, &MailboxName)> =
            ids.iter().filter_map(|id| self.names.get(id)).map(|(own, name)| (*own, name)).collect();
        all.sort_unstable_by_key(|(own, name)| (own.is_none(), *own, *name));
        all.dedup();
        all
    }
}

/// The labels of entries of a mailbox, without that of the mailbox itself and without All Mail. Two statements.
pub fn of(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Labels> {
    let names = mailboxes::all(tx, account)?
        .into_iter()
        .filter(|row| row.role != Some(Role::All))
        .map(|row| (row.id, (row.role.and_then(Own::of_role), row.name)))
        .collect();
    let place = Place::of(uids);
    let text = format!(
        "SELECT e.uid, s.mailbox FROM entry AS e CROSS JOIN entry AS s {{by:entry_message}}
         WHERE e.account = $1 AND e.mailbox = $2 AND {} AND s.account = $1 AND s.message = e.message
           AND s.mailbox <> $2",
        place.clause("e.uid", 3)
    );
    let mut of: HashMap<u32, Vec<MailboxId>> = HashMap::new();
    tx.each(&text, &place.params(vec![account.into(), mailbox.into()]), |row| {
        of.entry(sql::small(row, 0)?).or_default().push(row.id(1)?);
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(Labels { names, of })
}

/// The entries of a mailbox whose messages are also in `label`. One statement.
pub fn with(tx: &ReadTx, account: AccountId, mailbox: MailboxId, label: MailboxId) -> Result<UidSet> {
    let uids = tx.rows(
        "SELECT e.uid FROM entry AS l CROSS JOIN entry AS e {by:entry_message}
         WHERE l.account = $1 AND l.mailbox = $3 AND e.account = $1 AND e.message = l.message AND e.mailbox = $2",
        params![account, mailbox, label],
        |row| sql::small(row, 0),
    )?;
    Ok(UidSet::from_ranges(uids.into_iter().map(|uid| (uid, uid))))
}

/// The entries of a mailbox that a message has. One statement.
pub fn of_message(tx: &ReadTx, account: AccountId, mailbox: MailboxId, message: MessageId) -> Result<UidSet> {
    let uids = tx.rows(
        "SELECT uid FROM entry {by:entry_message} WHERE account = $1 AND message = $3 AND mailbox = $2",
        params![account, mailbox, message],
        |row| sql::small(row, 0),
    )?;
    Ok(uids.into_iter().collect())
}

/// The entries of a mailbox that the messages of a conversation have. Two statements.
pub fn of_thread(tx: &ReadTx, account: AccountId, mailbox: MailboxId, thread: ThreadId) -> Result<UidSet> {
    // A conversation has the number of its first message: that one is found by its own number.
    let messages = tx.rows(
        "SELECT id FROM message WHERE account = $1 AND id = $2 AND thread = $2
         UNION ALL
         SELECT id FROM message {by:message_reply} WHERE account = $1 AND thread = $2 AND thread <> id",
        params![account, thread],
        |row| row.int(0),
    )?;
    let uids = tx.rows(
        "SELECT uid FROM entry {by:entry_message} WHERE account = $1 AND message {in:$3} AND mailbox = $2",
        params![account, mailbox, &messages],
        |row| sql::small(row, 0),
    )?;
    Ok(uids.into_iter().collect())
}
